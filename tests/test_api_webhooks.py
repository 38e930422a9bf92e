"""Webhooks over the API: what a page does, by script; the secret is told once."""

from __future__ import annotations

import pytest

from jobs import addresses, events, webhooks
from models import EVENTS, Webhook, db, now
from tests.test_addresses import HOSTILE
from tests.test_datasets_pages import make_member
from web import tokens

PATH = "/api/v1/datasets/flowers/webhooks"
ADDRESS = "http://127.0.0.1:9/hook"


@pytest.fixture(autouse=True)
def private(app):
    """An instance whose webhooks may lead to this machine."""
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = True


@pytest.fixture
def call(client, alice):
    """`call(method, path, ...)` with alice's token; `by` and `scopes` make it another's."""

    def call(method, path="", by=alice, scopes=("read", "write"), **more):
        _, token = tokens.make_token(by, "script", list(scopes))
        head = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return client.open(PATH + path, method=method, headers=head, **more)

    return call


@pytest.fixture
def webhook(dataset):
    made = webhooks.create(dataset, None, addresses.parse(ADDRESS), EVENTS)
    db.session.commit()
    return made


def test_one_is_made_and_its_secret_told_once(call, dataset, alice):
    answer = call("POST", json={"address": ADDRESS})
    made = db.session.query(Webhook).one()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{PATH}/{made.id}")
    assert answer.json["secret"] == made.secret
    assert answer.headers["Cache-Control"] == "no-store"
    shown = call("GET", f"/{made.id}").json
    assert shown == {name: value for name, value in answer.json.items() if name != "secret"}
    assert (shown["events"], shown["is_enabled"], made.user) == (list(EVENTS), True, alice)
    assert call("GET").json == {"items": [shown], "next": None, "total": 1}


@pytest.mark.parametrize("address", [*HOSTILE, 7, None, ["http://127.0.0.1/"]])
def test_what_is_no_address_is_refused_by_its_field(call, dataset, address):
    answer = call("POST", json={"address": address})
    assert answer.status_code in (400, 422)  # 400: a NUL character, which no JSON of ours may hold
    assert answer.status_code == 400 or answer.json["error"]["field"] == "address"


def test_a_private_address_is_refused_unless_the_setting_allows_it(app, call, dataset):
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = False
    answer = call("POST", json={"address": ADDRESS})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "address")
    assert "WEBHOOK_PRIVATE" in answer.json["error"]["message"]


@pytest.mark.parametrize("wanted", [[], ["test"], "run.finished", [None]])
def test_events_that_there_are_not_are_refused(call, webhook, wanted):
    assert call("POST", json={"address": ADDRESS, "events": wanted}).status_code == 422
    assert call("PATCH", f"/{webhook.id}", json={"events": wanted}).status_code == 422


def test_the_twenty_first_is_refused(call, webhook, dataset):
    for _ in range(webhooks.MOST - 1):
        webhooks.create(dataset, None, addresses.parse(ADDRESS), EVENTS)
    assert call("POST", json={"address": ADDRESS}).status_code == 422


def test_it_is_changed_and_switched_off_and_on(call, webhook):
    path = f"/{webhook.id}"
    assert call("PATCH", path, json={"events": ["run.finished"]}).json["events"] == ["run.finished"]
    assert call("PATCH", path, json={"is_enabled": False}).json["is_enabled"] is False
    assert call("POST", f"{path}/test").status_code == 409
    assert call("PATCH", path, json={"is_enabled": True}).json["is_enabled"] is True


def test_a_new_secret_is_told(call, webhook):
    answer = call("POST", f"/{webhook.id}/secret")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    db.session.refresh(webhook)
    assert answer.json["secret"] == webhook.secret


def test_a_test_is_sent_and_listed(call, webhook):
    sent = call("POST", f"/{webhook.id}/test")
    assert (sent.status_code, sent.json["state"], sent.json["event"]) == (202, "waiting", "test")
    assert call("GET", f"/{webhook.id}/deliveries").json["items"] == [sent.json]
    assert call("POST", f"/{webhook.id}/test").status_code == 409


def test_something_is_sent_again(call, webhook):
    delivery = events.add_delivery(webhook, "run.finished", "{}")
    delivery.state, delivery.finished_at = "failed", now()
    path = f"/{webhook.id}/deliveries/{delivery.id}/again"
    assert call("POST", path).json["state"] == "waiting"
    assert call("POST", path).status_code == 409
    assert call("POST", f"/{webhook.id}/deliveries/999/again").status_code == 404


def test_it_is_deleted(call, webhook):
    path = f"/{webhook.id}"
    assert (call("DELETE", path).status_code, call("GET", path).status_code) == (204, 404)


def calls_of(webhook):
    here = f"/{webhook.id}"
    writes = [("POST", f"{here}/secret"), ("POST", f"{here}/test"), ("POST", f"{here}/deliveries/1/again")]
    reads = [("GET", ""), ("GET", here), ("GET", f"{here}/deliveries")]
    return [*reads, *writes, ("PATCH", here), ("DELETE", here)]


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("editor", 403), (None, 404)])
def test_nobody_but_owners_reads_or_changes_them(call, webhook, dataset, bob, role, status):
    if role:
        make_member(dataset, bob, role)
    assert {call(*one, by=bob).status_code for one in calls_of(webhook)} == {status}
    assert call("POST", by=bob, json={"address": ADDRESS}).status_code == status


def test_a_token_that_may_only_read_changes_nothing(call, webhook):
    statuses = {call(*one, scopes=["read"]).status_code for one in calls_of(webhook) if one[0] != "GET"}
    assert statuses == {403}
