"""How transactions begin and end: reading takes no lock on SQLite, writing is short."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from models import db


def prepare_engine(engine: Engine) -> None:
    """Give SQLite write-ahead logging, foreign keys, patience, and BEGIN IMMEDIATE for every transaction.

    synchronous=NORMAL survives kill -9 of any process. With plain BEGIN most read-then-write transactions of
    several processes fail at once. A transaction that only reads may ask for a plain BEGIN with
    `execution_options(is_reading=True)`. SQLite's own lower() knows the letters of ASCII only; ours, all.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "busy_timeout=5000", "foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("lower", 1, lambda text: text and text.lower(), deterministic=True)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("is_reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


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
