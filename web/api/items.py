"""Items over the API: looked through, looked at, labelled, deleted."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, url_for
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import select

from datasets import datasets, editing
from datasets.changes import ChangeRefused
from datasets.names import NameRefused
from models import SPLITS, Change, Dataset, Item, db
from web import served_images
from web.access import get_dataset, get_part, get_user
from web.api import changes
from web.api.changes import ChangeBody
from web.api.frame import Noun, needs
from web.api.shapes import MAX_LABELS, NAME_LENGTH, PageArguments, Whole, as_time, page_of
from web.errors import Refused
from web.limits import limits

blueprint = Noun("items", "Images in a dataset, with their labels")

HOW = ("set", "add", "remove", "delete")
MAX_CHOSEN = 10_000  # items by their ids
SIZES = {"view": served_images.view, "thumbnail": served_images.thumbnail}
BINARY = {"type": "string", "format": "binary"}


class ItemBody(Schema):
    """One image of a dataset."""

    id = fields.Int(required=True)
    dataset = fields.Str(required=True, metadata={"description": "The dataset's slug."})
    file = fields.Str(required=True, metadata={"description": "The name it was sent under."})
    labels = fields.List(fields.Str(), required=True)
    split = fields.Str(required=True, validate=validate.OneOf(SPLITS))
    status = fields.Str(required=True, validate=validate.OneOf(datasets.STATUSES))
    format = fields.Str(required=True, metadata={"description": "JPEG, PNG, WEBP, GIF or BMP, as it is."})
    width = fields.Int(required=True, metadata={"description": "In pixels, upright."})
    height = fields.Int(required=True)
    size = fields.Int(required=True, metadata={"description": "Bytes, as they were sent."})
    sha256 = fields.Str(required=True, metadata={"description": "Of the bytes as they were sent."})
    image = fields.Str(required=True, metadata={"description": "Where to fetch the image."})
    url = fields.Str(required=True)
    created_at = fields.Str(required=True)
    deleted_at = fields.Str(required=True, allow_none=True)


class Where(Schema):
    """Which items of a dataset; what is left out does not matter."""

    label = fields.Str(
        validate=validate.Length(1, NAME_LENGTH),
        metadata={"description": "Only those that bear this label."},
    )
    split = fields.Str(validate=validate.OneOf(SPLITS))
    status = fields.Str(validate=validate.OneOf(datasets.STATUSES[:2]))


class ItemArguments(PageArguments, Where):
    """Which page of which items."""

    status = fields.Str(
        validate=validate.OneOf(datasets.STATUSES),
        metadata={"description": "deleted: those that can still be brought back; else they are left out."},
    )


class LabelNames(Schema):
    """The labels that an item is to bear."""

    labels = fields.List(fields.Str(), required=True, validate=validate.Length(max=MAX_LABELS))


class ItemsChange(Schema):
    """One change of many items: those of `items`, or all that `where` describes."""

    how = fields.Str(
        required=True,
        validate=validate.OneOf(HOW),
        metadata={"description": "set: exactly these labels; add, remove: leave the others alone; delete."},
    )
    labels = fields.List(fields.Str(), load_default=list, validate=validate.Length(max=MAX_LABELS))
    items = fields.List(Whole(), validate=validate.Length(1, MAX_CHOSEN), metadata={"description": "Ids."})
    where = fields.Nested(Where, metadata={"description": "Empty: all of them."})

    @validates_schema
    def _check_choice(self, sent: dict, **more: Any) -> None:
        if ("items" in sent) == ("where" in sent):
            raise ValidationError("Say which images: either `items` or `where`.", "items")


class ImageArguments(Schema):
    """How large an image is wanted."""

    size = fields.Str(
        load_default="view",
        validate=validate.OneOf(tuple(SIZES)),
        metadata={"description": "view: at most 1,600 pixels a side; thumbnail: a square of 256."},
    )


@blueprint.get("/datasets/<slug>/items")
@needs("read")
@blueprint.arguments(ItemArguments, location="query")
@blueprint.response(200, page_of(ItemBody))
def index(wanted: dict, slug: str) -> dict:
    """Page through a dataset's items, newest first."""
    dataset = get_dataset(slug)
    chosen = {name: wanted.get(name) for name in ("label", "split", "status")}
    page = datasets.page(dataset, **chosen, after=wanted["cursor"], size=wanted["limit"])
    following = None if page.next_after is None else str(page.next_after)
    return {
        "items": [as_json(item, slug) for item in page.items],
        "next": following,
        "total": page.total,
    }


@blueprint.post("/datasets/<slug>/items/change")
@needs("write")
@blueprint.arguments(ItemsChange)
@blueprint.response(200, ChangeBody)
def change_many(wanted: dict, slug: str) -> dict:
    """Label or delete many items at once; this can be undone."""
    dataset = get_dataset(slug, "editor")
    editing.hold(dataset)
    ids = _find_all(dataset, wanted["items"]) if "items" in wanted else _ids_of(dataset, wanted["where"])
    made = _change(dataset, ids, wanted["how"], wanted["labels"])
    db.session.commit()
    return changes.as_json(made)


def _find_all(dataset: Dataset, wanted: list[int]) -> list[int]:
    """Return the ids in order, each once; refuse those that are not the dataset's, or deleted."""
    theirs = select(Item.id).where(Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
    found = set(db.session.scalars(theirs.where(Item.id.in_(wanted))))
    if missing := [number for number in wanted if number not in found]:
        raise Refused(f"The dataset has no image {missing[0]}.", "items")
    return sorted(found)


def _ids_of(dataset: Dataset, where: dict[str, str]) -> list[int]:
    return datasets.ids_of(dataset, **where)


def _change(dataset: Dataset, ids: list[int], how: str, names: list[str]) -> Change:
    if not names and how in ("add", "remove"):
        raise Refused("Say which labels.", "labels")
    try:
        editing.check_count(ids)
        if how == "delete":
            return editing.delete_ids(dataset, ids, get_user())
        return editing.change_labels(dataset, ids, how, names, get_user())
    except (ChangeRefused, NameRefused) as refused:
        raise Refused(str(refused), "labels" if ids else None, word=refused.code) from refused


@blueprint.get("/items/<int:item_id>")
@needs("read")
@blueprint.response(200, ItemBody)
def show(item_id: int) -> dict:
    """Give one item."""
    item, dataset = _get(item_id)
    return as_json(item, dataset.slug)


@blueprint.patch("/items/<int:item_id>")
@needs("write")
@blueprint.arguments(LabelNames)
@blueprint.response(200, ItemBody)
def relabel(wanted: dict, item_id: int) -> dict:
    """Give an item exactly these labels; none takes them all away. This can be undone."""
    item, dataset = _get(item_id, "editor")
    editing.hold(dataset)
    _change(dataset, [item.id], "set", wanted["labels"])
    db.session.commit()
    return as_json(item, dataset.slug)


@blueprint.delete("/items/<int:item_id>")
@needs("write")
@blueprint.response(200, ChangeBody)
def delete(item_id: int) -> dict:
    """Delete an item; this can be undone until it is swept."""
    item, dataset = _get(item_id, "editor")
    editing.hold(dataset)
    made = _change(dataset, [item.id], "delete", [])
    db.session.commit()
    return changes.as_json(made)


@blueprint.get("/items/<int:item_id>/image")
@limits(rate="images")
@needs("read")
@blueprint.arguments(ImageArguments, location="query")
@blueprint.response(200, BINARY, content_type="image/jpeg")
@blueprint.alt_response(200, schema=BINARY, content_type="image/png")
@blueprint.alt_response(304, description="You have it already.")
def image(wanted: dict, item_id: int) -> Response:
    """Give an item's image, upright and without its metadata: as JPEG, or PNG where it was no JPEG."""
    item, _ = _get(item_id)
    return SIZES[wanted["size"]](item.filename)


def _get(item_id: int, role: str = "viewer") -> tuple[Item, Dataset]:
    """Return an item and its dataset; a deleted one is not found."""
    item = get_part(Item, item_id, role)
    if item.deleted_at is not None:
        abort(404, "This image was deleted. Undo that change to see it again.")
    return item, db.session.get(Dataset, item.dataset_id)


def as_json(item: Item, slug: str) -> dict[str, Any]:
    """Return an item of the dataset of that slug as the API shows it."""
    return {
        "id": item.id,
        "dataset": slug,
        "file": item.sent_name,
        "labels": sorted(label.name for label in item.labels),
        "split": item.split,
        "status": _status(item),
        "format": item.format,
        "width": item.width,
        "height": item.height,
        "size": item.size,
        "sha256": item.sha256,
        "image": url_for("api_items.image", item_id=item.id),
        "url": url_for("api_items.show", item_id=item.id),
        "created_at": as_time(item.created_at),
        "deleted_at": as_time(item.deleted_at),
    }


def _status(item: Item) -> str:
    if item.deleted_at is not None:
        return "deleted"
    return "labelled" if item.label_links else "unlabelled"
