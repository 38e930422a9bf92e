"""Sweeping: what is past its keeping, and bytes that no row knows. Rows go first, bytes after the commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, select, union

from datasets import storage
from models import Dataset, Item, Prediction, db, now

# Younger bytes may belong to a batch whose rows are not committed yet.
ORPHAN_AGE = timedelta(hours=1)
_CHUNK = 1000  # ids in one statement


def sweep_rows(at: datetime | None = None) -> int:
    """Delete the rows of deleted items and of predictions past their keeping; return how many. No commit.

    Their bytes have no row any more once this is committed, and go with the next `sweep_orphans`.

    Args:
        at: the moment taken for now.
    """
    at = at or now()
    settings = current_app.config["PIGEONHOLE"]
    deleted = select(Item.id).where(Item.deleted_at < at - timedelta(days=settings.deleted_days))
    count = _delete(Item, list(db.session.scalars(deleted)))
    for dataset_id, days in db.session.execute(select(Dataset.id, Dataset.prediction_days)).all():
        oldest = at - timedelta(days=settings.prediction_days if days is None else days)
        old = select(Prediction.id).where(Prediction.dataset_id == dataset_id, Prediction.created_at < oldest)
        count += _delete(Prediction, list(db.session.scalars(old)))
    return count


def _delete(table: type, ids: list[int]) -> int:
    for start in range(0, len(ids), _CHUNK):
        db.session.execute(delete(table).where(table.id.in_(ids[start : start + _CHUNK])))
    return len(ids)


def find_orphans(age: timedelta = ORPHAN_AGE) -> Iterator[str]:
    """Yield the paths of stored files, older than `age`, whose image no item and no prediction knows.

    A deleted dataset's images are among them, and what a crash left between bytes and rows.
    """
    # The files are listed before the rows are read, so that a row added meanwhile is not missed.
    files = list(storage.stored_names(now() - age))
    known = set(db.session.scalars(union(select(Item.filename), select(Prediction.filename))))
    return (path for path, filename in files if filename not in known)


def sweep_orphans(age: timedelta = ORPHAN_AGE) -> int:
    """Delete stored files that no row knows; return how many. To be called with nothing uncommitted."""
    orphans = list(find_orphans(age))
    db.session.rollback()  # deleting may take long, and locks nobody out
    for path in orphans:
        storage.delete_path(path)
    return len(orphans)
