"""Webhooks: told of every end exactly as it was committed, signed, and tried again until they have it."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, hmac

from datasets import datasets
from jobs import addresses, deliveries, events, imports, local, queue, training, webhooks
from models import EVENTS, Job, Member, Webhook, WebhookDelivery, db, now
from tests.photos import write_zip
from tests.receivers import receiver, say
from tests.teaching import finish, start, teach
from web import tokens


@pytest.fixture
def kept():
    """A receiver on this machine."""
    with receiver() as kept:
        yield kept


@pytest.fixture
def webhook(app, dataset, alice, kept):
    """A webhook of the dataset's that leads to the receiver, where private addresses are allowed."""
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = True
    made = webhooks.create(dataset, alice, webhooks.check_address(kept.address), EVENTS)
    db.session.commit()
    return made


@pytest.fixture
def shift(app):
    """A worker's life, without threads."""
    return local.Shift(app, "w1")


def start_import(dataset, settings, content=None):
    path = settings.folder("uploads") / "photos.zip"
    if content is None:
        write_zip(path, 2)
    else:
        path.write_bytes(content)
    import_ = imports.start_import(dataset, None, "zip", "photos.zip", path)
    db.session.commit()
    return import_


def work(shift, *kinds):
    local.work_once(shift, kinds)
    db.session.expire_all()


def told():
    """The bodies written down so far, as (event, data)."""
    bodies = (json.loads(one.body) for one in db.session.query(WebhookDelivery).order_by(WebhookDelivery.id))
    return [(body["type"], body["data"]) for body in bodies]


def told_ids():
    return [one.public_id for one in db.session.query(WebhookDelivery).order_by(WebhookDelivery.id)]


def only_delivery():
    db.session.expire_all()
    return db.session.query(WebhookDelivery).one()


def add(webhook, event="run.finished", body="{}"):
    delivery = events.add_delivery(webhook, event, body)
    db.session.commit()
    return delivery


def make_due(delivery):
    delivery.next_attempt_at = now()
    db.session.commit()


# What is told


@pytest.fixture
def ask(client, alice):
    """What the API answers alice."""
    _, token = tokens.make_token(alice, "script", ["read"])
    return lambda path: client.get(path, headers={"Authorization": f"Bearer {token}"}).json


def test_a_finished_import_is_told_as_the_api_shows_it(webhook, dataset, shift, settings, ask):
    import_ = start_import(dataset, settings)
    work(shift, "import")
    ((event, data),) = told()
    assert (event, data["state"], data["added"]) == ("import.finished", "finished", import_.added)
    assert data.items() <= ask(data["url"]).items()


def test_an_import_that_failed_is_told_with_the_reason(webhook, dataset, shift, settings):
    import_ = start_import(dataset, settings, b"not a zip")
    work(shift, "import")
    ((_, data),) = told()
    assert (data["state"], data["message"]) == ("failed", import_.job.message)


def test_an_import_whose_worker_died_too_often_is_told(webhook, dataset, shift, settings):
    start_import(dataset, settings).job.attempts = queue.MAX_ATTEMPTS
    db.session.commit()
    work(shift, "import")
    assert [(event, data["state"]) for event, data in told()] == [("import.finished", "failed")]


def test_a_finished_run_is_told_as_the_api_shows_it(webhook, dataset, shift, ask):
    teach(dataset)
    run = start(dataset)
    finish(run)
    db.session.delete(run.version)
    run.job.state = "queued"
    db.session.commit()
    work(shift, "run")
    ((event, data),) = told()
    assert (event, data["state"], data["version"]) == ("run.finished", "finished", run.version.number)
    assert data.items() <= ask(data["url"]).items()


def test_runs_that_failed_or_were_cancelled_are_told(webhook, dataset, shift):
    teach(dataset)
    failing, cancelled = start(dataset), start(dataset)
    training.folder_of(failing).rename(training.folder_of(failing).with_name("gone"))
    training.cancel(cancelled)
    db.session.commit()
    work(shift, "run")
    states = {data["id"]: data["state"] for _, data in told()}
    assert states == {failing.id: "failed", cancelled.id: "cancelled"}


def test_a_run_is_told_of_when_it_is_interrupted_only_once_it_was_resumed_to_an_end(webhook, dataset, shift):
    teach(dataset)
    run = start(dataset)
    run.job.attempts = 1  # as a worker that died left it
    db.session.commit()
    work(shift, "run")
    assert (run.job.state, told()) == ("interrupted", [])
    training.resume(run)
    training.cancel(run)
    assert [data["state"] for _, data in told()] == ["cancelled"]


def test_every_end_of_a_run_that_is_resumed_is_told_anew(webhook, dataset):
    teach(dataset)
    run = start(dataset)
    for _ in range(2):
        training.cancel(run)
        training.resume(run)
    ids = {one.public_id for one in db.session.query(WebhookDelivery)}
    assert len(ids) == 2


def test_what_is_rolled_back_is_not_told(webhook, dataset):
    job = queue.submit("import", dataset)
    imports.start_import(dataset, None, "zip", "a.zip")
    db.session.commit()
    claim = queue.claim("w1", ("import",), job.id)
    queue.settle(claim, "finished")
    db.session.rollback()
    assert told() == []


def test_nobody_is_told_of_embeddings(webhook, dataset):
    queue.ask_to_stop(queue.submit("embed", dataset))
    assert told() == []


def test_only_who_wants_to_know_is_told(webhook, dataset, bob, shift, settings):
    webhooks.choose_events(webhook, ["run.finished"])
    start_import(dataset, settings)
    work(shift, "import")
    assert told() == []


def test_a_webhook_that_is_switched_off_is_told_nothing(webhook, dataset, shift, settings):
    waiting = add(webhook)
    webhooks.switch_off(webhook)
    start_import(dataset, settings)
    work(shift, "import")
    assert (only_delivery().state, only_delivery().last_message) == ("failed", webhooks.SWITCHED_OFF)
    assert waiting.attempts == 0


def test_where_too_much_waits_the_next_is_only_written_down(webhook):
    for _ in range(events.MOST_WAITING):
        events.add_delivery(webhook, "run.finished", "{}")
    over = add(webhook)
    assert (over.state, over.last_message) == ("failed", events.TOO_MANY)


def test_a_deleted_dataset_takes_its_webhooks_along(webhook, dataset):
    add(webhook)
    datasets.delete(dataset)
    db.session.commit()
    assert db.session.query(Webhook).count() == db.session.query(WebhookDelivery).count() == 0
    assert not deliveries.send_next()


# What is sent


def verify(secret, headers, body):
    """Whether one of the signatures is right, computed by another library than ours."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.HMAC(base64.b64decode(secret.removeprefix("whsec_")), hashes.SHA256())
    digest.update(signed)
    wanted = base64.b64encode(digest.finalize()).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_the_specifications_own_example():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = deliveries.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_arrives_is_signed_and_written_down_as_delivered(webhook, kept, dataset, shift, settings):
    start_import(dataset, settings)
    work(shift, "import")
    kept.answers = [say(200, b"thank you")]
    assert deliveries.send_next()
    delivery = only_delivery()
    ((_, headers, body),) = kept.got
    assert verify(webhook.secret, headers, body)
    assert (headers["webhook-id"], headers["content-type"]) == (delivery.public_id, "application/json")
    assert abs(int(headers["webhook-timestamp"]) - now().timestamp()) < 60
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert (delivery.last_message, delivery.next_attempt_at) == ("thank you", None)
    assert not deliveries.send_next()


def test_a_renewed_secret_signs_beside_the_old_one_for_a_day(webhook, kept):
    old = webhook.secret
    webhooks.renew_secret(webhook)
    add(webhook)
    deliveries.send_next()
    webhook.old_secret_until = now()
    add(webhook)
    deliveries.send_next()
    (_, first, body), (_, second, _) = kept.got
    assert verify(old, first, body) and verify(webhook.secret, first, body)
    assert verify(webhook.secret, second, body) and not verify(old, second, body)


@pytest.mark.parametrize("status", [301, 400, 404, 408, 425, 429, 500, 503])
def test_what_is_no_success_is_tried_again_under_the_same_id(webhook, kept, status):
    delivery = add(webhook)
    kept.answers = [say(status, b"no")]
    deliveries.send_next()
    assert (delivery.state, delivery.last_status, delivery.last_message) == ("waiting", status, "no")
    assert timedelta(seconds=4) < delivery.next_attempt_at - now() < timedelta(seconds=7)
    assert not deliveries.send_next()
    make_due(delivery)
    deliveries.send_next()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    (_, first, one), (_, second, other) = kept.got
    assert (first["webhook-id"], one) == (second["webhook-id"], other)


def test_after_the_last_try_a_delivery_is_given_up(webhook, kept):
    delivery = add(webhook)
    kept.answers = [say(500) for _ in range(20)]
    while delivery.state == "waiting":
        make_due(delivery)
        deliveries.send_next()
    assert (delivery.state, len(kept.got)) == ("failed", len(deliveries.DELAYS) + 1)
    assert webhook.failed_in_row == 1


@pytest.mark.parametrize(("text", "hours"), [("7200", 2), ("31536000", 24)])
def test_a_receivers_wish_to_wait_is_heard_within_a_day(webhook, kept, text, hours):
    delivery = add(webhook)
    kept.answers = [say(429, Retry_After=text)]
    deliveries.send_next()
    wait = (delivery.next_attempt_at - now()).total_seconds()
    assert wait == pytest.approx(hours * 3_600, abs=60)


def test_a_receiver_that_is_gone_for_good_is_switched_off(webhook, kept):
    add(webhook)
    waiting = add(webhook)
    kept.answers = [say(410)]
    deliveries.send_next()
    assert not webhook.is_enabled
    assert "410" in webhook.trouble
    assert waiting.state == "failed"
    assert not deliveries.send_next()


def remove(dataset, alice):
    db.session.delete(db.session.get(Member, (dataset.id, alice.id)))


def degrade(dataset, alice):
    db.session.get(Member, (dataset.id, alice.id)).role = "editor"


def disable(dataset, alice):
    alice.is_enabled = False


@pytest.mark.parametrize("leave", [remove, degrade, disable])
def test_a_webhook_tells_nothing_to_who_owns_no_more(webhook, kept, dataset, alice, bob, leave):
    db.session.add(Member(dataset=dataset, user=bob, role="owner"))
    delivery = add(webhook)
    leave(dataset, alice)
    db.session.commit()
    assert not deliveries.send_next() and kept.got == []
    assert (webhook.is_enabled, webhook.trouble) == (False, webhooks.NO_OWNERS)
    assert delivery.state == "failed"
    webhooks.switch_on(webhook, bob)
    add(webhook)
    assert deliveries.send_next() and len(kept.got) == 1


def test_a_webhook_that_only_fails_is_switched_off(webhook, kept):
    webhook.failed_in_row = deliveries.MOST_FAILED - 1
    webhook.address = "http://nothing.invalid/"
    delivery = add(webhook)
    delivery.attempts = len(deliveries.DELAYS)
    db.session.commit()
    deliveries.send_next()
    assert (webhook.is_enabled, delivery.state) == (False, "failed")


def test_a_private_address_is_refused_when_it_is_called_too(app, webhook, kept):
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = False
    delivery = add(webhook)
    deliveries.send_next()
    assert kept.got == []
    assert delivery.state == "failed"
    assert "WEBHOOK_PRIVATE" in delivery.last_message


def test_a_name_that_turned_private_since_is_refused(app, webhook, kept, names):
    app.config["PIGEONHOLE"].values["WEBHOOK_PRIVATE"] = False
    names["rebound.example"] = [["8.8.8.8"], ["127.0.0.1"]]
    webhook.address = webhooks.check_address(kept.address.replace("127.0.0.1", "rebound.example")).text
    delivery = add(webhook)
    deliveries.send_next()
    assert (kept.got, delivery.state) == ([], "failed")


def test_a_sender_that_died_is_followed_by_one_that_sends_under_the_same_id(webhook, kept):
    delivery = add(webhook)
    assert deliveries.claim()  # and its worker is killed before it sends
    assert not deliveries.send_next()
    delivery.lease_until = now()
    db.session.commit()
    assert deliveries.send_next()
    assert [headers["webhook-id"] for _, headers, _ in kept.got] == [delivery.public_id]
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


def test_the_word_of_a_sender_taken_for_dead_is_not_taken(webhook):
    delivery = add(webhook)
    parcel = deliveries.claim()
    delivery.lease_until = now()
    db.session.commit()
    deliveries.send_next()
    deliveries.settle(parcel, deliveries.Answer(500, "too late"))
    db.session.commit()
    assert (delivery.state, delivery.last_status) == ("delivered", 204)


def test_of_many_senders_at_once_each_delivery_has_one(app, webhook, kept):
    for _ in range(10):
        add(webhook)
    hooks = [webhooks.create(webhook.dataset, None, addresses.parse(kept.address), EVENTS) for _ in range(5)]
    for one in hooks:
        add(one)
    wanted = sorted(told_ids())
    db.session.commit()

    def send():
        with app.app_context():
            while deliveries.send_next():
                pass

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    while deliveries.send_next():
        pass
    assert sorted(headers["webhook-id"] for _, headers, _ in kept.got) == wanted


def test_a_slow_receiver_has_one_sender_at_most_and_keeps_no_other_waiting(webhook, kept, dataset):
    add(webhook)
    add(webhook)
    other = add(webhooks.create(dataset, None, addresses.parse(kept.address), EVENTS))
    assert deliveries.claim()
    assert deliveries.claim().delivery_id == other.id
    assert deliveries.claim() is None


# What a person does


def test_a_test_is_sent_once(webhook, kept):
    delivery = webhooks.send_test(webhook)
    db.session.commit()
    with pytest.raises(webhooks.WebhookRefused, match="waiting"):
        webhooks.send_test(webhook)
    kept.answers = [say(500)]
    deliveries.send_next()
    assert (delivery.event, delivery.state) == ("test", "failed")
    assert json.loads(kept.got[0][2])["data"] == {"dataset": "flowers"}


def test_what_was_delivered_is_sent_again_under_its_id(webhook, kept):
    delivery = add(webhook)
    deliveries.send_next()
    webhooks.send_again(delivery)
    with pytest.raises(webhooks.WebhookRefused, match="waiting"):
        webhooks.send_again(delivery)
    db.session.commit()
    deliveries.send_next()
    assert [headers["webhook-id"] for _, headers, _ in kept.got] == [delivery.public_id] * 2


def test_nothing_is_sent_to_a_webhook_that_is_switched_off(webhook, kept):
    delivery = add(webhook)
    webhooks.switch_off(webhook)
    for wish in (lambda: webhooks.send_again(delivery), lambda: webhooks.send_test(webhook)):
        with pytest.raises(webhooks.WebhookRefused, match="Switch it on"):
            wish()
    webhooks.switch_on(webhook, None)
    db.session.refresh(delivery)
    webhooks.send_again(delivery)
    db.session.commit()
    deliveries.send_next()
    assert len(kept.got) == 1


def test_a_dataset_has_a_bounded_number_of_webhooks(webhook, dataset, kept):
    for _ in range(webhooks.MOST - 1):
        webhooks.create(dataset, None, addresses.parse(kept.address), EVENTS)
    with pytest.raises(webhooks.WebhookRefused, match="20"):
        webhooks.create(dataset, None, addresses.parse(kept.address), EVENTS)


@pytest.mark.parametrize("wanted", [[], ["run.started"], ["run.finished", "test"]])
def test_unknown_events_are_refused(webhook, wanted):
    with pytest.raises(webhooks.WebhookRefused):
        webhooks.choose_events(webhook, wanted)


def test_the_log_is_swept_after_its_days_and_what_waits_is_kept(webhook, monkeypatch):
    old, waiting, recent = add(webhook), add(webhook), add(webhook)
    month = timedelta(days=31)
    old.state, old.finished_at = "delivered", now() - month
    recent.state, recent.finished_at = "delivered", now()
    waiting.created_at -= month
    db.session.commit()
    assert webhooks.sweep_rows() == 1
    assert set(told_ids()) == {waiting.public_id, recent.public_id}


def test_of_a_long_log_the_latest_are_kept(webhook, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_KEPT", 2)
    for _ in range(5):
        add(webhook).finished_at = now()
    db.session.commit()
    latest = told_ids()[-2:]
    assert webhooks.sweep_rows() == 3
    assert told_ids() == latest


def test_a_job_without_its_run_or_import_is_told_to_nobody(webhook, dataset):
    job = queue.submit("run", dataset)
    job.state = "finished"
    db.session.commit()
    events.announce(job.id)
    assert db.session.query(Job).count() == 1 and told() == []
