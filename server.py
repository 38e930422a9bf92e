"""The web side: `create_app()`, and its command line."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

import config
import web
from models import db, prepare_engine

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
