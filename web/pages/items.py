"""Items: one image large, labelling and deleting a selection, and taking a change back."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from datasets import datasets, editing, tasks
from datasets.editing import ChangeRefused, NameRefused
from models import Change, Dataset, Item, db
from web.access import get_dataset, get_user
from web.inputs import local_address
from web.pages.datasets import read_filters

blueprint = Blueprint("items", __name__, url_prefix="/datasets/<slug>")
MAX_CHOSEN = 500  # more than any page shows
# What a form's action does to labels; "set" may leave none, "relabel" wants one.
HOW = {"relabel": "set", "set": "set", "clear": "set", "add": "add", "remove": "remove"}


@blueprint.get("/items/<int:item_id>")
def show(slug: str, item_id: int) -> str:
    """Show one item large, with its facts and its neighbours."""
    dataset = get_dataset(slug)
    item = db.session.scalar(select(Item).filter_by(id=item_id, dataset_id=dataset.id)) or abort(404)
    filters = read_filters()
    return render_template(
        "items/show.html",
        dataset=dataset,
        item=item,
        filters={name: value for name, value in filters.items() if value is not None},
        previous=_neighbour(dataset, filters, before=item.id),  # newer, as on the page of all
        next=_neighbour(dataset, filters, after=item.id),
    )


def _neighbour(dataset: Dataset, filters: dict[str, str | None], **side: int) -> int | None:
    found = datasets.page(dataset, **filters, **side, size=1).items
    return found[0].id if found else None


@blueprint.post("/items/change")
def change(slug: str) -> Response:
    """Label or delete the items chosen, and offer to undo it."""
    dataset = get_dataset(slug, "editor")
    back = local_address(request.form.get("back", ""), url_for("datasets.show", slug=slug))
    editing.hold(dataset)
    try:
        made = _make_change(dataset, _chosen_ids(dataset), request.form.get("action", ""))
    except (ChangeRefused, NameRefused) as error:
        flash(str(error), "danger")
        return redirect(back)
    db.session.commit()
    offer_undo(dataset, made)
    return redirect(back)


def _chosen_ids(dataset: Dataset) -> list[int]:
    """Return the ids of the dataset's items that were ticked, or of all that the filter shows (`all`)."""
    if request.form.get("all"):
        label, split = request.form.get("filter_label"), request.form.get("filter_split") or None
        return datasets.ids_of(dataset, label, split)
    sent = request.form.getlist("item")[:MAX_CHOSEN]
    numbers = [int(text) for text in sent if text.isascii() and text.isdigit() and len(text) <= 18]
    ours = select(Item.id).where(
        Item.id.in_(numbers), Item.dataset_id == dataset.id, Item.deleted_at.is_(None)
    )
    return list(db.session.scalars(ours.order_by(Item.id)))


def _make_change(dataset: Dataset, ids: list[int], action: str) -> Change:
    if not ids:
        raise ChangeRefused("Choose at least one image first.")
    editing.check_count(ids)
    if action == "delete":
        return editing.delete_ids(dataset, ids, get_user())
    if action not in HOW:
        abort(400, "Choose to label or to delete.")
    names = [name for name in request.form.getlist("label") if name.strip()]
    if action == "clear":
        names = []
    elif not names and action != "set":
        raise ChangeRefused("Type the new label first.")
    return editing.change_labels(dataset, ids, HOW[action], names, get_user())


def offer_undo(dataset: Dataset, made: Change) -> None:
    """Say what was changed, with a button that takes it back."""
    undo = url_for("items.undo", slug=dataset.slug, change_id=made.id, back=request.form.get("back"))
    flash({"text": made.summary, "undo": undo}, "success")


@blueprint.post("/changes/<int:change_id>/undo")
def undo(slug: str, change_id: int) -> Response:
    """Put back what stood before a change."""
    dataset = get_dataset(slug, "editor")
    made = db.session.scalar(select(Change).filter_by(id=change_id, dataset_id=dataset.id)) or abort(404)
    if made.kind in tasks.KINDS.values():
        get_dataset(slug, "owner")  # who may change the task may take that back
    editing.hold(dataset)
    try:
        gone = editing.undo(made)
    except ChangeRefused as error:
        abort(409, str(error))
    db.session.commit()
    flash(_describe_undone(gone), "success")
    return redirect(local_address(request.args.get("back", ""), url_for("datasets.show", slug=slug)))


def _describe_undone(gone: int) -> str:
    if not gone:
        return "Taken back: everything is as it was before."
    images = "1 image was" if gone == 1 else f"{gone:,} images were"
    return f"Taken back, as far as can be: {images} deleted for good meanwhile."
