"""What several nouns of the API share: lists with a cursor, times, and unknown parameters refused by name."""

from __future__ import annotations

from datetime import datetime

from flask import Response, abort, jsonify, request
from sqlalchemy import Select, func, select

from models import Job, db
from web.inputs import read_number

DEFAULT_LIMIT, MAX_LIMIT = 50, 500


def as_time(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, in UTC, as `2026-01-31T12:00:00Z`."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def check_parameters(*known: str) -> None:
    """Abort with 400 at the first parameter of the address that is not one of `known`."""
    if unknown := sorted(set(request.args) - set(known)):
        words = f"Known are: {', '.join(sorted(known))}." if known else "This address takes none."
        abort(400, f"Unknown parameter {unknown[0][:100]!r}. {words}")


def check_fields(*known: str) -> None:
    """Abort with 400 at the first field of the form that is not one of `known`."""
    if unknown := sorted({*request.form, *request.files} - set(known)):
        abort(400, f"Unknown field {unknown[0][:100]!r}. Known are: {', '.join(sorted(known))}.")


def answer_list(query: Select, identifier, as_json, *parameters: str) -> Response:
    """Answer one page of `query`, newest first, as `{"items", "next", "total"}`.

    Args:
        query: selects rows of one table, not ordered yet.
        identifier: the table's id column; the cursor is the id of the last row shown.
        as_json: makes a row into what the list holds.
        parameters: what the address may carry beside `limit` and `cursor`.
    """
    check_parameters("limit", "cursor", *parameters)
    limit, cursor = _read_limit(), read_number("cursor")
    total = db.session.scalar(select(func.count()).select_from(query.subquery()))
    if cursor is not None:
        query = query.where(identifier < cursor)
    rows = list(db.session.scalars(query.order_by(identifier.desc()).limit(limit + 1)))
    following = str(rows[limit - 1].id) if len(rows) > limit else None
    return jsonify(items=[as_json(row) for row in rows[:limit]], next=following, total=total)


def _read_limit() -> int:
    limit = read_number("limit")
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        abort(400, f"limit must be 1 to {MAX_LIMIT}.")
    return limit


def job_as_json(job: Job | None) -> dict:
    """Return where a job stands; one whose row is gone was interrupted."""
    if job is None:
        return {"state": "interrupted", "phase": None, "done": 0, "total": None, "message": None}
    return {
        "state": job.state,
        "phase": job.phase,
        "done": job.done,
        "total": job.total,
        "message": job.message,
    }
