"""The web side: `create_app()`, and its command line."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import click
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import delete, select

import config
import web
from jobs import database, supervisor
from models import Invitation, User, db, now, prepare_engine
from web import listening

try:  # SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log; the bundled one is fixed
    import pysqlite3 as sqlite_module
except ImportError:
    import sqlite3 as sqlite_module


def create_app(settings: config.Config | None = None) -> Flask:
    """Make the web application of an instance; `settings` are those of this process unless given."""
    settings = settings or config.current()
    app = Flask(__name__)
    app.config.update(
        PIGEONHOLE=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_address,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
    )
    db.init_app(app)
    Migrate(app, db, directory=str(Path(__file__).parent / "migrations"), render_as_batch=True)
    with app.app_context():
        prepare_engine(db.engine)
    web.register(app)
    return app


def _engine_options(settings: config.Config) -> dict:
    is_sqlite = settings.database_address.startswith("sqlite")
    return {"module": sqlite_module} if is_sqlite else {"pool_pre_ping": True}


@click.group(invoke_without_command=True)
@click.pass_context
def commands(context: click.Context) -> None:
    """Pigeonhole: teaches your own images to sort themselves. Without a command: run."""
    if context.invoked_subcommand is None:
        context.invoke(run)


@commands.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 for every one of this machine.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 for any free one.")
@click.option("--no-worker", is_flag=True, help="Serve only; a worker runs elsewhere.")
def run(host: str | None = None, port: int | None = None, no_worker: bool = False) -> None:
    """Serve, with one worker beside it."""
    app = _open()
    settings = app.config["PIGEONHOLE"]
    port = settings.port if port is None else port
    listener = listening.open_socket(host or settings.host, port)
    address = listening.describe_address(listener)
    click.echo(f"Pigeonhole answers at {address} (Ctrl-C ends it).")
    _print_setup_link(app, address)
    processes = settings.web_processes or supervisor.count_cores()
    serve = partial(listening.serve, app, listener, processes, settings.web_threads)
    sys.exit(supervisor.run_web(serve, not no_worker, _end_by_signal()))


def _open() -> Flask:
    """Make the application, its database brought up to date."""
    app = create_app()
    database.prepare(app)
    return app


def _end_by_signal() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def _print_setup_link(app: Flask, address: str) -> None:
    """Print a fresh one-time link to make the first administrator, while there is no user."""
    settings = app.config["PIGEONHOLE"]
    with app.app_context():
        if db.session.scalar(select(User.id).limit(1)) is None:
            token = secrets.token_urlsafe(32)
            db.session.execute(delete(Invitation).where(Invitation.user_name.is_(None)))
            expires_at = now() + timedelta(hours=settings.setup_link_hours)
            digest = sha256(token.encode()).hexdigest()
            db.session.add(Invitation(token_hash=digest, is_admin=True, expires_at=expires_at))
            db.session.commit()
            click.echo(f"Set it up within {settings.setup_link_hours} hours: {address}/setup/{token}")
        db.session.remove()
        db.engine.dispose()  # nothing open may be inherited by a forked process


def main() -> None:
    """Run a command; what it refuses becomes one sentence and exit status 1."""
    try:
        commands()
    except (config.BadSetting, database.DataRefused, listening.PortTaken) as refused:
        sys.exit(f"Error: {refused}")


if __name__ == "__main__":
    main()
