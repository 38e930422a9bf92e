"""Webhooks over the API: made, changed, tried out and deleted, and what became of what was sent to them."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from jobs import addresses, webhooks
from models import DELIVERY_STATES, EVENTS, Webhook, WebhookDelivery, db
from web.access import get_dataset, get_user
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import PageArguments, Truth, as_time, list_page, page_of
from web.errors import Refused
from web.webhooks import find_delivery, find_webhook

blueprint = Noun("webhooks", "Addresses that are called when a run or an import has ended; for owners only")

HERE = "/datasets/<slug>/webhooks/<int:webhook_id>"
UNSTORED = {"Cache-Control": "no-store"}  # nobody keeps a secret by the way


class WebhookBody(Schema):
    """One webhook."""

    id = fields.Int(required=True)
    address = fields.Str(required=True)
    events = fields.List(fields.Str(validate=validate.OneOf(EVENTS)), required=True)
    is_enabled = fields.Bool(required=True)
    trouble = fields.Str(
        required=True, allow_none=True, metadata={"description": "Why it was switched off, where nobody did."}
    )
    url = fields.Str(required=True)
    created_at = fields.Str(required=True)


class WebhookWithSecret(WebhookBody):
    """One webhook with its secret, which is told this once."""

    secret = fields.Str(required=True, metadata={"description": "whsec_ and base64: what signs messages."})


class NewWebhook(Schema):
    """What a webhook is made of."""

    address = fields.Str(required=True, metadata={"description": "https:// or http://"})
    events = fields.List(fields.Str(validate=validate.OneOf(EVENTS)), load_default=lambda: list(EVENTS))


class WebhookChanges(Schema):
    """What may be changed; what is left out stays."""

    events = fields.List(fields.Str(validate=validate.OneOf(EVENTS)))
    is_enabled = Truth(metadata={"description": "Switched off, it is told nothing."})


class DeliveryBody(Schema):
    """What became of one message."""

    id = fields.Int(required=True)
    message_id = fields.Str(
        required=True, metadata={"description": "Its `webhook-id`, the same at every try."}
    )
    event = fields.Str(required=True)
    state = fields.Str(required=True, validate=validate.OneOf(DELIVERY_STATES))
    attempts = fields.Int(required=True)
    last_status = fields.Int(required=True, allow_none=True)
    last_message = fields.Str(
        required=True, allow_none=True, metadata={"description": "What was answered, or why nothing was."}
    )
    body = fields.Str(required=True, metadata={"description": "What is sent, to the byte."})
    created_at = fields.Str(required=True)
    next_attempt_at = fields.Str(required=True, allow_none=True)
    finished_at = fields.Str(required=True, allow_none=True)


@blueprint.get("/datasets/<slug>/webhooks")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(WebhookBody))
def index(page: dict, slug: str) -> dict:
    """List a dataset's webhooks, newest first."""
    query = select(Webhook).filter_by(dataset_id=get_dataset(slug, "owner").id)
    return list_page(query, Webhook.id, as_json, page)


@blueprint.post("/datasets/<slug>/webhooks")
@needs("write")
@blueprint.arguments(NewWebhook)
@blueprint.response(201, WebhookWithSecret)
def add(wanted: dict, slug: str) -> tuple[dict, int, dict]:
    """Make a webhook; its secret is told this once."""
    get_dataset(slug, "owner")
    db.session.rollback()  # looking up the name may take long, so it is done without a lock
    try:
        address = webhooks.check_address(wanted["address"])
        webhook = webhooks.create(get_dataset(slug, "owner"), get_user(), address, wanted["events"])
    except (addresses.AddressRefused, addresses.NameUnknown) as refused:
        raise Refused(str(refused), "address") from refused
    except webhooks.WebhookRefused as refused:
        raise Refused(str(refused)) from refused
    db.session.commit()
    shown = with_secret(webhook)
    return shown, 201, {"Location": shown["url"], **UNSTORED}


@blueprint.get(HERE)
@needs("read")
@blueprint.response(200, WebhookBody)
def show(slug: str, webhook_id: int) -> dict:
    """Give one webhook."""
    return as_json(find_webhook(slug, webhook_id))


@blueprint.patch(HERE)
@needs("write")
@blueprint.arguments(WebhookChanges)
@blueprint.response(200, WebhookBody)
def change(wanted: dict, slug: str, webhook_id: int) -> dict:
    """Change what it is told of, or switch it off or on."""
    webhook = find_webhook(slug, webhook_id)
    try:
        if "events" in wanted:
            webhooks.choose_events(webhook, wanted["events"])
    except webhooks.WebhookRefused as refused:
        raise Refused(str(refused), "events") from refused
    if wanted.get("is_enabled"):
        webhooks.switch_on(webhook, get_user())
    elif "is_enabled" in wanted:
        webhooks.switch_off(webhook)
    db.session.commit()
    return as_json(webhook)


@blueprint.delete(HERE)
@needs("write")
@blueprint.response(204)
def delete(slug: str, webhook_id: int) -> Response:
    """Delete a webhook with its secret and its log."""
    db.session.delete(find_webhook(slug, webhook_id))
    db.session.commit()
    return answer_nothing()


@blueprint.post(f"{HERE}/secret")
@needs("write")
@blueprint.response(200, WebhookWithSecret)
def renew_secret(slug: str, webhook_id: int) -> tuple[dict, int, dict]:
    """Make a new secret; for a day the old one signs too."""
    webhook = find_webhook(slug, webhook_id)
    webhooks.renew_secret(webhook)
    db.session.commit()
    return with_secret(webhook), 200, UNSTORED


@blueprint.post(f"{HERE}/test")
@needs("write")
@blueprint.response(202, DeliveryBody)
def send_test(slug: str, webhook_id: int) -> dict:
    """Send an event `test`, once."""
    webhook = find_webhook(slug, webhook_id)
    try:
        delivery = webhooks.send_test(webhook)
    except webhooks.WebhookRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    return delivery_as_json(delivery)


@blueprint.get(f"{HERE}/deliveries")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(DeliveryBody))
def list_deliveries(page: dict, slug: str, webhook_id: int) -> dict:
    """List what was sent or is to be sent, newest first."""
    query = select(WebhookDelivery).filter_by(webhook_id=find_webhook(slug, webhook_id).id)
    return list_page(query, WebhookDelivery.id, delivery_as_json, page)


@blueprint.post(f"{HERE}/deliveries/<int:delivery_id>/again")
@needs("write")
@blueprint.response(202, DeliveryBody)
def send_again(slug: str, webhook_id: int, delivery_id: int) -> dict:
    """Send once more, under the same id, what was delivered or given up."""
    delivery = find_delivery(find_webhook(slug, webhook_id), delivery_id)
    try:
        webhooks.send_again(delivery)
    except webhooks.WebhookRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    return delivery_as_json(delivery)


def as_json(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook as the API shows it, without its secret."""
    return {
        "id": webhook.id,
        "address": webhook.address,
        "events": webhook.events,
        "is_enabled": webhook.is_enabled,
        "trouble": webhook.trouble,
        "url": url_for("api_webhooks.show", slug=webhook.dataset.slug, webhook_id=webhook.id),
        "created_at": as_time(webhook.created_at),
    }


def with_secret(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook with its secret, for the one answer that tells it."""
    return {**as_json(webhook), "secret": webhook.secret}


def delivery_as_json(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return a delivery as the API shows it."""
    plain = ("id", "event", "state", "attempts", "last_status", "last_message", "body")
    times = ("created_at", "next_attempt_at", "finished_at")
    return {
        **{name: getattr(delivery, name) for name in plain},
        **{name: as_time(getattr(delivery, name)) for name in times},
        "message_id": delivery.public_id,
    }
