"""The database made ready at every start: checked, saved before its tables change, brought up to date."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import flask_migrate
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from models import db
from utils import lock_file

FIXED_SQLITE = (3, 51, 3)


class DataRefused(RuntimeError):
    """The instance folder or its database is not one to start with; the message says what to do."""


def prepare(app: Flask) -> None:
    """Bring the database to this program's revision; quick when it is there already.

    Two processes that start at once take turns. Tables with rows are saved under backups/ before they change.

    Raises:
        DataRefused: the database is damaged, not ours, newer than this program, or missing beside its images.
    """
    instance = app.config["PIGEONHOLE"].instance
    with app.app_context(), lock_file(instance / "starting.lock"):
        try:
            _upgrade(instance)
        except OperationalError as error:
            raise DataRefused(f"The database does not answer: {error.orig}.") from error
        except DatabaseError as error:
            advice = "Restore a backup (server.py restore FILE)"
            raise DataRefused(
                f"The database in {instance} cannot be read ({error.orig}). {advice}."
            ) from error
        finally:
            db.session.remove()
            db.engine.dispose()  # nothing open may be inherited by a forked process


def _upgrade(instance: Path) -> None:
    scripts = ScriptDirectory(current_app.extensions["migrate"].directory)
    tables = inspect(db.engine).get_table_names()
    revision = _read_revision(tables)
    if revision == scripts.get_current_head():
        return
    _refuse_foreign(instance, tables, revision, scripts)
    if revision is not None:
        save(instance / "backups" / f"before-migration-{datetime.now():%Y%m%d-%H%M%S}.db")
    flask_migrate.upgrade()


def _read_revision(tables: list[str]) -> str | None:
    if "alembic_version" not in tables:
        return None
    with db.engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _refuse_foreign(
    instance: Path, tables: list[str], revision: str | None, scripts: ScriptDirectory
) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise DataRefused(
            f"The database in {instance} was made by a newer Pigeonhole. Install that one again."
        )
    if revision is None and set(tables) - {"alembic_version"}:
        raise DataRefused(f"The database in {instance} has tables that Pigeonhole did not make.")
    images = instance / "storage" / "images"
    if not tables and images.is_dir() and any(images.iterdir()):
        advice = "Restore a backup (server.py restore FILE) or choose another PIGEONHOLE_INSTANCE"
        raise DataRefused(f"{instance} holds images but its database is missing. {advice}.")


def save(path: Path) -> None:
    """Write a consistent copy of an SQLite database to `path`, while others read and write it.

    VACUUM INTO sees one moment's state; copying the file would not (https://sqlite.org/lang_vacuum.html).
    """
    if db.engine.dialect.name != "sqlite":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = db.engine.raw_connection()
    try:
        connection.driver_connection.execute("VACUUM INTO ?", (str(path),))
    finally:
        connection.close()


def describe_sqlite_risk() -> str | None:
    """A warning where the SQLite in use has the bug that can corrupt a write-ahead log (3.7.0 to 3.51.2)."""
    if db.engine.dialect.name != "sqlite" or db.engine.dialect.dbapi.sqlite_version_info >= FIXED_SQLITE:
        return None
    version = db.engine.dialect.dbapi.sqlite_version
    return f"SQLite {version} has a rare bug that can damage a database; pip install pysqlite3 mends it."
