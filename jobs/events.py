"""What happens that webhooks are told of: written down as deliveries in the transaction in which it happens.

So none is lost with a worker that dies, and nobody is told of what was rolled back. jobs/deliveries.py sends.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from models import Dataset, Import, Job, Run, Webhook, WebhookDelivery, db, now

ENDS = ("finished", "failed", "cancelled")  # an interrupted run is resumed by somebody, and ends then
TEST = "test"
MOST_WAITING = 100  # of one webhook
TOO_MANY = f"{MOST_WAITING} others were waiting, so this was not sent."


def announce(job_id: int) -> None:
    """Tell the webhooks that want to know of it that a run's or import's job has ended. The caller commits.

    To be called once the rows stand as they are to be told of: the run's version is part of it.
    """
    job = db.session.get(Job, job_id, populate_existing=True)
    if job is None or job.state not in ENDS or job.kind not in _TELL:
        return
    event, describe = _TELL[job.kind]
    hooks = select(Webhook).where(Webhook.dataset_id == job.dataset_id, Webhook.is_enabled)
    interested = [webhook for webhook in db.session.scalars(hooks) if event in webhook.events]
    facts = describe(job) if interested else None
    if facts is None:
        return
    body = write_body(event, job.finished_at or now(), facts)
    for webhook in interested:
        add_delivery(webhook, event, body)


def write_body(event: str, moment: datetime, data: dict[str, Any]) -> str:
    """Return an event as the text that is signed and sent: type, time of the event, data."""
    timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def add_delivery(webhook: Webhook, event: str, body: str) -> WebhookDelivery:
    """Let this be sent to the webhook; where too much waits already it is only written down. No commit."""
    delivery = WebhookDelivery(
        webhook=webhook,
        public_id=f"msg_{secrets.token_urlsafe(18)}",
        event=event,
        body=body,
    )
    if count_waiting(webhook) >= MOST_WAITING:
        delivery.state, delivery.next_attempt_at = "failed", None
        delivery.last_message, delivery.finished_at = TOO_MANY, now()
    db.session.add(delivery)
    db.session.flush()
    return delivery


def count_waiting(webhook: Webhook) -> int:
    """How many deliveries wait for this webhook, or are being sent."""
    mine = (WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.state.in_(("waiting", "sending")))
    return db.session.scalar(select(func.count(WebhookDelivery.id)).where(*mine))


def _describe_run(job: Job) -> dict[str, Any] | None:
    """The run as the API shows it, without its settings: own code is among them, and may be long."""
    run = db.session.scalar(select(Run).where(Run.job_id == job.id))
    if run is None:
        return None
    return {
        "id": run.id,
        "dataset": _slug_of(job),
        "recipe": run.recipe,
        "backbone": run.backbone,
        "state": job.state,
        "message": job.message,
        "version": run.version.number if run.version else None,
        "promotion": run.version.promotion if run.version else None,
        "url": f"/api/v1/runs/{run.id}",
    }


def _describe_import(job: Job) -> dict[str, Any] | None:
    """The import as the API shows it, without what a person reads of it."""
    import_ = db.session.scalar(select(Import).where(Import.job_id == job.id))
    if import_ is None:
        return None
    return {
        "id": import_.id,
        "dataset": _slug_of(job),
        "kind": import_.kind,
        "source": import_.source,
        "state": job.state,
        "message": job.message,
        "added": import_.added,
        "skipped": import_.skipped,
        "refused": import_.refused,
        "url": f"/api/v1/imports/{import_.id}",
    }


def _slug_of(job: Job) -> str:
    return db.session.scalar(select(Dataset.slug).where(Dataset.id == job.dataset_id))


_TELL = {"run": ("run.finished", _describe_run), "import": ("import.finished", _describe_import)}
