"""Changes over the API: what was done to items and labels, and how to take it back."""

from __future__ import annotations

from typing import Any

from flask import abort, url_for
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import defer

from datasets import editing, tasks
from datasets.changes import ChangeRefused
from models import Change, Dataset, db
from web.access import get_dataset, get_part
from web.api.frame import Noun, needs
from web.api.shapes import PageArguments, as_time, list_page, page_of

blueprint = Noun("changes", "What was changed, and can be taken back")


class ChangeBody(Schema):
    """One edit of items, labels or the task."""

    id = fields.Int(required=True)
    kind = fields.Str(required=True, metadata={"description": "relabel, delete, to-single or to-multi."})
    summary = fields.Str(required=True)
    created_at = fields.Str(required=True)
    undone_at = fields.Str(required=True, allow_none=True)
    undo = fields.Str(required=True, metadata={"description": "Where to POST to take it back."})


class UndoneBody(ChangeBody):
    """A change that was taken back."""

    gone = fields.Int(required=True, metadata={"description": "Images deleted for good meanwhile."})


@blueprint.get("/datasets/<slug>/changes")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(ChangeBody))
def index(page: dict, slug: str) -> dict:
    """List what was changed, newest first."""
    query = select(Change).filter_by(dataset_id=get_dataset(slug).id)
    what_stood_before = (defer(Change.before), defer(Change.labels))  # megabytes, where it was of many items
    return list_page(query.options(*what_stood_before), Change.id, as_json, page)


@blueprint.post("/changes/<int:change_id>/undo")
@needs("write")
@blueprint.response(200, UndoneBody)
def undo(change_id: int) -> dict:
    """Put back what stood before; a change of the task is its owners' to take back."""
    made = get_part(Change, change_id, "editor")
    dataset = db.session.get(Dataset, made.dataset_id)
    if made.kind in tasks.KINDS.values():
        get_dataset(dataset.slug, "owner")  # who may change the task may take that back
    editing.hold(dataset)
    try:
        gone = editing.undo(made)
    except ChangeRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    return {**as_json(made), "gone": gone}


def as_json(change: Change) -> dict[str, Any]:
    """Return a change as the API shows it."""
    return {
        "id": change.id,
        "kind": change.kind,
        "summary": change.summary,
        "created_at": as_time(change.created_at),
        "undone_at": as_time(change.undone_at),
        "undo": url_for("api_changes.undo", change_id=change.id),
    }
