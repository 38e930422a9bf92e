"""The pages of webhooks: for owners alone; an address is looked at before it is taken; the log tells all."""

from __future__ import annotations

import re

import pytest

from jobs import addresses, deliveries, events, webhooks
from models import EVENTS, Dataset, Member, Webhook, WebhookDelivery, db, now
from tests.receivers import receiver, say
from tests.test_addresses import HOSTILE
from tests.test_datasets_pages import make_member

PAGE = "/datasets/flowers/webhooks/"
BOTH = list(EVENTS)


@pytest.fixture
def webhook(app, dataset):
    """A webhook that leads to this machine, where that is allowed."""
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = True
    address = addresses.parse("http://127.0.0.1:9/hook")
    made = webhooks.create(dataset, None, address, EVENTS)
    db.session.commit()
    return made


def add(webhook, event="run.finished"):
    delivery = events.add_delivery(webhook, event, '{"type":"run.finished"}')
    db.session.commit()
    return delivery


def test_an_owner_makes_one_and_sees_its_secret_once(app, owner, dataset, alice):
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = True
    answer = owner.post(PAGE, data={"address": " http://127.0.0.1:9/a ", "events": ["run.finished"]})
    made = db.session.query(Webhook).one()
    assert answer.status_code == 200
    assert (made.address, made.events, made.user) == ("http://127.0.0.1:9/a", ["run.finished"], alice)
    assert re.search(r"whsec_[A-Za-z0-9+/]{43}=", answer.text)[0] == made.secret
    for path in (PAGE, f"{PAGE}{made.id}"):
        page = owner.get(path).text
        assert "http://127.0.0.1:9/a" in page
        assert "whsec_" not in page


@pytest.mark.parametrize(
    "address", [*HOSTILE, "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"]
)
def test_an_address_that_may_not_be_called_is_refused_on_the_page(owner, dataset, address):
    answer = owner.post(PAGE, data={"address": address, "events": BOTH})
    assert answer.status_code in (400, 422)  # 400: a NUL character
    assert db.session.query(Webhook).count() == 0


@pytest.mark.parametrize("wanted", [[], ["test"], ["run.started"]])
def test_events_that_there_are_not_are_refused(owner, dataset, webhook, wanted):
    new = owner.post(PAGE, data={"address": "http://127.0.0.1:9/", "events": wanted})
    change = owner.post(f"{PAGE}{webhook.id}/events", data={"events": wanted})
    assert (new.status_code, change.status_code) == (422, 422)
    assert "Choose at least one" in change.text
    assert db.session.query(Webhook).one().events == BOTH


def test_the_events_are_changed(owner, webhook):
    owner.post(f"{PAGE}{webhook.id}/events", data={"events": ["import.finished"]})
    assert webhook.events == ["import.finished"]
    page = owner.get(f"{PAGE}{webhook.id}").text
    assert re.search(r'<input[^>]* checked [^>]*value="import.finished"', page)


def test_it_is_switched_off_and_on(owner, webhook):
    owner.post(f"{PAGE}{webhook.id}/off")
    assert not webhook.is_enabled
    assert "Switch on" in owner.get(f"{PAGE}{webhook.id}").text
    owner.post(f"{PAGE}{webhook.id}/on")
    db.session.refresh(webhook)
    assert webhook.is_enabled


def test_a_new_secret_is_shown_once(owner, webhook):
    old = webhook.secret
    page = owner.post(f"{PAGE}{webhook.id}/secret").text
    db.session.refresh(webhook)
    assert webhook.secret != old
    assert webhook.secret in page and old not in page


def test_a_test_is_sent_and_its_answer_is_in_the_log(owner, webhook):
    with receiver() as kept:
        webhook.address = kept.address
        kept.answers = [say(500, b"<script>alert(1)</script>")]
        owner.post(f"{PAGE}{webhook.id}/test")
        deliveries.send_next()
    page = owner.get(f"{PAGE}{webhook.id}").text
    assert "Given up" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_what_waits_says_when_it_is_tried_next(owner, webhook):
    add(webhook)
    deliveries.send_next()
    page = owner.get(f"{PAGE}{webhook.id}").text
    assert "Waits to be tried again" in page
    assert "Connection refused" in page
    assert re.search(r"in \d+ s", page)


def test_what_waits_without_a_worker_says_so(owner, webhook):
    add(webhook).next_attempt_at = now().replace(year=2020)
    assert "is one running?" in owner.get(f"{PAGE}{webhook.id}").text


def test_something_is_sent_again_from_the_log(owner, webhook):
    delivery = add(webhook)
    delivery.state, delivery.finished_at = "delivered", now()
    owner.post(f"{PAGE}{webhook.id}/deliveries/{delivery.id}/again")
    db.session.refresh(delivery)
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    again = owner.post(f"{PAGE}{webhook.id}/deliveries/{delivery.id}/again", follow_redirects=True)
    assert "waiting to be sent already" in again.text


def test_a_long_log_is_shown_a_page_at_a_time(owner, webhook):
    for _ in range(webhooks.PAGE + 1):
        add(webhook)
    first = owner.get(f"{PAGE}{webhook.id}").text
    older = re.search(r"before=(\d+)", first)
    assert first.count("<details>") == webhooks.PAGE
    assert owner.get(f"{PAGE}{webhook.id}?before={older[1]}").text.count("<details>") == 1


def test_it_is_deleted_once_its_host_has_been_typed(owner, webhook):
    add(webhook)
    owner.post(f"{PAGE}{webhook.id}/delete", data={"confirm": "yes"})
    assert db.session.query(Webhook).count() == 1
    owner.post(f"{PAGE}{webhook.id}/delete", data={"confirm": "127.0.0.1:9"})
    assert db.session.query(Webhook).count() == db.session.query(WebhookDelivery).count() == 0


ROUTES = ["/events", "/on", "/off", "/secret", "/test", "/delete", "/deliveries/{}/again"]


@pytest.mark.parametrize("role", ["viewer", "editor", None])
def test_nobody_but_owners_sees_or_changes_webhooks(client, sign_in, dataset, webhook, bob, role):
    delivery = add(webhook)
    if role:
        make_member(dataset, bob, role)
    browser = sign_in(client, bob)
    statuses = {browser.get(PAGE).status_code, browser.post(PAGE).status_code}
    statuses |= {browser.get(f"{PAGE}{webhook.id}").status_code}
    statuses |= {browser.post(f"{PAGE}{webhook.id}{one.format(delivery.id)}").status_code for one in ROUTES}
    assert statuses == {403 if role else 404}
    assert "Webhooks …" not in browser.get("/datasets/flowers/settings").text


def test_a_webhook_is_not_reached_through_another_dataset(client, sign_in, dataset, webhook, bob):
    delivery = add(webhook)
    db.session.add(Dataset(slug="birds", name="Birds", members=[Member(user=bob, role="owner")]))
    browser, there = sign_in(client, bob), f"/datasets/birds/webhooks/{webhook.id}"
    mine = webhooks.create(db.session.query(Dataset).filter_by(slug="birds").one(), bob, _address(), EVENTS)
    statuses = {browser.get(there).status_code}
    statuses |= {browser.post(there + one.format(delivery.id)).status_code for one in ROUTES}
    foreign = f"/datasets/birds/webhooks/{mine.id}/deliveries/{delivery.id}/again"
    assert statuses | {browser.post(foreign).status_code} == {404}


def _address():
    return addresses.parse("http://127.0.0.1:9/")
