"""What tests share: an instance in a temporary folder, its application, and the people.

alice owns the datasets, bob may be made a member, charlie is a stranger, root administers.
"""

from __future__ import annotations

import contextvars
import gc
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flask import has_app_context
from flask import session as flask_session
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from werkzeug.routing import Rule

import config
import server
from models import Dataset, Member, User, db
from tests.trained import train
from utils import lock_file

PASSWORD = "correct horse battery"
ROOT = Path(__file__).parents[1]
LONG = ("trainer", "browser")  # marks of tests that take long, the longest first


def pytest_configure():
    """Let every instance, in this process and in those it starts, take images however full the disk is."""
    os.environ.update(PIGEONHOLE_MIN_FREE_DISK="0", PIGEONHOLE_MIN_FREE_SHARE="0")


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no process is left alone with one at the end."""
    ranks = {}
    for item in items:
        ranks[item.path] = min(ranks.get(item.path, len(LONG)), _rank(item))
    items.sort(key=lambda item: ranks[item.path])


def _rank(item) -> int:
    marks = {mark.name for mark in item.iter_markers()}
    return min((place for place, name in enumerate(LONG) if name in marks), default=len(LONG))


def pytest_collection_finish():
    """Look for garbage seldom, and in what tests make only: it took a sixth of their time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 5, 20)


@pytest.fixture(scope="session", autouse=True)
def _compile_each_address_once():
    """Keep the code that werkzeug makes of an address for the next application: half of making one."""
    kept, compile_builder = {}, Rule._compile_builder

    def remember(rule, append_unknown=True):
        key = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), append_unknown)
        if key not in kept:
            kept[key] = compile_builder(rule, append_unknown)
        return kept[key]

    Rule._compile_builder = remember
    yield
    Rule._compile_builder = compile_builder


class Browser(FlaskClient):
    """A browser whose requests see nothing of the test's own session, as in a server of its own.

    What the test has added is committed first, so that no lock of the test's makes the request wait.
    """

    def open(self, *args, **options):
        if has_app_context():  # not when it follows a redirect by itself
            db.session.commit()
        return contextvars.Context().run(super().open, *args, **options)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id):
    """A version trained for real on coloured discs; `trained.install(app, dataset)` makes it live.

    It is trained once for all processes of the test run.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "trained"
    with lock_file(f"{folder}.lock"):
        return train(folder)


@pytest.fixture
def settings(tmp_path):
    """The settings of a fresh instance."""
    return config.load(tmp_path / "instance")


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory):
    """A database with every table and no row, for the tests' instances to begin with."""
    settings = config.load(tmp_path_factory.mktemp("blank") / "instance")
    with server.create_app(settings).app_context():
        db.create_all()
        db.engine.dispose()
    return settings.instance / "pigeonhole.db"


@pytest.fixture
def app(settings, blank_database):
    """The application of a fresh instance, its tables made, an application context open."""
    app = server.create_app(settings)
    shutil.copy(blank_database, settings.instance)
    app.testing = True
    app.test_client_class = Browser
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app):
    """A browser without a session (but with a CSRF token, as if it had opened a page)."""
    client = app.test_client()
    _remember_csrf(client)
    return client


@pytest.fixture
def sign_in():
    """`sign_in(client, user)`: gives the browser the user's session and returns the browser."""

    def sign_in(client, user):
        with client.session_transaction() as session:
            session.clear()
            session.update(_user_id=user.get_id(), _fresh=True, signed_in_at=int(time.time()))
            session.permanent = True
        _remember_csrf(client)
        return client

    return sign_in


def _remember_csrf(client) -> None:
    """Send a valid CSRF token with every request of this browser."""
    client.environ_base["HTTP_X_CSRFTOKEN"] = contextvars.Context().run(_make_csrf_token, client)


def _make_csrf_token(client) -> str:
    with client.application.test_request_context():
        token, raw = generate_csrf(), flask_session["csrf_token"]
    with client.session_transaction() as session:
        session["csrf_token"] = raw
    return token


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
def names(monkeypatch):
    """A name service that knows what a test tells it: {name: [its IP addresses at each look-up]}."""
    known, ask_system = {}, socket.getaddrinfo

    def look_up(host, port, *words, **more):
        answers = known.get(host.decode() if isinstance(host, bytes) else host)
        if answers is None:
            return ask_system(host, port, *words, **more)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def dataset(alice):
    """An empty single-label dataset of alice's."""
    dataset = Dataset(slug="flowers", name="Flowers", members=[Member(user=alice, role="owner")])
    db.session.add(dataset)
    db.session.commit()
    return dataset


@pytest.fixture
def owner(client, sign_in, alice, dataset):
    """A browser in which alice is signed in, who owns the dataset."""
    return sign_in(client, alice)


@pytest.fixture(scope="session")
def prepared_backbones():
    """A folder with the default backbone converted, kept between test runs since that takes a while."""
    folder = ROOT / "build" / "backbones"
    prepare = ["training.py", "--prepare", "efficientnet-lite0", "--out", str(folder)]
    subprocess.run([sys.executable, *prepare], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def with_backbones(settings, prepared_backbones):
    """An instance that has the default backbone already."""
    (settings.instance / "backbones").symlink_to(prepared_backbones)
