"""Runs over the API: train, and see how far it is."""

from __future__ import annotations

from typing import Any

from flask import abort, url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import training
from learning import options
from models import Run, db
from web.access import get_dataset, get_user, has_role
from web.api.frame import Noun, needs
from web.api.shapes import PageArguments, Progress, as_time, job_as_json, list_page, page_of
from web.errors import Refused

blueprint = Noun("runs", "Training, in the background")

RECIPES = ("quick", "fine-tune")  # those that need nothing but settings


class RunBody(Progress):
    """One training run."""

    id = fields.Int(required=True)
    dataset = fields.Str(metadata={"description": "The dataset's slug."})
    recipe = fields.Str()
    backbone = fields.Str()
    settings = fields.Dict(keys=fields.Str())
    version = fields.Int(allow_none=True, metadata={"description": "Number of the version it gave."})
    url = fields.Str()
    created_at = fields.Str()


def _wishes() -> type[Schema]:
    """Return what may be asked of a run: the recipe and, by name, every option that a run.yaml may hold."""
    known = {name: option for recipe in RECIPES for name, option in options.of(recipe).items()}
    named = {name: fields.Raw(metadata={"description": one.words}) for name, one in known.items()}
    recipe = fields.Str(load_default=RECIPES[0], validate=validate.OneOf(RECIPES))
    settings = fields.Dict(keys=fields.Str(), metadata={"description": "The options, together."})
    return Schema.from_dict({"recipe": recipe, "settings": settings, **named}, name="RunWishes")


@blueprint.get("/datasets/<slug>/runs")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(RunBody))
def index(page: dict, slug: str) -> dict:
    """List a dataset's runs, newest first."""
    query = select(Run).filter_by(dataset_id=get_dataset(slug).id)
    parts = (joinedload(Run.job), joinedload(Run.version), joinedload(Run.dataset))
    return list_page(query.options(*parts), Run.id, as_json, page)


@blueprint.post("/datasets/<slug>/runs")
@needs("train")
@blueprint.arguments(_wishes())
@blueprint.response(202, RunBody)
def start(wishes: dict, slug: str) -> tuple[dict, dict]:
    """Start training in the background, with the settings that a run.yaml holds."""
    dataset = get_dataset(slug, "editor")
    recipe = wishes.pop("recipe")
    try:
        settings = options.check(recipe, _merge(wishes))
        run = training.start_run(dataset, get_user(), recipe, settings.pop("backbone"), settings)
    except options.OptionRefused as error:
        raise Refused(str(error), error.field) from error
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return started(run)


def _merge(wishes: dict[str, Any]) -> dict[str, Any]:
    """Return the options, those of `settings` too; refuse one that was said twice."""
    settings = wishes.pop("settings", {})
    if twice := sorted(set(settings) & set(wishes)):
        raise Refused(f"{twice[0]!r} stands twice: beside the settings and among them.", twice[0])
    return {**settings, **wishes}


def started(run: Run) -> tuple[dict, dict]:
    """Return the run, and the headers that say where it is to be asked after."""
    return as_json(run), {"Location": url_for("api_runs.show", run_id=run.id)}


@blueprint.get("/runs/<int:run_id>")
@needs("read")
@blueprint.response(200, RunBody)
def show(run_id: int) -> dict:
    """Say how far a run is."""
    return as_json(get_run(run_id))


def get_run(run_id: int, role: str = "viewer") -> Run:
    """Return the run if the user who asks has at least `role` on its dataset; abort with 404 or 403."""
    run = db.session.get(Run, run_id)
    if run is None or not has_role(get_user(), run.dataset, "viewer"):
        abort(404)
    get_dataset(run.dataset.slug, role)
    return run


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
