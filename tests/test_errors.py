"""Errors: a page that says what to do next for a person, one shape for a program."""

from __future__ import annotations

import errno

import pytest
from flask import abort
from sqlalchemy import event, text

from models import FailedLogin, Member, db
from web.access import get_dataset, public
from web.errors import ERRORS


@public
def fail(status):
    abort(status)


@public
def fill_disk():
    raise OSError(errno.ENOSPC, "No space left on device")


@public
def write_much():
    db.session.add_all(FailedLogin(account="a" * 100, address="1") for _ in range(2_000))
    db.session.commit()
    return "written"


def only_for_editors(slug):
    return get_dataset(slug, "editor").name


@pytest.fixture
def app(app):
    """The application, with routes that fail."""
    for prefix in ("", "/api"):
        app.add_url_rule(f"{prefix}/fail/<int:status>", f"fail{prefix}", fail)
    app.add_url_rule("/twin/<int:status>.json", "twin", fail)
    app.add_url_rule("/fill-disk", view_func=fill_disk)
    app.add_url_rule("/write-much", view_func=write_much, methods=["POST"])
    app.add_url_rule("/edit/<slug>", view_func=only_for_editors)
    return app


def with_pragma(pragma: str):
    """Let every new connection of the application begin with this PRAGMA."""
    event.listen(db.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    db.session.commit()
    db.engine.dispose()


@pytest.mark.parametrize("status", [status for status in ERRORS if status != 401])
def test_an_error_is_a_page_with_one_heading_and_advice(client, status):
    answer = client.get(f"/fail/{status}")
    assert answer.status_code == status
    assert answer.text.count("<h1") == 1
    assert ERRORS[status][2].replace("'", "&#39;") in answer.text


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("address", ["/api/fail/{}", "/twin/{}.json"])
def test_a_program_gets_the_one_json_shape(client, status, address):
    answer = client.get(address.format(status))
    assert answer.status_code == status
    assert answer.json == {"error": {"code": ERRORS[status][0], "message": ERRORS[status][2]}}


def test_a_busy_server_says_when_to_come_back(client):
    assert int(client.get("/fail/503").headers["Retry-After"]) > 0


def test_a_wrong_method_names_the_right_ones(client):
    answer = client.get("/write-much")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_a_status_without_a_page_of_its_own_is_taken_for_the_nearest(client):
    assert client.get("/fail/418").status_code == 400


def test_a_full_disk_is_a_507(client):
    answer = client.get("/fill-disk")
    assert answer.status_code == 507
    assert "Free some disk space" in answer.text


def test_a_full_database_is_a_507_and_nothing_is_kept(client):
    with_pragma(f"max_page_count={db.session.scalar(text('PRAGMA page_count')) + 2}")
    assert client.post("/write-much").status_code == 507
    assert db.session.query(FailedLogin).count() == 0


def test_a_database_locked_for_too_long_is_a_503_with_the_time_to_wait(client):
    with_pragma("busy_timeout=20")
    with db.engine.connect() as writer, writer.begin():
        answer = client.post("/login", data={"name": "alice", "password": "anything"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_stranger_is_sent_to_the_login_and_back(client, dataset):
    answer = client.get("/datasets/flowers/?label=2")
    assert answer.status_code == 302
    assert answer.location == "/login?next=/datasets/flowers/?label%3D2"


def test_a_dataset_of_others_is_not_there(client, sign_in, dataset, charlie):
    assert sign_in(client, charlie).get("/datasets/flowers/").status_code == 404


def test_the_owner_sees_the_dataset(client, sign_in, dataset, alice):
    answer = sign_in(client, alice).get("/datasets/flowers/")
    assert answer.status_code == 200
    assert "Flowers" in answer.text


def test_a_viewer_may_look_but_not_change(client, sign_in, dataset, bob):
    dataset.members.append(Member(user=bob, role="viewer"))
    sign_in(client, bob)
    assert client.get("/datasets/flowers/").status_code == 200
    assert client.get("/edit/flowers").status_code == 403


def test_an_administrator_sees_every_dataset(client, sign_in, dataset, root):
    assert sign_in(client, root).get("/edit/flowers").text == "Flowers"
