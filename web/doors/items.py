"""KerasUI's door: the images of datasets, each with its label."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Select, select

from datasets import editing
from datasets.checking import read_bytes
from datasets.datasets import NameRefused
from datasets.editing import ChangeRefused
from models import Dataset, Item, Member, db
from web.doors import rest
from web.errors import Refused
from web.limits import limits
from web.sent_images import take

blueprint = Blueprint("kerasui_items", __name__, url_prefix="/api/datasetitem")


@blueprint.get("/")
@rest.needs("read")
def index() -> dict[str, Any]:
    """Page through the images of all of the user's datasets, oldest first."""
    return rest.page(_seen_items().order_by(Item.id), as_json)


@blueprint.post("/")
@limits(body="MAX_IMAGE_BATCH", rate="upload", is_reading=True)
@rest.needs("write")
def add() -> tuple[dict[str, Any], int]:
    """Add an image with its label; one that is there already with this label is given as it is."""
    sent = rest.read_fields()
    dataset = rest.get_numbered(rest.read_dataset_number(sent), "editor")
    names = _read_labels(sent, dataset)
    item, is_new = _take(dataset.slug, rest.read_image(sent), names)
    return as_json(item), 201 if is_new else 200


@blueprint.get("/<int:number>/")
@rest.needs("read")
def show(number: int) -> dict[str, Any]:
    """Give one image."""
    return as_json(_get(number))


@blueprint.route("/<int:number>/", methods=["PUT", "PATCH"])
@limits(body="MAX_IMAGE_BATCH", rate="upload")
@rest.needs("write")
def change(number: int) -> dict[str, Any]:
    """Give an image another label, or put another image with a number of its own in its place."""
    sent, item = rest.read_fields(), _get(number)
    dataset = rest.get_numbered(item.dataset_id, "editor")
    is_whole = request.method == "PUT"
    if sent.get("dataset") not in (None, "") and rest.read_dataset_number(sent) != dataset.id:
        raise Refused("An image stays in its dataset. Add it to the other one instead.", "dataset")
    names = _read_labels(sent, dataset) if is_whole or "label" in sent else _labels_of(item)
    if is_whole or "image" in sent:
        name, content = rest.read_image(sent)
        if sha256(content).hexdigest() != item.sha256:
            return as_json(_exchange(dataset, item, (name, content), names))
    if names != _labels_of(item):
        _relabel(dataset, item, names)
    return as_json(item)


@blueprint.delete("/<int:number>/")
@rest.needs("write")
def delete(number: int) -> Response:
    """Delete an image; the dataset's page can take that back for a while."""
    item = _get(number)
    _delete(rest.get_numbered(item.dataset_id, "editor"), item)
    return Response(status=204)


def as_json(item: Item) -> dict[str, Any]:
    """Return an item as KerasUI shows it, and its number; several labels stand with | between them."""
    url = url_for("kerasui_items.show", number=item.id, _external=True)
    image = url_for("api_items.image", item_id=item.id, _external=True)
    label = "|".join(_labels_of(item))
    return {"id": item.id, "url": url, "label": label, "image": image, "dataset": item.dataset_id}


def _seen_items() -> Select:
    user, query = rest.the_user(), select(Item).where(Item.deleted_at.is_(None))
    if user.is_admin:
        return query
    return query.where(Item.dataset_id.in_(select(Member.dataset_id).filter_by(user_id=user.id)))


def _get(number: int) -> Item:
    return db.first_or_404(_seen_items().where(Item.id == number))


def _labels_of(item: Item) -> list[str]:
    return sorted(label.name for label in item.labels)


def _read_labels(sent: dict[str, Any], dataset: Dataset) -> list[str]:
    label = rest.read_text(sent, "label")
    return [label] if dataset.task == "single-label" else [name for name in label.split("|") if name.strip()]


def _take(slug: str, image: tuple[str, bytes], names: list[str]) -> tuple[Item, bool]:
    """Take an image in and commit; return its item and whether it is new."""
    (taken,) = take(slug, [read_bytes(*image, tuple(names))])
    if taken.outcome == "refused":
        raise Refused(taken.message, "label" if "label" in taken.code else "image")
    if taken.outcome == "skipped" and not set(names) <= set(_labels_of(taken.item)):
        theirs = ", ".join(_labels_of(taken.item)) or "nothing"
        advice = f"It is item {taken.item.id}: PATCH that one's label."
        raise Refused(f"The dataset has this image already, labelled {theirs}. {advice}", "image")
    return taken.item, taken.outcome == "added"


def _exchange(dataset: Dataset, item: Item, image: tuple[str, bytes], names: list[str]) -> Item:
    number, slug = item.id, dataset.slug
    instead, _ = _take(slug, image, names)
    _delete(rest.get_numbered(instead.dataset_id, "editor"), db.session.get(Item, number))
    return db.session.get(Item, instead.id)


def _relabel(dataset: Dataset, item: Item, names: list[str]) -> None:
    editing.hold(dataset)
    try:
        editing.change_labels(dataset, [item.id], "set", names, rest.the_user())
    except (ChangeRefused, NameRefused) as refused:
        raise Refused(str(refused), "label") from refused
    db.session.commit()


def _delete(dataset: Dataset, item: Item) -> None:
    editing.hold(dataset)
    editing.delete_ids(dataset, [item.id], rest.the_user())
    db.session.commit()
