"""Deliveries on their way: claimed under a lease, signed, sent, and tried again until they have arrived.

At least once: after a worker that died between sending and writing so down, another sends again, under the
same id. Signatures, headers and what an answer means are those of the Standard Webhooks specification 1.0.0
(github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import hmac
import logging
import random
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, current_app
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.exc import OperationalError

from jobs import addresses, events, outgoing, webhooks
from jobs.outgoing import Answer
from models import Webhook, WebhookDelivery, db, now

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
LEASE = timedelta(seconds=4 * outgoing.TOTAL_SECONDS)
# Seconds from a failed try to the next: nine tries in two days.
DELAYS = (5, 30, 120, 600, 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600)
MAX_RETRY_AFTER = 24 * 3_600
GONE = 410
MOST_FAILED = 20  # in a row, each for good: then nobody is there any more
AGENT = "Pigeonhole-Webhooks/1"


@dataclass(frozen=True)
class Parcel:
    """One delivery in the hands of a sender. The fence tells it from whoever sends it after us."""

    delivery_id: int
    fence: int
    event: str
    public_id: str
    address: str
    body: str
    secrets: tuple[str, ...]
    attempts: int


def work(app: Flask, ending: threading.Event) -> None:
    """Send what is due until `ending` is set."""
    while not ending.is_set():
        with app.app_context():
            has_sent = _try_to_send()
        if not has_sent:
            ending.wait(IDLE_SECONDS)


def _try_to_send() -> bool:
    try:
        return send_next()
    except OperationalError as error:
        logger.warning("The database does not answer (%s); webhooks are sent later.", error.orig)
        return False


def send_next() -> bool:
    """Send the delivery whose turn it is, and commit what became of it; false when none is due."""
    parcel = claim()
    if parcel is not None:
        settle(parcel, *_send(parcel))
        db.session.commit()
    return parcel is not None


def claim() -> Parcel | None:
    """Take the delivery whose turn it is, and commit; None if none is due or another sender was faster.

    A webhook of somebody who owns the dataset no longer is switched off instead.
    """
    wanted = _find_due()
    if wanted is None or _is_switched_off(wanted):
        return None
    taking = {
        "state": "sending",
        "fence": WebhookDelivery.fence + 1,
        "attempts": WebhookDelivery.attempts + 1,
        "lease_until": now() + LEASE,
    }
    taken = update(WebhookDelivery).where(WebhookDelivery.id == wanted, _is_due()).values(**taking)
    if db.session.execute(taken, execution_options={"synchronize_session": False}).rowcount != 1:
        db.session.rollback()
        return None
    delivery = db.session.get(WebhookDelivery, wanted, populate_existing=True)
    delivery.webhook.tried_at = now()
    parcel = _pack(delivery)
    db.session.commit()
    return parcel


def _is_switched_off(delivery_id: int) -> bool:
    """Switch the delivery's webhook off, and commit, where it is nobody's who may know what is sent."""
    webhook = db.session.scalar(
        select(Webhook).join(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    )
    if webhook is None or webhooks.is_an_owners(webhook):
        return False
    webhooks.switch_off(webhook, webhooks.NO_OWNERS)
    db.session.commit()
    return True


def _find_due() -> int | None:
    """The id of the delivery whose turn it is: of the webhook that was served longest ago, the oldest.

    A webhook that is being sent to waits, so that a slow receiver has one sender at most. It only reads.
    """
    is_busy = and_(WebhookDelivery.state == "sending", WebhookDelivery.lease_until >= now())
    query = (
        select(WebhookDelivery.id)
        .join(Webhook)
        .where(_is_due(), Webhook.is_enabled)
        .where(WebhookDelivery.webhook_id.not_in(select(WebhookDelivery.webhook_id).where(is_busy)))
        .order_by(Webhook.tried_at.is_not(None), Webhook.tried_at, WebhookDelivery.id)
    )
    with db.engine.connect().execution_options(is_reading=True) as connection:
        return connection.scalar(query.limit(1))


def _is_due() -> ColumnElement[bool]:
    """What waits and may be tried, and what its sender has left without a word."""
    moment, state = now(), WebhookDelivery.state
    waits = and_(state == "waiting", WebhookDelivery.next_attempt_at <= moment)
    return or_(waits, and_(state == "sending", WebhookDelivery.lease_until < moment))


def _pack(delivery: WebhookDelivery) -> Parcel:
    webhook = delivery.webhook
    is_old_good = webhook.old_secret_until is not None and webhook.old_secret_until > now()
    return Parcel(
        delivery_id=delivery.id,
        fence=delivery.fence,
        event=delivery.event,
        public_id=delivery.public_id,
        address=webhook.address,
        body=delivery.body,
        secrets=(webhook.secret, *([webhook.old_secret] if is_old_good else [])),
        attempts=delivery.attempts,
    )


def _send(parcel: Parcel) -> tuple[Answer, bool]:
    """Send it; return what came back, and whether another try may bring more."""
    is_private_allowed = current_app.config["PIGEONHOLE"].webhook_private
    headers = make_headers(parcel, int(time.time()))
    try:
        address = addresses.parse(parcel.address)
        return outgoing.post(address, parcel.body.encode(), headers, is_private_allowed), True
    except addresses.AddressRefused as refused:
        return Answer(None, str(refused)), False
    except Exception as error:
        logger.exception("Sending %s to a webhook failed.", parcel.public_id)
        return Answer(None, f"An unexpected error: {error}. The worker's log has the details."), True


def make_headers(parcel: Parcel, timestamp: int) -> dict[str, str]:
    """Return the headers of one try at `timestamp` (seconds since 1970): signed with each of the secrets."""
    signatures = (sign(secret, parcel.public_id, timestamp, parcel.body) for secret in parcel.secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": parcel.public_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: str, identifier: str, timestamp: int, body: str) -> str:
    """Return `v1,` and the base64 of HMAC-SHA256 over id.timestamp.body, as the specification has it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identifier}.{timestamp}.{body}".encode(), "sha256")
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def settle(parcel: Parcel, answer: Answer, can_be_retried: bool = True) -> None:
    """Write down what became of one try; nothing where somebody else has it by now. The caller commits."""
    is_ours = (
        WebhookDelivery.id == parcel.delivery_id,
        WebhookDelivery.state == "sending",
        WebhookDelivery.fence == parcel.fence,
    )
    webhook = db.session.scalar(select(Webhook).join(WebhookDelivery).where(*is_ours))
    if webhook is None:
        return
    can_be_retried = can_be_retried and webhook.is_enabled and answer.status != GONE
    wait = _wait_seconds(parcel, answer) if can_be_retried and not answer.is_success else None
    values = {"last_status": answer.status, "last_message": answer.words, "lease_until": None}
    if wait is None:
        state = "delivered" if answer.is_success else "failed"
        values |= {"state": state, "next_attempt_at": None, "finished_at": now()}
    else:
        values |= {"state": "waiting", "next_attempt_at": now() + timedelta(seconds=wait)}
    written = db.session.execute(update(WebhookDelivery).where(*is_ours).values(**values)).rowcount
    if written and wait is None:
        _judge(webhook, parcel, answer)


def _wait_seconds(parcel: Parcel, answer: Answer) -> float | None:
    """How long to wait before the next try, with some chance in it; None when this was the last.

    Whatever is no success is tried again, as the specification has it: what answers 404 may be deployed in
    an hour. The receiver may ask for a longer wait than ours, of a day at most.
    """
    if parcel.event == events.TEST or parcel.attempts > len(DELAYS):
        return None
    wait = DELAYS[parcel.attempts - 1] * random.uniform(1, 1.2)
    return max(wait, min(answer.retry_after or 0, MAX_RETRY_AFTER))


def _judge(webhook: Webhook, parcel: Parcel, answer: Answer) -> None:
    """Switch the webhook off where nobody is there any more."""
    webhook.failed_in_row = 0 if answer.is_success else webhook.failed_in_row + 1
    if answer.status == GONE:
        webhooks.switch_off(webhook, "The receiver answered that it is gone for good (410).")
    elif webhook.failed_in_row >= MOST_FAILED:
        webhooks.switch_off(webhook, f"{MOST_FAILED} deliveries in a row could not be made.")
