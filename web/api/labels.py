"""Labels over the API: listed, added, renamed, merged, taken away."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from datasets import editing, labels
from datasets.names import NameRefused, NameTaken
from models import Dataset, Label, db
from web.access import get_dataset, get_part, get_user
from web.api import changes
from web.api.changes import ChangeBody
from web.api.datasets import LabelBody, label_as_json
from web.api.frame import Noun, needs
from web.api.shapes import NAME_LENGTH, PageArguments, Whole, list_page, page_of
from web.errors import Refused

blueprint = Noun("labels", "Class names of datasets")


class LabelName(Schema):
    """What a label is called."""

    name = fields.Str(required=True, validate=validate.Length(1, NAME_LENGTH))


class Target(Schema):
    """The label to merge into."""

    into = Whole(required=True, metadata={"description": "The id of another label of the same dataset."})


@blueprint.get("/datasets/<slug>/labels")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(LabelBody))
def index(page: dict, slug: str) -> dict:
    """List a dataset's labels with their counts, the oldest first."""
    dataset = get_dataset(slug)
    query = select(Label).filter_by(dataset_id=dataset.id)
    return list_page(query, Label.id, lambda one: label_as_json(dataset, one), page, is_oldest_first=True)


@blueprint.post("/datasets/<slug>/labels")
@needs("write")
@blueprint.arguments(LabelName)
@blueprint.response(201, LabelBody)
def add(wanted: dict, slug: str) -> tuple[dict, int, dict]:
    """Add a label that no image bears yet."""
    dataset = get_dataset(slug, "editor")
    try:
        label = labels.create(dataset, wanted["name"])
    except NameRefused as refused:
        raise _not_taken(refused) from refused
    db.session.commit()
    return label_as_json(dataset, label), 201, {"Location": url_for("api_labels.show", label_id=label.id)}


def _not_taken(refused: NameRefused) -> Refused:
    status = 409 if isinstance(refused, NameTaken) else 422
    return Refused(str(refused), "name", word=refused.code, status=status)


@blueprint.get("/labels/<int:label_id>")
@needs("read")
@blueprint.response(200, LabelBody)
def show(label_id: int) -> dict:
    """Give one label with its counts."""
    return _as_json(get_part(Label, label_id))


@blueprint.patch("/labels/<int:label_id>")
@needs("write")
@blueprint.arguments(LabelName)
@blueprint.response(200, LabelBody)
def rename(wanted: dict, label_id: int) -> dict:
    """Give a label another name."""
    label = get_part(Label, label_id, "editor")
    try:
        labels.rename(label, wanted["name"])
    except NameRefused as refused:
        raise _not_taken(refused) from refused
    db.session.commit()
    return _as_json(label)


@blueprint.post("/labels/<int:label_id>/merge")
@needs("write")
@blueprint.arguments(Target)
@blueprint.response(200, ChangeBody)
def merge(wanted: dict, label_id: int) -> dict:
    """Put all images of one label under another, and take the first away; this can be undone."""
    label = get_part(Label, label_id, "editor")
    into = db.session.scalar(select(Label).filter_by(id=wanted["into"], dataset_id=label.dataset_id))
    if into is None:
        raise Refused("The dataset has no such label to merge into.", "into")
    editing.hold(_dataset_of(label))
    try:
        made = labels.merge(label, into, get_user())
    except NameRefused as refused:
        raise Refused(str(refused), "into", word=refused.code) from refused
    db.session.commit()
    return changes.as_json(made)


@blueprint.delete("/labels/<int:label_id>")
@needs("write")
@blueprint.response(200, ChangeBody)
def delete(label_id: int) -> dict:
    """Take a label away; its images stay, without it. This can be undone."""
    label = get_part(Label, label_id, "editor")
    editing.hold(_dataset_of(label))
    made = labels.delete(label, get_user())
    db.session.commit()
    return changes.as_json(made)


def _dataset_of(label: Label) -> Dataset:
    return db.session.get(Dataset, label.dataset_id)


def _as_json(label: Label) -> dict[str, Any]:
    return label_as_json(_dataset_of(label), label)
