"""What tests share: an instance in a temporary folder, its application, and the people.

alice owns the datasets, bob may be made a member, charlie is a stranger, root administers.
"""

from __future__ import annotations

import pytest

import config
import server
from models import Dataset, Member, User, db

PASSWORD = "correct horse battery"


@pytest.fixture
def settings(tmp_path):
    """The settings of a fresh instance."""
    return config.load(tmp_path / "instance")


@pytest.fixture
def app(settings):
    """The application of a fresh instance, its tables made, an application context open."""
    app = server.create_app(settings)
    app.testing = True
    with app.app_context():
        db.create_all()
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app):
    """A browser without a session."""
    return app.test_client()


def _person(name: str, is_admin: bool = False) -> User:
    user = User(name=name, password_hash="set by tests that sign in", is_admin=is_admin)
    db.session.add(user)
    db.session.commit()
    return user


@pytest.fixture
def alice(app):
    """The owner."""
    return _person("alice")


@pytest.fixture
def bob(app):
    """A colleague, member of nothing until a test says so."""
    return _person("bob")


@pytest.fixture
def charlie(app):
    """A stranger."""
    return _person("charlie")


@pytest.fixture
def root(app):
    """The administrator."""
    return _person("root", is_admin=True)


@pytest.fixture
def dataset(alice):
    """An empty single-label dataset of alice's."""
    dataset = Dataset(slug="flowers", name="Flowers", members=[Member(user=alice, role="owner")])
    db.session.add(dataset)
    db.session.commit()
    return dataset
