"""Runs over the API: train, and see how far it is."""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import training
from learning import options
from models import Run, db
from web.access import get_dataset, get_user, has_role
from web.api.shapes import answer_list, as_time, check_parameters, job_as_json
from web.auth import token_required
from web.errors import api_error
from web.inputs import read_json

blueprint = Blueprint("api_runs", __name__, url_prefix="/api/v1")

RECIPES = ("quick", "fine-tune")  # those that need nothing but settings
FIELDS = {"recipe"}.union(*(options.of(recipe) for recipe in RECIPES))


@blueprint.get("/datasets/<slug>/runs")
@token_required("read")
def index(slug: str) -> Response:
    """List a dataset's runs, newest first."""
    query = select(Run).filter_by(dataset_id=get_dataset(slug).id)
    options = (joinedload(Run.job), joinedload(Run.version), joinedload(Run.dataset))
    return answer_list(query.options(*options), Run.id, as_json)


@blueprint.post("/datasets/<slug>/runs")
@token_required("train")
def start(slug: str) -> Response:
    """Start training in the background, with the settings that a run.yaml holds, as JSON."""
    dataset = get_dataset(slug, "editor")
    wanted = read_json(FIELDS) if request.get_data() else {}
    recipe = wanted.pop("recipe", RECIPES[0])
    if recipe not in RECIPES:
        abort(422, f"recipe must be one of: {', '.join(RECIPES)}.")
    try:
        settings = options.check(recipe, wanted)
        run = training.start_run(dataset, get_user(), recipe, settings.pop("backbone"), settings)
    except options.OptionRefused as error:
        return api_error(422, "refused", str(error), error.field)
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return answer_started(run)


def answer_started(run: Run) -> Response:
    """Answer 202 with the run, and where it is to be asked after."""
    answer = jsonify(as_json(run))
    answer.status_code = 202
    answer.headers["Location"] = url_for("api_runs.show", run_id=run.id)
    return answer


@blueprint.get("/runs/<int:run_id>")
@token_required("read")
def show(run_id: int) -> Response:
    """Say how far a run is."""
    check_parameters()
    run = db.session.get(Run, run_id)
    if run is None or not has_role(get_user(), run.dataset, "viewer"):
        abort(404)
    return jsonify(as_json(run))


def as_json(run: Run) -> dict:
    """Return a run as the API shows it."""
    return {
        "id": run.id,
        "dataset": run.dataset.slug,
        "recipe": run.recipe,
        "backbone": run.backbone,
        "settings": run.settings or {},
        **job_as_json(run.job),
        "version": run.version.number if run.version else None,
        "url": url_for("api_runs.show", run_id=run.id),
        "created_at": as_time(run.created_at),
    }
