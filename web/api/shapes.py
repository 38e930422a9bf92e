"""What several nouns of the API share: kinds of fields, lists with a cursor, times, a job's progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import abort, request
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, func, select

from models import STATES, Job, db
from web.inputs import LARGEST_NUMBER

DEFAULT_LIMIT, MAX_LIMIT = 50, 500
NAME_LENGTH = 100
MAX_LABELS = 1_000  # in one request


class Whole(fields.Field[int]):
    """A whole number in JSON."""

    default_error_messages = {"invalid": "Send a whole number."}

    def _deserialize(self, value: Any, *args: Any, **more: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_NUMBER:
            raise self.make_error("invalid")
        return value


class Digits(Whole):
    """A whole number in an address."""

    def _deserialize(self, value: Any, *args: Any, **more: Any) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 19:
            raise self.make_error("invalid")
        return super()._deserialize(int(value), *args, **more)


class Truth(fields.Field[bool]):
    """JSON's true or false and nothing else."""

    default_error_messages = {"invalid": "Send true or false."}

    def _deserialize(self, value: Any, *args: Any, **more: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Number(fields.Field[float]):
    """A finite JSON number."""

    default_error_messages = {"invalid": "Send a number."}

    def _deserialize(self, value: Any, *args: Any, **more: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.make_error("invalid")
        return value


# The kinds above, in the words of the OpenAPI.
OPENAPI_TYPES = {Whole: "integer", Digits: "integer", Truth: "boolean", Number: "number"}


class PageArguments(Schema):
    """Which page of a list."""

    limit = Digits(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_LIMIT, error=f"Choose 1 to {MAX_LIMIT}."),
        metadata={"description": "How many at most."},
    )
    cursor = Digits(load_default=None, metadata={"minimum": 0, "description": "`next` of the page before."})


class Progress(Schema):
    """Where a job stands."""

    state = fields.Str(validate=validate.OneOf(STATES))
    phase = fields.Str(allow_none=True)
    done = fields.Int()
    total = fields.Int(allow_none=True)
    message = fields.Str(allow_none=True)


def page_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a list of these: `{"items", "next", "total"}`."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(schema), required=True),
            "next": fields.Str(required=True, allow_none=True, metadata={"description": "The next cursor."}),
            "total": fields.Int(required=True),
        },
        name=f"{schema.__name__}Page",
    )


def list_page(
    query: Select,
    identifier: Any,
    as_json: Callable[[Any], dict],
    page: dict[str, Any],
    is_oldest_first: bool = False,
) -> dict:
    """Return one page of `query`, newest first, as `{"items", "next", "total"}`.

    Args:
        query: selects rows of one table, not ordered yet.
        identifier: the table's id column; the cursor is the id of the last row shown.
        as_json: makes a row into what the list holds.
        page: the arguments of PageArguments.
        is_oldest_first: begin with the first row instead.
    """
    total = db.session.scalar(select(func.count()).select_from(query.subquery()))
    if page["cursor"] is not None:
        is_further = identifier > page["cursor"] if is_oldest_first else identifier < page["cursor"]
        query = query.where(is_further)
    limit, order = page["limit"], identifier.asc() if is_oldest_first else identifier.desc()
    rows = list(db.session.scalars(query.order_by(order).limit(limit + 1)))
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return {"items": [as_json(row) for row in rows[:limit]], "next": following, "total": total}


def as_time(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, in UTC, as `2026-01-31T12:00:00Z`."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def check_fields(*known: str) -> None:
    """Abort with 400 at the first field of the form that is not one of `known`."""
    if unknown := sorted({*request.form, *request.files} - set(known)):
        abort(400, f"Unknown field {unknown[0][:100]!r}. Known are: {', '.join(sorted(known))}.")


def job_as_json(job: Job | None) -> dict:
    """Return where a job stands; one whose row is gone was interrupted."""
    if job is None:
        return {"state": "interrupted", "phase": None, "done": 0, "total": None, "message": None}
    return {name: getattr(job, name) for name in Progress._declared_fields}
