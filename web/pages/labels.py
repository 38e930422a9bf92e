"""Labels of a dataset: rename one, put its images under another, or take it away."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from datasets import labels
from datasets.names import NameRefused
from models import Dataset, Label, db
from web.access import get_dataset, get_user
from web.pages.datasets import bars_of
from web.pages.items import offer_undo

blueprint = Blueprint("labels", __name__, url_prefix="/datasets/<slug>/labels")


@blueprint.get("")
def index(slug: str) -> str:
    """Show the labels with what can be done to them."""
    dataset = get_dataset(slug, "editor")
    return render_template("labels/index.html", dataset=dataset, bars=bars_of(dataset))


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
    """Put all images of one label under another, and offer to undo it."""
    dataset = get_dataset(slug, "editor")
    into = request.form.get("into", "")
    if not (into.isascii() and into.isdigit() and len(into) < 19):
        flash("Choose the label to merge into.", "danger")
        return redirect(url_for("labels.index", slug=slug))
    try:
        made = labels.merge(_find(dataset, label_id), _find(dataset, int(into)), get_user())
    except NameRefused as error:
        flash(str(error), "danger")
    else:
        db.session.commit()
        offer_undo(dataset, made)
    return redirect(url_for("labels.index", slug=slug))


@blueprint.post("/<int:label_id>/delete")
def delete(slug: str, label_id: int) -> Response:
    """Take a label away, and offer to undo it; its images stay, without it."""
    dataset = get_dataset(slug, "editor")
    made = labels.delete(_find(dataset, label_id), get_user())
    db.session.commit()
    offer_undo(dataset, made)
    return redirect(url_for("labels.index", slug=slug))


def _find(dataset: Dataset, label_id: int) -> Label:
    return db.session.scalar(select(Label).filter_by(id=label_id, dataset_id=dataset.id)) or abort(404)
