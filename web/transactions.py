"""Transactions of a request: reading takes no lock on SQLite, writing is short."""

from __future__ import annotations

from models import db


def start_reading() -> None:
    """Begin a transaction that takes no lock; what wrote before must have been committed.

    The next commit or rollback ends it, and whatever comes after may write.
    """
    db.session.rollback()
    db.session.connection(execution_options={"is_reading": True})
