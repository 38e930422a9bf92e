"""Every route × everybody: nobody, a stranger, a viewer, an editor, an owner, an administrator, every scope.

Routes are taken from the application's own map, so that a new one without a row in tests/authorisation.py
fails. Behind every address lies something real: 404 means "not yours" and never "not there".
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from models import ROLES, SCOPES, Dataset, db
from tests.authorisation import API, PAGES
from tests.furnished import PEOPLE, furnish

EVERYBODY = ("nobody", *PEOPLE)
PASSES, LOGIN = "passes", "to the login"
# What a route needs beside its address to come as far as asking who it is.
QUERIES = {"api_versions.compare": {"a": 1, "b": 2}}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Everybody and everything."""
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def public(house):
    """The same with the dataset open to all."""
    with house.app.app_context():
        db.session.execute(db.update(Dataset).values(is_public=True))
        db.session.commit()
    before, _ = house.kept, house.keep()
    yield house
    house.kept = before
    house.put_back()


def bodies(values: dict) -> dict[str, dict]:
    """The JSON that a call needs to come as far as asking who it is, by endpoint."""
    return {
        "api_datasets.add": {"name": "Birds"},
        "api_datasets.change": {"description": "many"},
        "api_versions.change": {"thresholds": 0.7},
        "api_members.set_role": {"user": "guest", "role": "editor"},
        "api_webhooks.add": {"address": "http://127.0.0.1/", "events": ["run.finished"]},
        "api_webhooks.change": {"is_enabled": True},
        "api_labels.add": {"name": "gold"},
        "api_labels.rename": {"name": "gold"},
        "api_labels.merge": {"into": values["other_label_id"]},
        "api_items.relabel": {"labels": ["blue"]},
        "api_items.change_many": {"how": "delete", "items": [values["item_id"]]},
        "api_mistakes.review": {"verdict": "right"},
        "api_feedback.give": {"correct": True},
        "api_live.start": {"version": 1},
        "api_tokens.add": {"name": "camera", "scopes": ["admin"]},
        "api_users.invite": {"name": "erin"},
        "api_users.change": {"is_enabled": True},
        "kerasui.predict": {"dataset": values["dataset_id"]},
        "kerasui_datasets.make": {"name": "Birds"},
        "kerasui_datasets.change": {"name": "Trees"},
        "kerasui_items.add": {"dataset": values["dataset_id"]},
    }


def routes(app: Flask, table: dict) -> Iterator[tuple[Rule, str, str]]:
    """Every (route, method, key in the table) whose rule stands in this table."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            keys = (f"{method} {rule.endpoint}", rule.endpoint)
            yield from ((rule, method, key) for key in keys if key in table)


def expected(rule: str, person: str) -> str | int:
    """What a rule says to a person: to pass, or the status they get instead."""
    if rule in ("public", "secret"):
        return PASSES
    if rule == "open":
        return 404
    if person == "nobody":
        return 401
    if rule == "signed in":
        return PASSES
    if rule == "metrics":
        return PASSES if person == "administrator" else 401
    if rule in ("own", "own or admin", "admin"):
        may = {"own": ("owner",), "own or admin": ("owner", "administrator"), "admin": ("administrator",)}
        return PASSES if person in may[rule] else 404
    role = "viewer" if rule == "shared" else rule
    if person == "stranger":
        return 404
    theirs = "owner" if person == "administrator" else person
    return PASSES if ROLES.index(theirs) >= ROLES.index(role) else 403


def outcome(answer) -> str | int:
    """What became of a request, in the words of `expected`."""
    if answer.status_code == 302 and answer.location.startswith("/login"):
        return 401
    return answer.status_code if answer.status_code in (401, 403, 404, 500) else PASSES


def address_of(house, rule: Rule) -> str:
    """The route's address; where a name means something else than elsewhere, with that."""
    known = house.values
    elsewhere = {
        "static": {"filename": "pigeonhole.css"},
        "bootstrap.static": {"filename": "css/bootstrap.min.css"},
        "charts.static": {"filename": "bokeh.min.js"},
        "reference.file": {"name": "client/pigeonhole.py"},
        "kerasui.user": {"user_id": known["administrator_id"]},
        "kerasui_datasets": {"number": known["dataset_id"]},
        "kerasui_items": {"number": known["item_id"]},
    }
    group = rule.endpoint.partition(".")[0]
    return house.address(rule, **elsewhere.get(rule.endpoint, elsewhere.get(group, {})))


def test_every_route_has_a_row_and_every_row_a_route(house):
    ruled = list(routes(house.app, PAGES | API))
    assert {key for _, _, key in ruled} == set(PAGES | API)
    known = {(rule.endpoint, method) for rule, method, _ in ruled}
    for rule in house.app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert (rule.endpoint, method) in known, (
                f"{method} {rule.endpoint} needs a row: tests/authorisation.py"
            )


@pytest.mark.parametrize("person", EVERYBODY)
def test_every_page_answers_each_person_as_its_rule_says(house, person):
    wrong = {}
    for rule, method, key in routes(house.app, PAGES):
        if PAGES[key] == "secret":
            continue
        found = outcome(house.ask(person, method, address_of(house, rule)))
        if found != (wanted := expected(PAGES[key], person)):
            wrong[f"{method} {key}"] = f"{found}, not {wanted}"
    assert wrong == {}


@pytest.mark.parametrize("person", EVERYBODY)
def test_every_call_of_the_api_answers_each_person_as_its_rule_says(house, person):
    json, wrong = bodies(house.values), {}
    for rule, method, key in routes(house.app, API):
        scope, word = API[key]
        more = {"json": json.get(key), "query_string": QUERIES.get(key)}
        found = outcome(house.call(person, method, address_of(house, rule), **more))
        lacks_scope = scope == "admin" and person not in ("nobody", "administrator")
        if found != (wanted := 403 if lacks_scope else expected(word, person)):
            wrong[f"{method} {key}"] = f"{found}, not {wanted}"
    assert wrong == {}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_of_one_scope_may_do_what_the_scope_says_and_nothing_else(house, scope):
    json, wrong = bodies(house.values), {}
    for rule, method, key in routes(house.app, API):
        more = {"json": json.get(key), "query_string": QUERIES.get(key)}
        found = outcome(house.call("administrator", method, address_of(house, rule), scope, **more))
        if found != (wanted := PASSES if scope in API[key][0].split() else 403):
            wrong[f"{method} {key}"] = f"{found}, not {wanted}"
    assert wrong == {}


def test_what_is_shared_answers_anybody_where_the_dataset_is_public_and_nothing_else_does(public):
    json, wrong = bodies(public.values), {}
    for table, ask in ((PAGES, public.ask), (API, public.call)):
        for rule, method, key in routes(public.app, table):
            word = table[key] if table is PAGES else table[key][1]
            if word not in ("shared", "open", "viewer"):
                continue
            found = outcome(ask("nobody", method, address_of(public, rule), json=json.get(key)))
            if found != (wanted := 401 if word == "viewer" else PASSES):
                wrong[f"{method} {key}"] = f"{found}, not {wanted}"
    assert wrong == {}


def test_what_needs_a_secret_tells_nobody_anything_without_it(house):
    for rule, method, key in routes(house.app, PAGES):
        if PAGES[key] == "secret":
            answer = house.ask("nobody", method, house.address(rule, token="wrong"))
            assert answer.status_code in (400, 401, 404), key


@pytest.mark.parametrize("header", ["Bearer pgh_wrong", "Basic cGdoOg==", "Bearer "])
def test_a_token_that_is_none_opens_no_call(house, header):
    wrong = []
    for rule, method, key in routes(house.app, API):
        answer = house.send(method, address_of(house, rule), {"Authorization": header})
        wrong += [] if answer.status_code == 401 else [f"{method} {key}: {answer.status_code}"]
    assert wrong == []
