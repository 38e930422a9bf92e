"""A version's mistakes over the API: its queues, and that an item's labels are right as they are."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from marshmallow import Schema, fields, validate

from datasets import editing, reviews
from datasets.changes import ChangeRefused
from models import SPLITS, Dataset, Item, Review, Version, db
from serving import evaluations
from serving.mistakes import Cell
from web.access import get_dataset, get_part, get_user
from web.answers import find_version
from web.api import items
from web.api.frame import Noun, answer_nothing, needs
from web.api.items import ItemBody
from web.api.shapes import NAME_LENGTH, PageArguments, as_time
from web.errors import Refused
from web.mistakes import QUEUES, STATES, Card, workspace

blueprint = Noun("mistakes", "What versions got wrong, and what was looked at and is right")


class MistakeArguments(PageArguments):
    """Which queue, and which page of it."""

    queue = fields.Str(
        load_default="wrong",
        validate=validate.OneOf(QUEUES),
        metadata={
            "description": "suspects: labels that may be wrong; unsure: hardly decided; alike: look-alikes."
        },
    )
    state = fields.Str(
        load_default="open",
        validate=validate.OneOf(("open", "done")),
        metadata={"description": "done: those relabelled, removed or left as they are since."},
    )
    true = fields.Str(
        validate=validate.Length(1, NAME_LENGTH), metadata={"description": "Of a cell: the label taught."}
    )
    predicted = fields.Str(
        validate=validate.Length(1, NAME_LENGTH), metadata={"description": "Of a cell: the label said."}
    )
    label = fields.Str(
        validate=validate.Length(1, NAME_LENGTH),
        metadata={"description": "Of a cell of a multi-label version: which label."},
    )
    decision = fields.Str(
        validate=validate.OneOf(evaluations.DECISIONS), metadata={"description": "What became of that label."}
    )


class GuessBody(Schema):
    """A label with its probability."""

    label = fields.Str(required=True)
    probability = fields.Float(required=True)


class MistakeBody(Schema):
    """One judged item, as it was taught and as it is."""

    item = fields.Nested(
        ItemBody, required=True, allow_none=True, metadata={"description": "null: it is gone."}
    )
    file = fields.Str(required=True)
    split = fields.Str(required=True, validate=validate.OneOf(SPLITS))
    taught = fields.List(
        fields.Str(), required=True, metadata={"description": "What the version was taught."}
    )
    probabilities = fields.List(
        fields.Nested(GuessBody),
        required=True,
        metadata={"description": "The likeliest labels and those taught, likeliest first."},
    )
    suggested = fields.List(
        fields.Str(),
        required=True,
        allow_none=True,
        metadata={"description": "What it should rather bear; null: nothing speaks against its own."},
    )
    state = fields.Str(required=True, allow_none=True, validate=validate.OneOf(STATES))
    alike = fields.List(fields.Int(), metadata={"description": "Look-alikes: the items that it looks like."})


class MistakesBody(Schema):
    """A page of a queue."""

    items = fields.List(fields.Nested(MistakeBody), required=True)
    next = fields.Str(required=True, allow_none=True, metadata={"description": "The next cursor."})
    total = fields.Int(required=True, metadata={"description": "How many in that state."})
    put_right = fields.Int(
        required=True, metadata={"description": "Items changed or removed since training."}
    )


class ReviewArguments(Schema):
    """What somebody says of an item's labels."""

    verdict = fields.Str(required=True, validate=validate.OneOf(("right",)))


class ReviewBody(Schema):
    """That somebody let an item's labels stand; it counts while they are what they were."""

    item = fields.Int(required=True)
    labels = fields.List(fields.Str(), required=True)
    user = fields.Str(required=True, allow_none=True)
    created_at = fields.Str(required=True)


@blueprint.get("/datasets/<slug>/versions/<int:number>/mistakes")
@needs("read")
@blueprint.arguments(MistakeArguments, location="query")
@blueprint.response(200, MistakesBody)
def index(wanted: dict, slug: str, number: int) -> dict:
    """Page through a queue of images that the version got wrong, those first that are most worth a look."""
    dataset = get_dataset(slug)
    place = workspace(dataset, version := find_version(dataset, number))
    queue = place.open(wanted["queue"], _cell(version, place.evaluation.has_several, wanted))
    is_done = wanted["state"] == "done"
    page = place.page(queue, wanted["cursor"], is_done, wanted["limit"])
    return {
        "items": [_as_json(card, slug) for card in page.cards],
        "next": None if page.next_after is None else str(page.next_after),
        "total": queue.done if is_done else queue.total - queue.done,
        "put_right": place.put_right,
    }


def _cell(version: Version, has_several: bool, wanted: dict[str, Any]) -> Cell:
    """Return the cell that is asked for by the names of labels; an empty one where none is."""
    if wanted["queue"] != "cell":
        return Cell()
    names = ("label", "decision") if has_several else ("true", "predicted")
    if missing := [name for name in names if name not in wanted]:
        raise Refused(f"Say which cell: {' and '.join(names)}.", missing[0], status=400)
    places = {name: _place(version, wanted[name], name) for name in names if name != "decision"}
    return Cell(**places, decision=wanted["decision"] if has_several else None)


def _place(version: Version, label: str, field: str) -> int:
    if label not in version.labels:
        raise Refused(f"This version has no label {label[:NAME_LENGTH]}.", field, status=400)
    return version.labels.index(label)


def _as_json(card: Card, slug: str) -> dict[str, Any]:
    return {
        "item": items.as_json(card.item, slug) if card.item else None,
        "file": card.name,
        "split": card.split,
        "taught": card.taught,
        "probabilities": [{"label": guess.label, "probability": guess.probability} for guess in card.guesses],
        "suggested": card.suggested,
        "state": card.state,
        "alike": [item.id for item in card.alike],
    }


@blueprint.post("/items/<int:item_id>/review")
@needs("write")
@blueprint.arguments(ReviewArguments)
@blueprint.response(201, ReviewBody)
def review(wanted: dict, item_id: int) -> dict:
    """Say that an item's labels are right: it comes back in no queue while they stay what they are."""
    item = get_part(Item, item_id, "editor")
    editing.hold(db.session.get(Dataset, item.dataset_id))
    try:
        made = reviews.leave(item, get_user())
    except ChangeRefused as refused:
        abort(404, str(refused))
    db.session.commit()
    return {
        "item": item.id,
        "labels": sorted(label.name for label in item.labels),
        "user": get_user().name,
        "created_at": as_time(made.created_at),
    }


@blueprint.delete("/items/<int:item_id>/review")
@needs("write")
@blueprint.response(204)
def take_back(item_id: int) -> Response:
    """Take that back."""
    item = get_part(Item, item_id, "editor")
    made: Review | None = reviews.find(item)
    if made is None:
        abort(404, "Nobody has said that this image's labels are right.")
    reviews.take_back(made)
    db.session.commit()
    return answer_nothing()
