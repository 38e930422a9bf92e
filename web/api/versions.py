"""Versions over the API: what finished runs gave, which one is live, and models trained elsewhere."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import training, uploaded
from learning import options
from learning.uploads.facts import ModelRefused
from models import Dataset, Version, db
from web.access import get_dataset, get_user
from web.answers import find_version
from web.api.runs import answer_started
from web.api.shapes import answer_list, as_time, check_fields, check_parameters
from web.auth import token_required
from web.errors import api_error
from web.inputs import parse_json
from web.limits import limits
from web.sent_models import look_at, sent_model

blueprint = Blueprint("api_versions", __name__, url_prefix="/api/v1/datasets/<slug>/versions")

METRICS = ("task", "score", "accuracy", "interval", "leave_one_out", "validation", "test")
SETTINGS = set(options.of("uploaded")) - {"model", "model_labels"}


@blueprint.get("")
@token_required("read")
def index(slug: str) -> Response:
    """List the versions, newest first."""
    dataset = get_dataset(slug)
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    return answer_list(query, Version.id, lambda version: _as_json(version, dataset))


@blueprint.get("/<int:number>")
@token_required("read")
def show(slug: str, number: int) -> Response:
    """Give one version with its figures."""
    check_parameters()
    dataset = get_dataset(slug)
    return jsonify(_as_json(find_version(dataset, number), dataset))


@blueprint.post("")
@token_required("train")
@limits(body="MAX_MODEL", rate="upload")
def add(slug: str) -> Response:
    """Take a trained model as `model`, and start the run that measures it and makes it a version.

    `labels` are its labels in order, one a line or with commas between; `settings` is JSON with what else the
    recipe `uploaded` asks. Nothing is kept where any of it is refused.
    """
    dataset = get_dataset(slug, "editor")
    check_parameters()
    check_fields("model", "labels", "settings")
    wanted = parse_json(request.form.get("settings") or "{}", SETTINGS, "settings")
    wanted["model_labels"] = request.form.get("labels", "")
    try:
        options.check("uploaded", wanted)  # before the model is looked at, which takes seconds
    except options.OptionRefused as error:
        return api_error(422, "refused", str(error), error.field.replace("model_labels", "labels"))
    name = look_at(sent_model("model"), dataset.id)
    try:
        return _start(get_dataset(slug, "editor"), {**wanted, "model": name})
    finally:
        db.session.rollback()
        uploaded.forget(name)


def _start(dataset: Dataset, wanted: dict[str, Any]) -> Response:
    chosen = options.check("uploaded", wanted)
    try:
        found, _, _ = uploaded.choose(dataset, chosen, [label.name for label in dataset.labels])
        run = training.start_run(dataset, get_user(), "uploaded", found.sent_name[:60], chosen)
    except ModelRefused as refused:
        return api_error(422, "refused", str(refused), "labels" if refused.code == "labels" else "settings")
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return answer_started(run)


def _as_json(version: Version, dataset: Dataset) -> dict:
    return {
        "number": version.number,
        "dataset": dataset.slug,
        "is_live": version.number == dataset.live_version,
        "labels": version.labels,
        "proven": version.proven,
        "metrics": {name: version.metrics.get(name) for name in METRICS},
        "run": url_for("api_runs.show", run_id=version.run_id),
        "created_at": as_time(version.created_at),
    }
