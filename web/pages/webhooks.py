"""Webhooks of a dataset: owners make them, try them out, and see what became of everything that was sent."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from jobs import addresses, webhooks
from models import Dataset, Webhook, WebhookDelivery, db, now
from web.access import get_dataset, get_user
from web.forms import EVENT_WORDS, WebhookForm
from web.inputs import read_number
from web.limits import limits
from web.webhooks import find_delivery, find_webhook
from web.work import as_duration

blueprint = Blueprint("webhooks", __name__, url_prefix="/datasets/<slug>/webhooks")

PATIENCE_SECONDS = 20  # a worker sends what is due sooner than this
REFUSED = (addresses.AddressRefused, addresses.NameUnknown, webhooks.WebhookRefused)
STATE_WORDS = {"sending": "Being sent", "delivered": "Delivered", "failed": "Given up"}


@dataclass(frozen=True)
class Line:
    """One delivery as a line of the log."""

    delivery: WebhookDelivery

    @property
    def words(self) -> str:
        """Its state, for a person."""
        first = "Waits for its turn" if not self.delivery.attempts else "Waits to be tried again"
        return STATE_WORDS.get(self.delivery.state, first)

    @property
    def next_try(self) -> str:
        """When it is tried next; nothing where it is not."""
        if self.delivery.state != "waiting":
            return ""
        seconds = (self.delivery.next_attempt_at - now()).total_seconds()
        if seconds < -PATIENCE_SECONDS:
            return "due; no worker sends it: is one running?"
        return f"in {as_duration(seconds)}" if seconds >= 1 else "now"

    @property
    def can_go_again(self) -> bool:
        """Whether it may be sent again."""
        return self.delivery.finished_at is not None and self.delivery.webhook.is_enabled


@blueprint.get("/")
def index(slug: str) -> str:
    """Show the dataset's webhooks, and how to make one."""
    return _index_page(get_dataset(slug, "owner"))


def _index_page(dataset: Dataset, form: WebhookForm | None = None) -> str:
    return render_template(
        "webhooks/index.html",
        dataset=dataset,
        webhooks=webhooks.list_of(dataset),
        latest={key: Line(delivery) for key, delivery in webhooks.latest_of(dataset).items()},
        most=webhooks.MOST,
        form=form or WebhookForm(formdata=None),
    )


@blueprint.post("/")
@limits(rate="upload")
def add(slug: str) -> str | tuple[str, int]:
    """Make a webhook and show its secret, this once."""
    dataset, form = get_dataset(slug, "owner"), WebhookForm()
    if not form.validate():
        return _index_page(dataset, form), 422
    db.session.rollback()  # looking up the name may take long, so it is done without a lock
    try:
        address = webhooks.check_address(form.address.data)
        webhook = webhooks.create(get_dataset(slug, "owner"), get_user(), address, form.events.data)
    except REFUSED as refused:
        form.address.errors = [str(refused)]
        return _index_page(get_dataset(slug, "owner"), form), 422
    db.session.commit()
    return _page(webhook, secret=webhook.secret)


@blueprint.get("/<int:webhook_id>")
def show(slug: str, webhook_id: int) -> str:
    """Show a webhook and its log."""
    return _page(find_webhook(slug, webhook_id))


def _page(webhook: Webhook, form: WebhookForm | None = None, secret: str | None = None) -> str:
    page, following = webhooks.log_of(webhook, read_number("before"))
    return render_template(
        "webhooks/show.html",
        dataset=webhook.dataset,
        webhook=webhook,
        place=addresses.parse(webhook.address).place,
        form=form or WebhookForm(formdata=None, obj=webhook),
        event_words=EVENT_WORDS,
        secret_shown=secret,
        lines=[Line(delivery) for delivery in page],
        following=following,
        is_first=not request.args.get("before"),
    )


@blueprint.post("/<int:webhook_id>/events")
def choose_events(slug: str, webhook_id: int) -> Response | tuple[str, int]:
    """Change what it is told of."""
    webhook = find_webhook(slug, webhook_id)
    try:
        webhooks.choose_events(webhook, request.form.getlist("events"))
    except webhooks.WebhookRefused as refused:
        form = WebhookForm()
        form.events.errors = [str(refused)]
        return _page(webhook, form), 422
    return _saved(webhook, "Saved.")


@blueprint.post("/<int:webhook_id>/on")
def switch_on(slug: str, webhook_id: int) -> Response:
    """Tell it of what happens from now on."""
    webhook = find_webhook(slug, webhook_id)
    webhooks.switch_on(webhook, get_user())
    return _saved(webhook, "It is on: it is told of what happens from now on.")


@blueprint.post("/<int:webhook_id>/off")
def switch_off(slug: str, webhook_id: int) -> Response:
    """Tell it nothing more."""
    webhook = find_webhook(slug, webhook_id)
    webhooks.switch_off(webhook)
    return _saved(webhook, "It is off: nothing more is sent to it until you switch it on.")


@blueprint.post("/<int:webhook_id>/secret")
def renew_secret(slug: str, webhook_id: int) -> str:
    """Give it a new secret and show that, this once."""
    webhook = find_webhook(slug, webhook_id)
    webhooks.renew_secret(webhook)
    db.session.commit()
    return _page(webhook, secret=webhook.secret)


@blueprint.post("/<int:webhook_id>/test")
@limits(rate="upload")
def send_test(slug: str, webhook_id: int) -> Response:
    """Send it an event that means nothing."""
    webhook = find_webhook(slug, webhook_id)
    try:
        webhooks.send_test(webhook)
    except webhooks.WebhookRefused as refused:
        return _refused(webhook, refused)
    return _saved(webhook, "A test is on its way; the log shows what is answered.")


@blueprint.post("/<int:webhook_id>/deliveries/<int:delivery_id>/again")
@limits(rate="upload")
def send_again(slug: str, webhook_id: int, delivery_id: int) -> Response:
    """Send once more what was delivered or given up."""
    webhook = find_webhook(slug, webhook_id)
    delivery = find_delivery(webhook, delivery_id)
    try:
        webhooks.send_again(delivery)
    except webhooks.WebhookRefused as refused:
        return _refused(webhook, refused)
    return _saved(webhook, "It is sent again, under the same id.")


@blueprint.post("/<int:webhook_id>/delete")
def delete(slug: str, webhook_id: int) -> Response:
    """Delete the webhook and its log, once its host has been typed."""
    webhook = find_webhook(slug, webhook_id)
    place = addresses.parse(webhook.address).place
    if request.form.get("confirm", "").strip().lower() != place:
        flash(f"Nothing was deleted: type “{place}” to confirm.", "danger")
        return redirect(url_for("webhooks.show", slug=slug, webhook_id=webhook_id), 303)
    db.session.delete(webhook)
    db.session.commit()
    flash(f"The webhook to {place} is deleted.", "success")
    return redirect(url_for("webhooks.index", slug=slug), 303)


def _saved(webhook: Webhook, words: str) -> Response:
    """Commit, and go back to the webhook's page."""
    address = url_for("webhooks.show", slug=webhook.dataset.slug, webhook_id=webhook.id)
    db.session.commit()
    flash(words, "success")
    return redirect(address, 303)


def _refused(webhook: Webhook, refused: webhooks.WebhookRefused) -> Response:
    address = url_for("webhooks.show", slug=webhook.dataset.slug, webhook_id=webhook.id)
    db.session.rollback()
    flash(str(refused), "danger")
    return redirect(address, 303)
