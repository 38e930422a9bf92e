"""Labels of a dataset: rename one, put its images under another, or take it away."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from datasets import labels
from datasets.names import NameRefused
from datasets.overview import count_labels
from models import Dataset, Label, db
from web.access import get_dataset

blueprint = Blueprint("labels", __name__, url_prefix="/datasets/<slug>/labels")


@blueprint.get("")
def index(slug: str) -> str:
    """Show the labels with what can be done to them."""
    dataset = get_dataset(slug, "editor")
    return render_template("labels/index.html", dataset=dataset, bars=count_labels(dataset))


@blueprint.post("/<int:label_id>/rename")
def rename(slug: str, label_id: int) -> Response:
    """Give a label another name."""
    dataset = get_dataset(slug, "editor")
    label = _find(dataset, label_id)
    before = label.name
    try:
        labels.rename(label, request.form.get("name", ""))
    except NameRefused as error:
        flash(str(error), "danger")
    else:
        db.session.commit()
        flash(f"“{before}” is now “{label.name}”.", "success")
    return redirect(url_for("labels.index", slug=slug))


@blueprint.post("/<int:label_id>/merge")
def merge(slug: str, label_id: int) -> Response:
    """Put all images of one label under another, once its name has been typed."""
    dataset = get_dataset(slug, "editor")
    label = _find(dataset, label_id)
    into = request.form.get("into", "")
    is_number = into.isascii() and into.isdigit() and len(into) < 19
    if is_number and int(into) != label_id and _is_confirmed(label):
        other, before = _find(dataset, int(into)), label.name
        labels.merge(label, other)
        db.session.commit()
        flash(f"The images of “{before}” are now under “{other.name}”.", "success")
    return redirect(url_for("labels.index", slug=slug))


@blueprint.post("/<int:label_id>/delete")
def delete(slug: str, label_id: int) -> Response:
    """Take a label away, once its name has been typed; its images stay, without it."""
    dataset = get_dataset(slug, "editor")
    label = _find(dataset, label_id)
    if _is_confirmed(label):
        before = label.name
        labels.remove(label)
        db.session.commit()
        flash(f"The label “{before}” is deleted. Its images are still here, without it.", "success")
    return redirect(url_for("labels.index", slug=slug))


def _find(dataset: Dataset, label_id: int) -> Label:
    return db.session.scalar(select(Label).filter_by(id=label_id, dataset_id=dataset.id)) or abort(404)


def _is_confirmed(label: Label) -> bool:
    """Whether the label's name has been typed; says so when not."""
    if request.form.get("confirm", "").strip() == label.name:
        return True
    flash(f"Nothing was changed: type the name “{label.name}” to confirm.", "danger")
    return False
