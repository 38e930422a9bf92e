"""Datasets: make one, look through its items, change what it is and how it is shown."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from datasets import datasets, editing, tasks
from datasets.changes import ChangeRefused
from datasets.labels import LabelCount, count_labels
from datasets.members import list_members
from datasets.names import NameRefused
from jobs.imports import start_import
from models import ROLES, SPLITS, Dataset, db
from web.access import get_dataset, get_user
from web.forms import TASK_CHOICES, DatasetForm, DatasetSettingsForm, MemberForm
from web.inputs import read_number

blueprint = Blueprint("datasets", __name__, url_prefix="/datasets")
DIGITS_NAME = "Handwritten digits"


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response | str | tuple[str, int]:
    """Make a dataset, and go on to adding images."""
    form = DatasetForm()
    if not form.validate_on_submit():
        return render_template("datasets/new.html", form=form), 422 if form.errors else 200
    try:
        dataset = datasets.create(form.name.data, get_user(), form.task.data, form.description.data or "")
    except NameRefused as error:
        form.name.errors = [str(error)]
        return render_template("datasets/new.html", form=form), 422
    db.session.commit()
    return redirect(url_for("imports.index", slug=dataset.slug))


@blueprint.post("/digits")
def digits() -> Response:
    """Make a dataset of the sample digits and start bringing them in."""
    user = get_user()
    dataset = datasets.create(DIGITS_NAME, user, description="1,797 digits that people wrote, 8 × 8 pixels.")
    import_ = start_import(dataset, user, "digits", "the sample digits")
    db.session.commit()
    return redirect(url_for("imports.show", slug=dataset.slug, import_id=import_.id))


@blueprint.get("/<slug>/")
def show(slug: str) -> str:
    """Show the items of a dataset, a page at a time, all of them or those of a label or split."""
    dataset = get_dataset(slug)
    chosen = read_filters()
    page = datasets.page(dataset, **chosen, after=read_number("after"), before=read_number("before"))
    return render_template(
        "datasets/show.html",
        dataset=dataset,
        page=page,
        bars=bars_of(dataset),
        total_items=dataset.counts.get("items", 0),
        unlabelled=dataset.counts.get("unlabelled", 0),
        split_counts=dataset.counts.get("splits", {}),
        splits=SPLITS,
        label=chosen["label"],
        split=chosen["split"],
        filters={name: value for name, value in chosen.items() if value is not None},
        back=request.full_path,
    )


def read_filters() -> dict[str, str | None]:
    """Return the label (empty: those without one) and the split asked for; an unknown split is a 404."""
    split = request.args.get("split") or None
    if split and split not in SPLITS:
        abort(404)
    return {"label": request.args.get("label"), "split": split}


def bars_of(dataset: Dataset) -> list[LabelCount]:
    """Return the dataset's labels with their counts, those with most items first."""
    return sorted(count_labels(dataset), key=lambda label: (-label.count, label.name))


@blueprint.route("/<slug>/settings", methods=["GET", "POST"])
def settings(slug: str) -> Response | str | tuple[str, int]:
    """Show who may use the dataset; let owners rename, describe, open and close it."""
    dataset = get_dataset(slug, "owner" if request.method == "POST" else "viewer")
    form = DatasetSettingsForm(obj=dataset)
    if not form.validate_on_submit():
        return settings_page(dataset, form), 422 if form.errors else 200
    try:
        datasets.rename(dataset, form.name.data)
    except NameRefused as error:
        form.name.errors = [str(error)]
        return settings_page(dataset, form), 422
    dataset.description = form.description.data or ""
    dataset.is_public = form.is_public.data
    dataset.prediction_days = form.prediction_days.data
    dataset.is_promoting = form.is_promoting.data
    db.session.commit()
    flash("Saved.", "success")
    return redirect(url_for("datasets.settings", slug=dataset.slug))


@blueprint.route("/<slug>/task", methods=["GET", "POST"])
def task(slug: str) -> Response | str | tuple[str, int]:
    """Show what changing the task would do, and do it: confirmed by name where labels would be lost."""
    dataset = get_dataset(slug, "owner")
    if request.method == "GET":
        return _task_page(dataset)
    editing.hold(dataset)
    if request.form.get("task") != tasks.other_task(dataset):
        return _task_page(dataset, "The task was changed meanwhile; this is what it is now."), 409
    if tasks.look_ahead(dataset).several and request.form.get("confirm", "").strip() != dataset.name:
        return _task_page(dataset, f"Nothing was changed: type the name “{dataset.name}” to confirm."), 422
    try:
        made = tasks.change_task(dataset, get_user(), request.form.get("rule"))
    except ChangeRefused as refused:
        return _task_page(dataset, str(refused)), 422
    db.session.commit()
    undo = url_for("items.undo", slug=slug, change_id=made.id, back=url_for("datasets.settings", slug=slug))
    flash({"text": made.summary, "undo": undo}, "success")
    return redirect(url_for("datasets.settings", slug=slug))


def _task_page(dataset: Dataset, problem: str | None = None) -> str:
    return render_template(
        "datasets/task.html",
        dataset=dataset,
        outlook=tasks.look_ahead(dataset),
        rules=tasks.RULES,
        rule=request.form.get("rule", "rarest"),
        words=dict(TASK_CHOICES),
        live=dataset.live_version,
        problem=problem,
    )


def settings_page(dataset: Dataset, form: DatasetSettingsForm | None = None, **more: Any) -> str:
    """Return the settings page (members' forms show it again with what was wrong)."""
    return render_template(
        "datasets/settings.html",
        dataset=dataset,
        form=form or DatasetSettingsForm(formdata=None, obj=dataset),
        member_form=more.pop("member_form", None) or MemberForm(formdata=None),
        members=list_members(dataset),
        roles=ROLES,
        task_words=dict(TASK_CHOICES)[dataset.task],
        **more,
    )


@blueprint.post("/<slug>/delete")
def delete(slug: str) -> Response:
    """Delete the dataset for good, once its name has been typed."""
    dataset = get_dataset(slug, "owner")
    if request.form.get("confirm", "").strip() != dataset.name:
        flash(f"Nothing was deleted: type the name “{dataset.name}” to confirm.", "danger")
        return redirect(url_for("datasets.settings", slug=slug))
    name = dataset.name
    datasets.delete(dataset)
    db.session.commit()
    flash(f"“{name}” is deleted.", "success")
    return redirect(url_for("home.index"))
