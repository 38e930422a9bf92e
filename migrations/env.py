"""How alembic reaches the database: through the application whose context is open."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from models import Moment


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our column type as what it is in the database, so that a migration never imports the models."""
    return "sa.DateTime(timezone=True)" if isinstance(item, Moment) else False


def mind_foreign_keys(connection: Connection, is_on: bool) -> None:
    """Let SQLite mind foreign keys or not: replacing a table would delete the rows that refer to it.

    Outside of a transaction only, so past SQLAlchemy, which would begin one.
    """
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.execute(f"PRAGMA foreign_keys={'ON' if is_on else 'OFF'}")


settings = current_app.extensions["migrate"]
with settings.db.engine.connect() as connection:
    mind_foreign_keys(connection, False)
    context.configure(
        connection=connection,
        target_metadata=settings.db.metadata,
        render_item=render_item,
        **settings.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()
    mind_foreign_keys(connection, True)
