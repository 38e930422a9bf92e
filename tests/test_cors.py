"""CORS: none by default; where origins are named, the API alone, and never with credentials."""

from __future__ import annotations

import dataclasses

import pytest

import config
import server
from models import db

PAGE = "https://maps.example.org"
ASKED = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


@pytest.fixture
def serve(settings):
    """`serve(origins)`: a browser at a server whose setting names those origins."""
    apps = []

    def serve(origins):
        values = {**settings.values, "CORS_ORIGINS": origins}
        apps.append(server.create_app(dataclasses.replace(settings, values=values)))
        with apps[-1].app_context():
            db.create_all()
        return apps[-1].test_client()

    yield serve
    for app in apps:
        with app.app_context():
            db.engine.dispose()


def about_origins(answer) -> list[str]:
    return [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_no_origin_is_allowed_by_default(client):
    assert not about_origins(client.get("/api/v1/datasets", headers={"Origin": PAGE}))
    assert not about_origins(client.options("/api/v1/datasets", headers=ASKED))


def test_a_named_origin_may_read_the_answer_and_its_headers(serve):
    answer = serve(f"https://other.example, {PAGE}").get("/api/v1/datasets", headers={"Origin": PAGE})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Origin" in answer.vary
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "Retry-After", "X-RateLimit-Remaining", "X-Request-Id"} <= set(exposed)


def test_credentials_are_never_allowed(serve):
    for origins in (PAGE, "*"):
        for answer in (serve(origins).options("/api/v1/x", headers=ASKED), serve(origins).get("/api/v1/x")):
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", f"{PAGE}.evil.example", "http://maps.example.org", f"{PAGE}:8443", "null"],
)
def test_another_origin_gets_nothing(serve, origin):
    browser = serve(PAGE)
    assert not about_origins(browser.get("/api/v1/datasets", headers={"Origin": origin}))
    answer = browser.options("/api/v1/datasets", headers={**ASKED, "Origin": origin})
    assert not about_origins(answer)
    assert "Origin" in answer.vary


def test_a_preflight_is_answered_without_signing_in(serve):
    answer = serve(PAGE).options("/api/v1/datasets", headers=ASKED)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_a_preflight_is_not_counted_as_a_request(serve):
    assert "X-RateLimit-Limit" not in serve(PAGE).options("/api/v1/datasets", headers=ASKED).headers


def test_every_origin_may_be_allowed(serve):
    answer = serve("*").get("/api/v1/datasets", headers={"Origin": "https://anywhere.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/", "/login", "/datasets/flowers/", "/oauth/authorize", "/livez", "/images/x.jpg"]
)
def test_pages_are_never_shared(serve, path):
    browser = serve("*")
    assert not about_origins(browser.get(path, headers={"Origin": PAGE}))
    assert not about_origins(browser.options(path, headers=ASKED))


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/.well-known/oauth-authorization-server"])
def test_what_gives_tokens_is_shared(serve, path):
    assert serve(PAGE).options(path, headers=ASKED).headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize(
    "origins", ["maps.example.org", "https://maps.example.org/app", "https://*.example.org"]
)
def test_what_is_no_origin_is_refused_at_the_start(settings, origins):
    values = {**settings.values, "CORS_ORIGINS": origins}
    with pytest.raises(config.BadSetting, match="CORS_ORIGINS"):
        server.create_app(dataclasses.replace(settings, values=values))
