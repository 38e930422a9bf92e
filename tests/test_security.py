"""Limits, hostile requests, headers and transactions, through the real application."""

from __future__ import annotations

import dataclasses
import io
import sqlite3
from contextlib import closing

import pytest
from flask import jsonify, request
from sqlalchemy import text

import server
from models import Token, db
from web import tokens
from web.access import public
from web.api.frame import needs
from web.inputs import read_json
from web.limits import limits

JSON = {"content_type": "application/json"}


@needs("predict")
def call():
    return jsonify(read_json({"image", "note"}))


@public
def form():
    return jsonify(fields=len(request.form), files=len(request.files))


@public
@limits(body="MAX_PREDICT_BODY", rate="predict")
def large():
    return jsonify(size=len(request.get_data()))


@public
def number(value):
    return jsonify(value=value)


@pytest.fixture
def app(app):
    """The application, with a few routes of the tests' own."""
    app.add_url_rule("/api/call", view_func=call, methods=["POST"])
    app.add_url_rule("/form", view_func=form, methods=["POST"])
    app.add_url_rule("/large", view_func=large, methods=["POST"])
    app.add_url_rule("/number/<int:value>", view_func=number)
    return app


@pytest.fixture
def bearer(alice):
    """The header of a good token of alice's that may predict."""
    _, token = tokens.make_token(alice, "camera", ["predict"])
    db.session.commit()
    return {"Authorization": f"Bearer {token}"}


def test_a_body_that_does_not_tell_its_length_is_refused_where_it_is_too_long_and_not_cut(client, bearer):
    body = b'{"note": ""}' + b" " * 1_100_000
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    sent = {"headers": bearer, "environ_overrides": chunked, **JSON}
    assert client.post("/api/call", input_stream=io.BytesIO(body), **sent).status_code == 413
    assert client.post("/api/call", input_stream=io.BytesIO(body[:1_000_000]), **sent).status_code == 200


class SlowBody(io.BytesIO):
    """A body; while it arrives, somebody else writes to the database."""

    def __init__(self, content: bytes, path, statement: str):
        super().__init__(content)
        self.path, self.statement = path, statement

    def readinto(self, buffer) -> int:
        """Give some of it."""
        with closing(sqlite3.connect(self.path, timeout=1)) as other, other:
            other.execute(self.statement)
        return super().readinto(buffer)


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["", "with a key"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tokens SET revoked_at = '2020-01-01 00:00:00'",
        "UPDATE tokens SET expires_at = '2020-01-01 00:00:00'",
        "UPDATE users SET is_enabled = 0",
        "DELETE FROM tokens",
    ],
)
@pytest.mark.parametrize("path", ["", "/flowers/predict"])
def test_a_token_that_ends_while_the_body_arrives_is_worth_nothing(
    client, alice, dataset, settings, path, statement, key
):
    _, token = tokens.make_token(alice, "script", ["write", "predict"])
    db.session.commit()
    body = b'{"name": "Late"}'
    late = SlowBody(body, settings.instance / "pigeonhole.db", statement)
    sent = {"input_stream": late, "content_length": len(body), **JSON}
    bearer = {"Authorization": f"Bearer {token}"}
    answer = client.post(f"/api/v1/datasets{path}", headers={**bearer, **key}, **sent)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "unauthorized")


# JSON


def test_good_json_is_read(client, bearer):
    assert client.post("/api/call", json={"image": "abc"}, headers=bearer).json == {"image": "abc"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"note":' + "[" * 100_000 + "]" * 100_000 + "}", id="100,000 deep"),
        pytest.param('{"note":' + "[" * 32 + "]" * 32 + "}", id="33 deep"),
        pytest.param('{"note": NaN}', id="NaN"),
        pytest.param('{"note": -Infinity}', id="Infinity"),
        pytest.param('{"note": 1e999}', id="infinite by overflow"),
        pytest.param('{"note": ' + "9" * 5_000 + "}", id="5,000 digits"),
        pytest.param('{"note": 9223372036854775808}', id="more than 64 bits"),
        pytest.param('{"note": "\\ud800"}', id="lone surrogate"),
        pytest.param('{"note": "\\u0000"}', id="NUL"),
        pytest.param('{"note": [' + "0," * 19_998 + "0]}", id="20,002 values"),
        pytest.param('{"note": [' + "0," * 100_001 + "0]}", id="100,002 values"),
        pytest.param('{"note": ', id="cut short"),
        pytest.param("[]", id="no object"),
        pytest.param("", id="empty"),
        pytest.param(b'{"note": "\xff"}', id="not UTF-8"),
        pytest.param('{"colour": 1}', id="unknown field"),
    ],
)
def test_bad_json_is_a_400(client, bearer, body):
    answer = client.post("/api/call", data=body, headers=bearer, **JSON)
    assert answer.status_code == 400
    assert set(answer.json["error"]) == {"code", "message"}


def test_an_unknown_field_is_named(client, bearer):
    answer = client.post("/api/call", json={"colour": 1}, headers=bearer)
    assert "colour" in answer.json["error"]["message"]


def test_json_must_say_that_it_is_json(client, bearer):
    assert client.post("/api/call", data="{}", headers=bearer).status_code == 415


# Tokens at the API


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer garbled", "Bearer pgh_" + "a" * 36, "Basic YTpi"])
def test_no_token_or_a_garbled_one_is_a_401(client, header):
    answer = client.post("/api/call", json={}, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_in_the_query_counts_for_nothing(client, bearer):
    query = {"token": bearer["Authorization"].split()[1], "access_token": bearer["Authorization"].split()[1]}
    assert client.post("/api/call", json={}, query_string=query).status_code == 401


def test_a_session_counts_for_nothing_at_the_api(client, sign_in, alice):
    assert sign_in(client, alice).post("/api/call", json={}).status_code == 401


def test_a_token_without_the_scope_is_a_403(client, alice):
    _, token = tokens.make_token(alice, "reader", ["read"])
    answer = client.post("/api/call", json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "predict" in answer.json["error"]["message"]


def test_the_last_use_of_a_token_is_written(client, bearer):
    client.post("/api/call", json={}, headers=bearer)
    assert db.session.query(Token).one().last_used_at is not None


# Forms


def test_a_form_of_1001_parts_is_a_413(client):
    data = {f"f{number}": "x" for number in range(1_001)}
    answer = client.post("/form", data=data, content_type="multipart/form-data")
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_field_of_600_kb_is_a_413(client, kind):
    assert client.post("/form", data={"f": "x" * 600_000}, content_type=kind).status_code == 413


def test_a_urlencoded_form_of_1001_fields_is_a_413(client):
    assert client.post("/form", data={f"f{number}": "x" for number in range(1_001)}).status_code == 413


def test_multipart_without_a_boundary_is_a_400(client):
    assert client.post("/form", data=b"--x\r\n", content_type="multipart/form-data").status_code == 400


def test_truncated_multipart_is_a_400(client):
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\nhalf'
    answer = client.post("/form", data=head, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400


def test_a_nul_in_a_form_is_a_400(client):
    assert client.post("/form", data={"name": "a\0b"}).status_code == 400


def test_a_nul_in_the_address_is_a_400(client):
    assert client.get("/login?next=%00").status_code == 400


def test_a_body_over_the_default_is_a_413(client):
    image = (io.BytesIO(b"x" * 1_100_000), "a.png")
    assert client.post("/form", data={"image": image}).status_code == 413


def test_a_view_may_take_more(client):
    assert client.post("/large", data=b"x" * 1_100_000).json == {"size": 1_100_000}


def test_a_missing_csrf_token_is_a_400(client):
    del client.environ_base["HTTP_X_CSRFTOKEN"]
    assert client.post("/form").status_code == 400


# Addresses and hosts


def test_a_number_that_no_database_holds_is_not_found(client):
    assert client.get(f"/number/{2**63 - 1}").status_code == 200
    assert client.get(f"/number/{2**63}").status_code == 404


def test_a_forged_host_is_a_400_once_hosts_are_named(settings):
    values = {**settings.values, "TRUSTED_HOSTS": "images.example.org, localhost"}
    app = server.create_app(dataclasses.replace(settings, values=values))
    browser = app.test_client()
    assert browser.get("/livez", headers={"Host": "evil.example"}).status_code == 400
    assert browser.get("/livez", headers={"Host": "images.example.org"}).status_code == 200


# Rates


def test_too_many_requests_are_a_429_with_the_time_to_wait(client):
    answers = [client.post("/large") for _ in range(61)]
    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61


def test_users_are_counted_apart_from_their_address(app, client, sign_in, alice):
    for _ in range(61):
        client.post("/large")
    assert sign_in(app.test_client(), alice).post("/large").status_code == 200


# Headers


def test_every_answer_has_the_safe_headers(client):
    headers = client.get("/").headers
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers


def test_https_only_is_asked_for_with_secure_cookies(settings):
    values = {**settings.values, "SECURE_COOKIES": True}
    app = server.create_app(dataclasses.replace(settings, values=values))
    assert "Strict-Transport-Security" in app.test_client().get("/livez").headers
    assert app.config["SESSION_COOKIE_SECURE"]


def test_no_page_has_inline_scripts_or_handlers(client):
    page = client.get("/login").text
    assert "<script>" not in page
    assert " onclick=" not in page


# Transactions


def test_a_page_load_waits_for_no_writer(app, client, sign_in, dataset, alice):
    sign_in(client, alice)
    db.session.commit()
    with db.engine.connect() as writer, writer.begin():
        writer.execute(text("UPDATE datasets SET description = 'being written'"))
        assert client.get("/datasets/flowers/").status_code == 200
