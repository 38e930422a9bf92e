"""Versions over the API: what finished runs gave, which one is live, and models trained elsewhere."""

from __future__ import annotations

from typing import Any

from flask import abort, request, url_for
from flask_smorest.fields import Upload
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import training, uploaded
from learning import options
from learning.uploads.facts import ModelRefused
from models import Dataset, Version, db
from web.access import get_dataset, get_user
from web.answers import find_version
from web.api.frame import Noun, needs
from web.api.runs import RunBody, started
from web.api.shapes import PageArguments, as_time, check_fields, list_page, page_of
from web.errors import Refused
from web.inputs import parse_json
from web.limits import limits
from web.sent_models import look_at, sent_model

blueprint = Noun("versions", "What finished runs gave, and models trained elsewhere")

METRICS = ("task", "score", "accuracy", "interval", "leave_one_out", "validation", "test")
SETTINGS = set(options.of("uploaded")) - {"model", "model_labels"}


class VersionBody(Schema):
    """One version and its figures."""

    number = fields.Int(required=True)
    dataset = fields.Str()
    is_live = fields.Bool()
    labels = fields.List(fields.Str(), metadata={"description": "In the order that the network knows."})
    proven = fields.List(fields.Str(), metadata={"description": "Formats whose answers were checked."})
    metrics = fields.Dict(keys=fields.Str())
    run = fields.Str(metadata={"description": "Where its run is."})
    created_at = fields.Str()


class SentModel(Schema):
    """A trained model and what has to be known of it."""

    model = Upload(required=True, metadata={"description": "A .keras, .h5, or Teachable Machine zip."})
    labels = fields.Str(metadata={"description": "Its labels in order, one a line or with commas between."})
    settings = fields.Str(metadata={"description": "JSON with what else the recipe `uploaded` asks."})


@blueprint.get("/datasets/<slug>/versions")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(VersionBody))
def index(page: dict, slug: str) -> dict:
    """List the versions, newest first."""
    dataset = get_dataset(slug)
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    return list_page(query, Version.id, lambda version: _as_json(version, dataset), page)


@blueprint.get("/datasets/<slug>/versions/<int:number>")
@needs("read")
@blueprint.response(200, VersionBody)
def show(slug: str, number: int) -> dict:
    """Give one version with its figures."""
    dataset = get_dataset(slug)
    return _as_json(find_version(dataset, number), dataset)


@blueprint.post("/datasets/<slug>/versions")
@limits(body="MAX_MODEL", rate="upload")
@needs("train")
@blueprint.doc(requestBody={"required": True, "content": {"multipart/form-data": {"schema": SentModel}}})
@blueprint.response(202, RunBody)
def add(slug: str) -> tuple[dict, dict]:
    """Take a trained model, and start the run that measures it and makes it a version.

    Nothing is kept where any of it is refused.
    """
    dataset = get_dataset(slug, "editor")
    check_fields("model", "labels", "settings")
    wanted = parse_json(request.form.get("settings") or "{}", SETTINGS, "settings")
    wanted["model_labels"] = request.form.get("labels", "")
    try:
        options.check("uploaded", wanted)  # before the model is looked at, which takes seconds
    except options.OptionRefused as error:
        raise Refused(str(error), error.field.replace("model_labels", "labels")) from error
    name = look_at(sent_model("model"), dataset.id)
    try:
        return _start(get_dataset(slug, "editor"), {**wanted, "model": name})
    finally:
        db.session.rollback()
        uploaded.forget(name)


def _start(dataset: Dataset, wanted: dict[str, Any]) -> tuple[dict, dict]:
    chosen = options.check("uploaded", wanted)
    try:
        found, _, _ = uploaded.choose(dataset, chosen, [label.name for label in dataset.labels])
        run = training.start_run(dataset, get_user(), "uploaded", found.sent_name[:60], chosen)
    except ModelRefused as refused:
        raise Refused(str(refused), "labels" if refused.code == "labels" else "settings") from refused
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return started(run)


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
