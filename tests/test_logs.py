"""Log lines and request ids: every line names its request, and none holds a secret."""

from __future__ import annotations

import dataclasses
import json
import logging
import re

import pytest

import config
import logs
import server
from models import User, db
from web import tokens
from web.access import public
from web.request_ids import OfRequest

GOOD = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


@public
def break_down(secret):
    raise RuntimeError("on purpose")


@pytest.fixture
def lines(settings):
    """`lines(log_format)`: a list that fills with the lines that are logged from now on, as they look."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]

    def begin(log_format="json"):
        values = {**settings.values, "LOG_FORMAT": log_format}
        logs.set_up(dataclasses.replace(settings, values=values), [OfRequest()])
        (handler,) = root.handlers
        said = []
        handler.emit = lambda record: said.append(handler.format(record))
        return said

    yield begin
    root.handlers[:] = before


@pytest.fixture
def broken(settings):
    """The application of a server whose pages may break, with a line for every request."""
    values = {**settings.values, "LOG_REQUESTS": True}
    app = server.create_app(dataclasses.replace(settings, values=values))
    app.add_url_rule("/broken/<secret>", view_func=break_down)
    app.add_url_rule("/api/broken/<secret>", view_func=break_down, endpoint="api_broken")
    with app.app_context():
        db.create_all()
        yield app
        db.session.remove()
        db.engine.dispose()


# Request ids


def test_every_answer_has_a_request_id_of_its_own(client):
    paths = ("/livez", "/livez", "/nowhere", "/api/v1/nowhere")
    names = [client.get(path).headers["X-Request-Id"] for path in paths]
    assert all(GOOD.match(name) for name in names)
    assert len(set(names)) == len(paths)


def test_a_request_id_that_the_client_sent_is_kept(client):
    sent = {"X-Request-Id": "batch-7_image.12"}
    assert client.get("/livez", headers=sent).headers["X-Request-Id"] == "batch-7_image.12"


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "naïve", "<b>"])
def test_a_request_id_unfit_for_a_log_is_replaced(client, sent):
    name = client.get("/livez", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert name != sent
    assert GOOD.match(name)


def test_the_page_of_an_error_of_ours_shows_the_request_id(broken, lines):
    lines()
    answer = broken.test_client().get("/broken/x", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert "find-me" in answer.text


def test_an_unforeseen_error_is_logged_with_the_request_that_met_it(broken, lines):
    said = lines()
    answer = broken.test_client().get("/api/broken/x")
    (error,) = [json.loads(line) for line in said if "on purpose" in line]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert "RuntimeError: on purpose" in error["exception"]
    assert error["route"] == "/api/broken/<secret>"


# Lines


def test_a_request_is_one_line_of_json(broken, lines):
    said = lines()
    answer = broken.test_client().get("/livez?token=pgh_secret")
    (line,) = map(json.loads, said)
    assert line.pop("time").endswith("Z")
    assert line.pop("milliseconds") >= 0
    assert line.pop("message").startswith("GET /livez 200 in ")
    assert line == {
        "level": "info",
        "logger": "web.requests",
        "request_id": answer.headers["X-Request-Id"],
        "method": "GET",
        "route": "/livez",
        "status": 200,
    }


def test_a_line_names_the_user_by_number(broken, lines, sign_in):
    with broken.app_context():
        user = User(name="alice", password_hash="set by tests that sign in")
        _, text = tokens.make_token(user, "camera", ["read"])
        db.session.commit()
        number = user.id
    said = lines()
    broken.test_client().get("/api/v1/nothing", headers={"Authorization": f"Bearer {text}"})
    assert json.loads(said[0])["user_id"] == number


def test_no_line_holds_what_was_in_the_address(broken, lines):
    said = lines("text")
    browser = broken.test_client()
    browser.get("/broken/in-the-path?key=in-the-query", headers={"Authorization": "Bearer in-the-header"})
    browser.get("/nowhere/in-the-path")
    assert said
    assert not [line for line in said if "in-the-" in line]


def test_a_text_line_has_time_level_logger_and_request(broken, lines):
    said = lines("text")
    broken.test_client().get("/livez", headers={"X-Request-Id": "seven"})
    assert re.match(r"20\S+Z INFO web\.requests seven GET /livez 200 in \d+\.\d ms\Z", said[0])


def test_requests_are_not_logged_unless_asked(client, lines):
    said = lines()
    client.get("/livez")
    assert said == []


def test_an_unknown_log_format_is_refused(tmp_path):
    (tmp_path / "config.toml").write_text("log_format = 'xml'\n")
    with pytest.raises(config.BadSetting, match="text, json"):
        config.load(tmp_path)


def test_an_error_of_the_database_does_not_tell_what_a_row_holds(app):
    with pytest.raises(Exception) as met:
        db.session.execute(db.text("INSERT INTO nowhere VALUES (:hash)"), {"hash": "a-secret"})
    assert "a-secret" not in str(met.value)
