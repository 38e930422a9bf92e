"""Runs over the API: train, and see how far it is."""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import training
from learning.backbones import BACKBONES
from models import Run, db
from web.access import get_dataset, get_user, has_role
from web.api.shapes import answer_list, as_time, check_parameters, job_as_json
from web.auth import token_required
from web.inputs import read_json

blueprint = Blueprint("api_runs", __name__, url_prefix="/api/v1")

RECIPES = ("quick",)


@blueprint.get("/datasets/<slug>/runs")
@token_required("read")
def index(slug: str) -> Response:
    """List a dataset's runs, newest first."""
    query = select(Run).filter_by(dataset_id=get_dataset(slug).id)
    options = (joinedload(Run.job), joinedload(Run.version), joinedload(Run.dataset))
    return answer_list(query.options(*options), Run.id, _as_json)


@blueprint.post("/datasets/<slug>/runs")
@token_required("train")
def start(slug: str) -> Response:
    """Start training in the background."""
    dataset = get_dataset(slug, "editor")
    wanted = read_json({"recipe", "backbone"}) if request.get_data() else {}
    recipe = _choose(wanted, "recipe", RECIPES, RECIPES[0])
    backbone = _choose(wanted, "backbone", tuple(BACKBONES), next(iter(BACKBONES)))
    try:
        run = training.start_run(dataset, get_user(), recipe=recipe, backbone=backbone)
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    answer = jsonify(_as_json(run))
    answer.status_code = 202
    answer.headers["Location"] = url_for("api_runs.show", run_id=run.id)
    return answer


def _choose(wanted: dict, field: str, known: tuple[str, ...], default: str) -> str:
    value = wanted.get(field, default)
    if value not in known:
        abort(422, f"{field} must be one of: {', '.join(known)}.")
    return value


@blueprint.get("/runs/<int:run_id>")
@token_required("read")
def show(run_id: int) -> Response:
    """Say how far a run is."""
    check_parameters()
    run = db.session.get(Run, run_id)
    if run is None or not has_role(get_user(), run.dataset, "viewer"):
        abort(404)
    return jsonify(_as_json(run))


def _as_json(run: Run) -> dict:
    return {
        "id": run.id,
        "dataset": run.dataset.slug,
        "recipe": run.recipe,
        "backbone": run.backbone,
        **job_as_json(run.job),
        "version": run.version.number if run.version else None,
        "url": url_for("api_runs.show", run_id=run.id),
        "created_at": as_time(run.created_at),
    }
