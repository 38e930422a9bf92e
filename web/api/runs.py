"""Runs over the API: train, watch, end, take up again, delete."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from flask import Response, abort, url_for
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import disk, queue, removal, runs, training
from models import Run, db
from web import run_files
from web.access import get_dataset, get_part, get_user
from web.api import wishes
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import Digits, PageArguments, Progress, as_time, job_as_json, list_page, page_of
from web.curves import Curves
from web.recipes.offered import RECIPES as OFFERED

blueprint = Noun("runs", "Training, in the background")

LOG_BYTES = 100_000  # in one answer
EVENT_BYTES = 256 * 1024  # of progress.jsonl in one answer


class RunBody(Progress):
    """One training run."""

    id = fields.Int(required=True)
    dataset = fields.Str(metadata={"description": "The dataset's slug."})
    recipe = fields.Str()
    backbone = fields.Str()
    settings = fields.Dict(keys=fields.Str(), metadata={"description": "But own code, which is in run.yaml."})
    version = fields.Int(allow_none=True, metadata={"description": "Number of the version it gave."})
    promotion = fields.Dict(
        keys=fields.Str(),
        allow_none=True,
        metadata={"description": "Whether that went live by itself and why, as the version says it."},
    )
    url = fields.Str()
    created_at = fields.Str()


class WatchedRunBody(RunBody):
    """One training run with what it has learnt so far."""

    epochs = fields.List(
        fields.Dict(keys=fields.Str()),
        metadata={"description": "Of each epoch its number, losses and metrics; empty for recipes without."},
    )


class LogArguments(Schema):
    """Which part of a log."""

    after = Digits(
        load_default=None,
        metadata={"minimum": 0, "description": "Begin after so many bytes; without it, the end of the log."},
    )


class EventArguments(Schema):
    """Which events."""

    after = Digits(
        load_default=0, metadata={"minimum": 0, "description": "`next` of the answer before; 0 for all."}
    )


class EventsBody(Schema):
    """What the trainer has reported since, oldest first."""

    events = fields.List(fields.Dict(keys=fields.Str()), required=True)
    next = fields.Int(required=True, metadata={"description": "Ask with `?after=` this next time."})
    state = fields.Str(required=True, metadata={"description": "The run's state now."})


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
@blueprint.ARGUMENTS_PARSER.use_args(wishes.schema())
@blueprint.doc(requestBody=wishes.body())
@blueprint.response(202, RunBody)
def start(wanted: dict, slug: str) -> tuple[dict, dict]:
    """Start training in the background, with the settings that a run.yaml holds."""
    dataset = get_dataset(slug, "editor")
    recipe = wanted.pop("recipe")
    settings = wishes.settle(recipe, wanted)
    if refusal := OFFERED[recipe].refusal(dataset):
        abort(409, refusal)
    try:
        run = training.start_run(dataset, get_user(), recipe, settings.pop("backbone"), settings)
    except training.NotTrainable as error:
        abort(409, str(error))
    db.session.commit()
    return started(run)


def started(run: Run) -> tuple[dict, dict]:
    """Return the run, and the headers that say where it is to be asked after."""
    return as_json(run), {"Location": url_for("api_runs.show", run_id=run.id)}


@blueprint.get("/runs/<int:run_id>")
@needs("read")
@blueprint.response(200, WatchedRunBody)
def show(run_id: int) -> dict:
    """Say how far a run is, and what each epoch gave."""
    run = get_part(Run, run_id)
    ends = Curves(training.progress(run)).ends
    return as_json(run) | {"epochs": [_finite({"epoch": end["epoch"], **end["metrics"]}) for end in ends]}


@blueprint.delete("/runs/<int:run_id>")
@needs("train")
@blueprint.response(204)
def delete(run_id: int) -> Response:
    """Delete a run that has ended without a version, with its log."""
    try:
        folder = removal.delete_run(get_part(Run, run_id, "editor"))
    except removal.NotRemovable as error:
        abort(409, str(error))
    db.session.commit()
    disk.remove([folder])
    return answer_nothing()


@blueprint.get("/runs/<int:run_id>/log")
@needs("read")
@blueprint.arguments(LogArguments, location="query")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def log(wanted: dict, run_id: int) -> Response:
    """Give the trainer's log as text, 100,000 bytes at most.

    To follow it, begin with `?after=0` and add the length in bytes of every answer.
    """
    return Response(
        training.read_log(get_part(Run, run_id), wanted["after"], LOG_BYTES), mimetype="text/plain"
    )


@blueprint.get("/runs/<int:run_id>/progress")
@needs("read")
@blueprint.arguments(EventArguments, location="query")
@blueprint.response(200, EventsBody)
def progress(wanted: dict, run_id: int) -> dict:
    """Give what the trainer has reported: phases, steps done, figures of each epoch."""
    run = get_part(Run, run_id)
    events, following = runs.read_progress(training.folder_of(run), wanted["after"], EVENT_BYTES)
    state = job_as_json(run.job)["state"]
    return {"events": [_as_event(event) for event in events], "next": following, "state": state}


@blueprint.get("/runs/<int:run_id>/run.yaml")
@needs("read")
@blueprint.response(200, {"type": "object"}, content_type="application/yaml")
def settings_file(run_id: int) -> Response:
    """Give the run's settings as a file with which `training.py --config` repeats it."""
    return run_files.settings_file(get_part(Run, run_id))


@blueprint.post("/runs/<int:run_id>/cancel")
@needs("train")
@blueprint.response(202, RunBody)
def cancel(run_id: int) -> dict:
    """End a run: at once where it waits, within seconds where it is at work."""
    run = get_part(Run, run_id, "editor")
    if run.job is None or run.job.state in queue.ENDS:
        state = job_as_json(run.job)["state"]
        abort(409, f"This run is {state}; only one that waits or is at work can be cancelled.")
    training.cancel(run)
    db.session.commit()
    return as_json(run)


@blueprint.post("/runs/<int:run_id>/resume")
@needs("train")
@blueprint.response(202, RunBody)
def resume(run_id: int) -> dict:
    """Take up a run that failed, was cancelled or was interrupted, from where it was."""
    run = get_part(Run, run_id, "editor")
    if run.job is None:
        abort(409, "This run can't be resumed any more. Start a new one.")
    try:
        training.resume(run)
    except queue.NotResumable as problem:
        abort(409, str(problem))
    db.session.commit()
    return as_json(run)


def as_json(run: Run) -> dict:
    """Return a run as the API shows it."""
    return {
        "id": run.id,
        "dataset": run.dataset.slug,
        "recipe": run.recipe,
        "backbone": run.backbone,
        "settings": {name: value for name, value in (run.settings or {}).items() if name != "code"},
        **job_as_json(run.job),
        "version": run.version.number if run.version else None,
        "promotion": run.version.promotion if run.version else None,
        "url": url_for("api_runs.show", run_id=run.id),
        "created_at": as_time(run.created_at),
    }


def _as_event(event: dict[str, Any]) -> dict[str, Any]:
    moment = event.get("time")
    is_moment = isinstance(moment, int | float) and 0 <= moment < 2**33
    time = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds") if is_moment else None
    return _finite({**event, "time": time and time.replace("+00:00", "Z")})


def _finite(value: Any) -> Any:
    """Return what JSON can say: a figure that is no number any more becomes null."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
