"""Transactions of a request: reading takes no lock on SQLite, writing is short."""

from __future__ import annotations

from models import db


def end_reading() -> None:
    """End a reading transaction that changed nothing, keeping the rows it read as they were read.

    A rollback would have each of them read again; views whose limits say `is_reading` need not.
    """
    session = db.session()
    session.expire_on_commit = False
    session.commit()


def start_reading() -> None:
    """Begin a transaction that takes no lock; what wrote before must have been committed.

    The next commit or rollback ends it, and whatever comes after may write.
    """
    db.session.rollback()
    db.session.connection(execution_options={"is_reading": True})
