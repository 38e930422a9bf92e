"""Runs: start one, watch it, cancel it, take it up again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from jobs import queue, training
from learning import backbones
from models import Dataset, Run, db
from web import phases, readiness, work
from web.access import get_dataset, get_user, has_role

blueprint = Blueprint("runs", __name__, url_prefix="/datasets/<slug>/runs")

RECIPES = ("quick",)
HISTORY = 50
LOG_BYTES = 20_000


@blueprint.get("/")
def index(slug: str) -> str:
    """Show what the dataset is ready for, the way to train and the runs so far."""
    return _index(get_dataset(slug))


@blueprint.post("/")
def start(slug: str) -> Any:
    """Start a run."""
    dataset = get_dataset(slug, "editor")
    recipe, backbone = _choice("recipe", RECIPES), _choice("backbone", tuple(backbones.BACKBONES))
    try:
        run = training.start_run(dataset, get_user(), recipe, backbone)
    except training.NotTrainable as problem:
        db.session.rollback()
        return _index(get_dataset(slug), str(problem)), 409
    db.session.commit()
    return _to(run, slug)


@blueprint.get("/embedding.json")
def embedding(slug: str) -> Response:
    """How far the dataset's images are embedded, for the page to follow."""
    return jsonify(work.embedding_of(get_dataset(slug)))


@blueprint.get("/<name>")
def show(slug: str, name: str) -> str:
    """Show a run: its phases, its log and what came of it."""
    dataset, run = _find(slug, name)
    return render_template(
        "runs/show.html",
        dataset=dataset,
        run=run,
        progress=_progress(run, slug),
        is_editor=has_role(get_user(), dataset, "editor"),
    )


@blueprint.get("/<name>/progress.json")
def progress(slug: str, name: str) -> Response:
    """The same as numbers, for the page to follow."""
    _, run = _find(slug, name)
    return jsonify(_progress(run, slug))


@blueprint.post("/<name>/cancel")
def cancel(slug: str, name: str) -> Response:
    """Ask a run to end."""
    _, run = _find(slug, name, "editor")
    if run.job is None:
        abort(409, "This run has ended already.")
    training.cancel(run)
    db.session.commit()
    return _to(run, slug)


@blueprint.post("/<name>/resume")
def resume(slug: str, name: str) -> Response:
    """Take up a run that failed, was cancelled or was interrupted."""
    _, run = _find(slug, name, "editor")
    if run.job is None:
        abort(409, "This run can't be resumed any more. Start a new one.")
    try:
        training.resume(run)
        db.session.commit()
    except queue.NotResumable as problem:
        db.session.rollback()
        flash(str(problem), "danger")
    return _to(run, slug)


def _find(slug: str, name: str, role: str = "viewer") -> tuple[Dataset, Run]:
    dataset = get_dataset(slug, role)
    run = db.session.scalar(select(Run).where(Run.dataset_id == dataset.id, Run.folder == name))
    if run is None:
        abort(404)
    return dataset, run


def _choice(field: str, choices: tuple[str, ...]) -> str:
    chosen = request.form.get(field, choices[0])
    if chosen not in choices:
        abort(422, f"There is no {field} {chosen[:60]!r}. Choose one of {', '.join(choices)}.")
    return chosen


def _to(run: Run, slug: str) -> Response:
    return redirect(url_for("runs.show", slug=slug, name=run.folder), 303)


def _index(dataset: Dataset, problem: str | None = None) -> str:
    query = select(Run).where(Run.dataset_id == dataset.id).order_by(Run.id.desc()).limit(HISTORY)
    return render_template(
        "runs/index.html",
        dataset=dataset,
        runs=db.session.scalars(query).all(),
        readiness=readiness.of(dataset),
        embedding=work.embedding_of(dataset),
        backbones=list(backbones.BACKBONES),
        problem=problem,
        is_editor=has_role(get_user(), dataset, "editor"),
        words=work.WORDS,
    )


def _progress(run: Run, slug: str) -> dict[str, Any]:
    """The job's state with the run folder's phases and the end of its log: read from there at every call."""
    events, _ = training.progress(run)
    job = work.describe(run.job)
    version = run.version
    return {
        **job,
        "phases": phases.of(events, job),
        "percent": 100 if job["state"] == "finished" else phases.percent(events),
        "log": training.log(run, LOG_BYTES),
        "next": version and url_for("versions.show", slug=slug, number=version.number),
    }
