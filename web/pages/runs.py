"""Runs: start one, watch it, cancel it, take it up again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from jobs import disk, queue, training
from learning import choices
from models import Dataset, Run, db
from web import comparing, curves, phases, readiness, run_charts, run_files, waiting, work
from web.access import get_dataset, get_user, has_role
from web.formats import file_size
from web.recipes.fields import Form, FormRefused
from web.recipes.offered import RECIPES

blueprint = Blueprint("runs", __name__, url_prefix="/datasets/<slug>/runs")

HISTORY = 50
LOG_BYTES = 20_000


@blueprint.get("/")
def index(slug: str) -> str:
    """Show what the dataset is ready for, the ways to train and the runs so far."""
    dataset = get_dataset(slug)
    return page(dataset, _recipe(request.args), Form(_settings_before(dataset)))


@blueprint.post("/")
def start(slug: str) -> Any:
    """Start a run, or show the form again with what is wrong with it."""
    dataset = get_dataset(slug, "editor")
    recipe = _recipe(request.form)
    if refusal := RECIPES[recipe].refusal(dataset):
        abort(409, refusal)
    try:
        settings = RECIPES[recipe].read(dataset, request.form, request.files)
        run = training.start_run(dataset, get_user(), recipe, settings.pop("backbone"), settings)
    except FormRefused as wrong:
        return page(dataset, recipe, Form(request.form, wrong.errors)), 422
    except training.NotTrainable as problem:
        db.session.rollback()
        return page(get_dataset(slug), recipe, Form(request.form), str(problem)), 409
    db.session.commit()
    return _to(run, slug)


@blueprint.post("/clear")
def clear(slug: str) -> Response:
    """Delete what no version needs of the dataset's runs, once its name has been typed."""
    dataset = get_dataset(slug, "editor")
    if request.form.get("confirm", "").strip() != dataset.name:
        flash(f"Nothing was deleted: type the name “{dataset.name}” to confirm.", "danger")
        return redirect(url_for("runs.index", slug=slug), 303)
    paths = disk.clear(dataset)
    db.session.commit()
    flash(f"{file_size(disk.remove(paths))} cleared.", "success")
    return redirect(url_for("runs.index", slug=slug), 303)


@blueprint.get("/embedding.json")
def embedding(slug: str) -> Response:
    """How far the dataset's images are embedded, for the page to follow."""
    return jsonify(work.embedding_of(get_dataset(slug)))


@blueprint.get("/<name>")
def show(slug: str, name: str) -> str:
    """Show a run: its phases, its log and what came of it."""
    dataset, run = _find(slug, name)
    drawn, settings = _curves(run), comparing.settings_of(run)
    return render_template(
        "runs/show.html",
        dataset=dataset,
        run=run,
        progress=_progress(run, slug),
        settings=_in_words(settings),
        code=settings.get("code"),
        is_repeatable=_refusal_to_repeat(run) is None,
        metric_words=drawn.metric_words,
        has_curves=run.recipe in choices.LEARNING or bool(drawn.ends),
        limits=current_app.config["PIGEONHOLE"],
        is_editor=has_role(get_user(), dataset, "editor"),
    )


@blueprint.get("/<name>/charts/<which>.json")
def chart(slug: str, name: str, which: str) -> Response:
    """One of the run's charts, loss, metric or rates, for static/charts.js to draw."""
    _, run = _find(slug, name)
    drawn = _curves(run)
    if which == "rates":
        text = run_charts.rate_curve(drawn.rates(), drawn.suggested())
    elif which in ("loss", "metric"):
        words = drawn.metric_words if which == "metric" else "Loss"
        text = run_charts.epoch_curve(drawn.epochs(), which, words)
    else:
        abort(404)
    return current_app.response_class(text, mimetype="application/json")


@blueprint.get("/<name>/run.yaml")
def settings_file(slug: str, name: str) -> Response:
    """Give the run's settings as a file with which `training.py --config` repeats it."""
    _, run = _find(slug, name)
    return run_files.settings_file(run)


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


@blueprint.post("/<name>/again")
def again(slug: str, name: str) -> Response:
    """Start a new run with the settings of this one, on the images as they are now."""
    dataset, run = _find(slug, name, "editor")
    if refusal := _refusal_to_repeat(run):
        abort(409, refusal)
    try:
        fresh = training.start_run(dataset, get_user(), run.recipe, run.backbone, run.settings)
    except training.NotTrainable as problem:
        abort(409, str(problem))
    db.session.commit()
    return _to(fresh, slug)


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


def _refusal_to_repeat(run: Run) -> str | None:
    """Why the run's settings can't be trained with again; None where they can."""
    if run.recipe == "uploaded":
        return "Upload the model again to measure it again."
    return RECIPES[run.recipe].refusal(run.dataset) if run.recipe in RECIPES else "This recipe is gone."


def _recipe(given: Mapping[str, str]) -> str:
    """The recipe that the form or the address names; the first where they name none."""
    chosen = given.get("recipe", next(iter(RECIPES)))
    if chosen not in RECIPES:
        abort(422, f"There is no recipe {chosen[:60]!r}. Choose one of {', '.join(RECIPES)}.")
    return chosen


def _settings_before(dataset: Dataset) -> dict[str, Any]:
    """The settings of the run that the address names with `from`, to begin with them; else none."""
    if "from" not in request.args:
        return {}
    _, run = _find(dataset.slug, request.args["from"])
    return {"backbone": run.backbone, **(run.settings or {})}


def _to(run: Run, slug: str) -> Response:
    return redirect(url_for("runs.show", slug=slug, name=run.folder), 303)


def page(
    dataset: Dataset,
    recipe: str,
    form: Form,
    problem: str | None = None,
    samples: dict[str, Any] | None = None,
) -> str:
    """The train page with one recipe's form, and under it the `samples` asked for."""
    query = select(Run).where(Run.dataset_id == dataset.id).order_by(Run.id.desc()).limit(HISTORY)
    return render_template(
        "runs/index.html",
        dataset=dataset,
        runs=db.session.scalars(query).all(),
        readiness=readiness.of(dataset),
        recipes=RECIPES,
        chosen=recipe,
        refusal=RECIPES[recipe].refusal(dataset),
        form=form,
        facts=RECIPES[recipe].facts(dataset),
        problem=problem,
        samples=samples,
        disk=disk.usage(dataset),
        is_editor=has_role(get_user(), dataset, "editor"),
        words=work.WORDS,
    )


def _curves(run: Run) -> curves.Curves:
    events = training.progress(run)
    return curves.Curves(events, comparing.settings_of(run).get("task", run.dataset.task))


def _in_words(settings: dict[str, Any]) -> dict[str, str]:
    shown = {name: value for name, value in settings.items() if name != "code"}
    return {comparing.as_words(name): comparing.as_text(value) for name, value in shown.items()}


def _progress(run: Run, slug: str) -> dict[str, Any]:
    """The job's state with the run folder's phases and the end of its log: read from there at every call."""
    events = training.progress(run)
    job = work.describe(run.job)
    version = run.version
    return {
        **job,
        "when": waiting.when(run.job),
        "phases": phases.of(events, job, run.recipe, run.settings or {}),
        "curves": curves.Curves(events).as_json(),
        "percent": 100 if job["state"] == "finished" else phases.percent(events),
        "log": training.log(run, LOG_BYTES) or "Nothing yet.",
        "verdict": version.promotion["sentence"] if version and version.promotion else "",
        "next": version and url_for("versions.show", slug=slug, number=version.number),
    }
