"""Webhooks of a dataset: made, changed, switched off and on, tried out, swept. Nothing here commits."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, func, or_, select, update

from jobs import addresses, events
from jobs.addresses import Address
from models import EVENTS, ROLES, Dataset, Member, User, Webhook, WebhookDelivery, db, now

OWNER = ROLES[-1]
MOST = 20  # of one dataset
MOST_KEPT = 1_000  # deliveries of one webhook
PAGE = 50  # deliveries on a page of the log
SECRET_BYTES = 32  # the specification asks for 24 to 64
OLD_SECRET_SIGNS = timedelta(days=1)
NO_OWNERS = "Whoever made it does not own this dataset any more. Switch it on to make it yours, or delete it."
SWITCHED_OFF = "The webhook was switched off before this could be sent."


class WebhookRefused(ValueError):
    """What was wished of a webhook can't be; the message says why."""


def check_address(text: str) -> Address:
    """Read an address and look its host up: done with no transaction open, since it may take seconds.

    Raises:
        AddressRefused: it is none, or leads to where this server's webhooks may not.
        NameUnknown: the host's name is not known.
    """
    address = addresses.parse(text)
    addresses.resolve(address, current_app.config["PIGEONHOLE"].webhook_private)
    return address


def create(dataset: Dataset, user: User | None, address: Address, wanted: Iterable[str]) -> Webhook:
    """Make a webhook with a secret of its own; `address` comes from `check_address`.

    Raises:
        WebhookRefused: no event is wanted or an unknown one, or the dataset has too many webhooks.
    """
    db.session.execute(select(Dataset.id).where(Dataset.id == dataset.id).with_for_update())
    if db.session.scalar(select(func.count(Webhook.id)).where(Webhook.dataset_id == dataset.id)) >= MOST:
        raise WebhookRefused(f"A dataset has {MOST} webhooks at most. Delete one first.")
    webhook = Webhook(
        dataset_id=dataset.id,
        user_id=user.id if user else None,
        address=address.text,
        secret=make_secret(),
        events=_check_events(wanted),
    )
    db.session.add(webhook)
    db.session.flush()
    return webhook


def list_of(dataset: Dataset) -> list[Webhook]:
    """Return the dataset's webhooks, oldest first."""
    return list(db.session.scalars(select(Webhook).filter_by(dataset_id=dataset.id).order_by(Webhook.id)))


def latest_of(dataset: Dataset) -> dict[int, WebhookDelivery]:
    """Return the latest delivery of each of the dataset's webhooks, by the webhook's id."""
    mine = select(Webhook.id).where(Webhook.dataset_id == dataset.id)
    latest = select(func.max(WebhookDelivery.id)).where(WebhookDelivery.webhook_id.in_(mine))
    query = select(WebhookDelivery).where(WebhookDelivery.id.in_(latest.group_by(WebhookDelivery.webhook_id)))
    return {delivery.webhook_id: delivery for delivery in db.session.scalars(query)}


def log_of(webhook: Webhook, before: int | None = None) -> tuple[list[WebhookDelivery], int | None]:
    """Return a page of a webhook's deliveries, latest first, and the id before which the next one begins."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id)
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    found = list(db.session.scalars(query.order_by(WebhookDelivery.id.desc()).limit(PAGE + 1)))
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def make_secret() -> str:
    """Return a new secret as the Standard Webhooks specification writes it: whsec_ and base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def choose_events(webhook: Webhook, wanted: Iterable[str]) -> None:
    """Change what the webhook is told of.

    Raises:
        WebhookRefused: nothing, or something unknown.
    """
    webhook.events = _check_events(wanted)


def _check_events(wanted: Iterable[str]) -> list[str]:
    chosen = set(wanted)
    if not chosen or not chosen <= set(EVENTS):
        raise WebhookRefused(f"Choose at least one event of: {', '.join(EVENTS)}.")
    return [event for event in EVENTS if event in chosen]


def renew_secret(webhook: Webhook) -> None:
    """Give the webhook a new secret; for a day the old one signs too, so that receivers can change over."""
    webhook.old_secret, webhook.old_secret_until = webhook.secret, now() + OLD_SECRET_SIGNS
    webhook.secret = make_secret()


def switch_on(webhook: Webhook, user: User | None) -> None:
    """Tell it of what happens from now on; it is the user's from now on."""
    webhook.is_enabled, webhook.trouble, webhook.failed_in_row = True, None, 0
    webhook.user_id = user.id if user else None


def is_an_owners(webhook: Webhook) -> bool:
    """Whether whoever made it, or switched it on since, still owns the dataset and may sign in."""
    user = webhook.user
    if user is None:
        return True
    member = db.session.get(Member, (webhook.dataset_id, user.id))
    return user.is_enabled and (user.is_admin or (member is not None and member.role == OWNER))


def switch_off(webhook: Webhook, trouble: str | None = None) -> None:
    """Tell it nothing more; what waits is given up, and can be sent again from the log.

    Args:
        trouble: why, where it was not a person who did it.
    """
    webhook.is_enabled, webhook.trouble = False, trouble
    waiting = (WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.state == "waiting")
    given_up = {"state": "failed", "next_attempt_at": None, "finished_at": now()}
    db.session.execute(update(WebhookDelivery).where(*waiting).values(**given_up, last_message=SWITCHED_OFF))


def send_test(webhook: Webhook) -> WebhookDelivery:
    """Let an event `test` be sent, once: a test that fails is not tried again by itself.

    Raises:
        WebhookRefused: it is switched off, or something waits already.
    """
    _require_on(webhook)
    if events.count_waiting(webhook):
        raise WebhookRefused("Something is waiting to be sent already. Look at the log in a moment.")
    body = events.write_body(events.TEST, now(), {"dataset": webhook.dataset.slug})
    return events.add_delivery(webhook, events.TEST, body)


def send_again(delivery: WebhookDelivery) -> None:
    """Let something be sent again, under the id it had: a receiver that has it already can tell.

    Raises:
        WebhookRefused: the webhook is switched off, too much waits, or this is waiting itself.
    """
    _require_on(delivery.webhook)
    if events.count_waiting(delivery.webhook) >= events.MOST_WAITING:
        raise WebhookRefused(f"{events.MOST_WAITING} others are waiting. Try it again later.")
    is_over = (WebhookDelivery.id == delivery.id, WebhookDelivery.finished_at.is_not(None))
    fresh = {"state": "waiting", "attempts": 0, "next_attempt_at": now(), "finished_at": None}
    if not db.session.execute(update(WebhookDelivery).where(*is_over).values(**fresh)).rowcount:
        raise WebhookRefused("This is waiting to be sent already.")


def _require_on(webhook: Webhook) -> None:
    if not webhook.is_enabled:
        raise WebhookRefused("This webhook is switched off. Switch it on first.")


def sweep_rows(at: datetime | None = None) -> int:
    """Delete deliveries past their keeping, and of each webhook all but the latest; return how many."""
    oldest = (at or now()) - timedelta(days=current_app.config["PIGEONHOLE"].webhook_days)
    is_old = WebhookDelivery.finished_at < oldest
    return sum(_sweep(webhook_id, is_old) for webhook_id in db.session.scalars(select(Webhook.id)).all())


def _sweep(webhook_id: int, is_old) -> int:
    mine = WebhookDelivery.webhook_id == webhook_id
    newest = select(WebhookDelivery.id).where(mine).order_by(WebhookDelivery.id.desc())
    least = db.session.scalar(newest.offset(MOST_KEPT - 1).limit(1)) or 0
    is_over = WebhookDelivery.finished_at.is_not(None)
    gone = delete(WebhookDelivery).where(mine, is_over, or_(is_old, WebhookDelivery.id < least))
    return db.session.execute(gone, execution_options={"synchronize_session": False}).rowcount
