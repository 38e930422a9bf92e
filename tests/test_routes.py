"""Every route of the application is guarded: strangers get nothing, and no page is changed without proof."""

from __future__ import annotations

import pytest

import config
import server

# What a stranger may ask for; everything else sends them to the login or says 401 or 404.
PUBLIC = {
    "static",
    "bootstrap.static",
    "home.index",
    "account.login",
    "account.logout",
    "account.setup",
    "account.accept",
    "health.livez",
    "health.readyz",
    "reference.show",
    "reference.file",
    "description.openapi",
    "description.postman",
    "oauth_programs.token",
    "oauth_programs.revoke",
    "oauth_programs.introspect",
    "oauth_programs.describe",
    "kerasui.token",
}
# Called by programs, that sign in with an id and a secret where they must; a cookie counts for nothing there.
BY_CLIENTS = {
    *("oauth_programs.token", "oauth_programs.revoke", "oauth_programs.introspect"),
    *("kerasui.token", "fastimage.score"),
}
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Every (endpoint, method, address) of the application."""
    app = server.create_app(config.load(tmp_path_factory.mktemp("routes")))
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        values = {name: _example(rule, name) for name in rule.arguments}
        address = adapter.build(rule.endpoint, values, method=None, append_unknown=False)
        found += [(rule.endpoint, method, address) for method in rule.methods - {"HEAD", "OPTIONS"}]
    return found


def _example(rule, name: str):
    kind = type(rule._converters[name]).__name__
    return 1 if "Integer" in kind else "nothing"


def test_a_stranger_gets_nothing_but_what_is_public(client, calls):
    wrong = []
    for endpoint, method, address in calls:
        if endpoint in PUBLIC:
            continue
        answer = client.open(address, method=method)
        is_login = answer.status_code == 302 and answer.location.startswith("/login")
        if not is_login and answer.status_code not in (401, 404):
            wrong.append(f"{method} {address} ({endpoint}): {answer.status_code}")
    assert not wrong


def test_nothing_is_changed_on_a_page_without_a_csrf_token(client, sign_in, alice, calls):
    sign_in(client, alice)
    del client.environ_base["HTTP_X_CSRFTOKEN"]
    wrong = []
    for endpoint, method, address in calls:
        if method in WRITES and not address.startswith("/api/") and endpoint not in BY_CLIENTS:
            status = client.open(address, method=method).status_code
            wrong += [f"{method} {address} ({endpoint}): {status}"] if status != 400 else []
    assert not wrong


def test_the_api_changes_nothing_for_a_browser_session(client, sign_in, alice, calls):
    sign_in(client, alice)
    writes = [(method, address) for _, method, address in calls if method in WRITES and "/api/" in address]
    assert {client.open(address, method=method).status_code for method, address in writes} <= {401, 404}


def test_no_route_takes_a_change_by_get(calls):
    words = ("delete", "remove", "rename", "merge", "revoke", "disable", "enable", "change", "undo", "cancel")
    gets = {endpoint.rpartition(".")[2] for endpoint, method, _ in calls if method == "GET"}
    assert not gets & set(words)
