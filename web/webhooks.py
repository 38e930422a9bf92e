"""Webhooks and their deliveries as addresses name them: the same for pages and the API."""

from __future__ import annotations

from flask import abort

from models import Webhook, WebhookDelivery, db
from web.access import get_dataset


def find_webhook(slug: str, webhook_id: int) -> Webhook:
    """Return the webhook, of a dataset that the user owns; abort as `get_dataset` does, or with 404."""
    dataset = get_dataset(slug, "owner")
    webhook = db.session.get(Webhook, webhook_id)
    if webhook is None or webhook.dataset_id != dataset.id:
        abort(404)
    return webhook


def find_delivery(webhook: Webhook, delivery_id: int) -> WebhookDelivery:
    """Return a delivery of the webhook; abort with 404 where it is none of its."""
    delivery = db.session.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.webhook_id != webhook.id:
        abort(404)
    return delivery
