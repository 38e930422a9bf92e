"""Migrations: they give the tables of the models, save what they change, and refuse what is not ours."""

from __future__ import annotations

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

import server
from jobs import database
from models import Dataset, Label, Member, User, db


@pytest.fixture
def empty_app(settings):
    """An application whose database has no tables yet."""
    app = server.create_app(settings)
    yield app
    with app.app_context():
        db.engine.dispose()


def execute(app, *statements):
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_empty_database_gets_exactly_the_tables_of_the_models(empty_app):
    database.prepare(empty_app)
    with empty_app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_no_table_gives_the_id_of_a_deleted_row_again(empty_app):
    database.prepare(empty_app)
    with empty_app.app_context(), db.engine.connect() as connection:
        query = text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        numbered = {table.name for table in db.metadata.tables.values() if "id" in table.c}
        assert set(connection.scalars(query)) == numbered


def test_a_database_of_the_first_revision_keeps_its_rows(empty_app):
    with empty_app.app_context():
        flask_migrate.upgrade(revision="0001")
        for slug in ("flowers", "birds"):  # without the columns of today
            db.session.execute(insert(Dataset.__table__).values(slug=slug, name=slug, counts={}))
        dataset = db.session.scalar(select(Dataset.id).filter_by(slug="flowers"))
        db.session.add(Member(dataset_id=dataset, user=User(name="alice", password_hash=""), role="owner"))
        db.session.add(Label(dataset_id=dataset, name="rose"))
        db.session.commit()
        db.session.remove()
    database.prepare(empty_app)
    with empty_app.app_context():
        dataset = db.session.get(Dataset, dataset)
        assert (dataset.members[0].user.name, dataset.labels[0].name) == ("alice", "rose")
        assert not db.session.execute(text("PRAGMA foreign_key_check")).all()
        assert db.session.scalar(text("PRAGMA foreign_keys"))


def test_preparing_again_changes_nothing_and_saves_nothing(empty_app, settings):
    database.prepare(empty_app)
    with empty_app.app_context():
        db.session.add(User(name="alice", password_hash=""))
        db.session.commit()
    database.prepare(empty_app)
    with empty_app.app_context():
        assert db.session.query(User).one().name == "alice"
    assert not (settings.instance / "backups").exists()


def test_a_database_of_a_newer_version_is_refused_untouched(empty_app):
    database.prepare(empty_app)
    execute(empty_app, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(database.DataRefused, match="newer Pigeonhole"):
        database.prepare(empty_app)


def test_somebody_elses_database_is_refused_untouched(empty_app):
    execute(empty_app, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(database.DataRefused, match="did not make"):
        database.prepare(empty_app)
    with empty_app.app_context():
        assert inspect(db.engine).get_table_names() == ["recipes"]


def test_a_file_that_is_no_database_is_refused(empty_app, settings):
    (settings.instance / "pigeonhole.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(database.DataRefused, match="cannot be read"):
        database.prepare(empty_app)


def test_images_without_their_database_are_not_taken_for_an_empty_instance(empty_app, settings):
    images = settings.instance / "storage" / "images"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(b"x")
    with pytest.raises(database.DataRefused, match="database is missing"):
        database.prepare(empty_app)


def test_a_copy_is_consistent_while_others_write(app, settings, alice):
    db.session.add(User(name="not committed", password_hash=""))
    db.session.flush()
    database.save(settings.instance / "copy.db")
    with db.engine.dialect.dbapi.connect(settings.instance / "copy.db") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT name FROM users").fetchall() == [("alice",)]
