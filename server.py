"""The web side: `create_app()`, and its command line (commands/)."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy.exc import ArgumentError, DBAPIError

import config
import web
from commands import images, people, predictions, running, upkeep
from datasets import editing, names
from datasets.label_lists import LabelListRefused
from jobs import backup, database
from learning.package import PackageDamaged
from models import db
from serving import classifier, heatmaps, tables
from transactions import prepare_engine
from web import auth, listening

# What a command refuses with a sentence for a person.
REFUSALS = (
    *(config.BadSetting, database.DataRefused, listening.PortTaken, backup.BackupRefused),
    *(auth.PasswordRefused, auth.UserNameRefused, names.NameRefused),
    *(PackageDamaged, classifier.VersionUnusable, tables.TableRefused, heatmaps.NotSaved),
    *(LabelListRefused, editing.ChangeRefused),
)

DRIVERS = {"psycopg": "psycopg[binary]"}  # what to install where a database's driver is missing

try:  # SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log; the bundled one is fixed
    import pysqlite3 as sqlite_module
except ImportError:
    import sqlite3 as sqlite_module


def create_app(settings: config.Config | None = None) -> Flask:
    """Make the web application of an instance; `settings` are those of this process unless given.

    Raises:
        BadSetting: DATABASE_URL is no address, or its driver is not installed.
    """
    settings = settings or config.current()
    app = Flask(__name__)
    app.config.update(
        PIGEONHOLE=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_address,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
    )
    _bind_database(app)
    Migrate(app, db, directory=str(Path(__file__).parent / "migrations"), render_as_batch=True)
    with app.app_context():
        prepare_engine(db.engine)
    web.register(app)
    return app


def _bind_database(app: Flask) -> None:
    try:
        db.init_app(app)
    except ModuleNotFoundError as missing:
        package = DRIVERS.get(missing.name, missing.name)
        message = f"DATABASE_URL: {missing.name} is not installed. Do that with: pip install '{package}'"
        raise config.BadSetting(message) from missing
    except ArgumentError as error:
        message = "DATABASE_URL is no address of a database: write postgresql://user@host/name, or nothing."
        raise config.BadSetting(message) from error


def _engine_options(settings: config.Config) -> dict:
    is_sqlite = settings.database_address.startswith("sqlite")
    kind = {"module": sqlite_module} if is_sqlite else {"pool_pre_ping": True}
    return {**kind, "hide_parameters": True}  # what a row holds has no place in a log


@click.group(
    invoke_without_command=True,
    commands=[
        *(running.run, running.worker),
        *(people.create_user, people.token),
        *(images.import_files, images.label_items),
        predictions.predict,
        *(upkeep.examine, upkeep.sweep_leftovers, upkeep.save_backup, upkeep.restore),
    ],
)
@click.pass_context
def command_line(context: click.Context) -> None:
    """Pigeonhole: teaches your own images to sort themselves. Without a command: run."""
    if context.invoked_subcommand is None:
        context.invoke(running.run)


def _open() -> Flask:
    """Make the application, its database brought up to date."""
    app = create_app()
    database.prepare(app)
    return app


def main() -> None:
    """Run a command; what it refuses becomes one sentence and exit status 1."""
    try:
        command_line(obj=_open)
    except REFUSALS as refused:
        sys.exit(f"Error: {refused}")
    except DBAPIError as error:
        sys.exit(f"Error: the database does not answer: {error.orig}.")


if __name__ == "__main__":
    main()
