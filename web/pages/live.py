"""What is live: going back to what was, and a challenger that answers the same traffic in the shadow."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from datasets import renaming
from jobs import agreement, challenges, training
from jobs.shadow import MOST_BEHIND
from models import Dataset, ShadowAnswer, db
from serving.feedback import labels_said
from web import going_live
from web.access import can, get_dataset, get_user
from web.answers import find_version
from web.inputs import read_number

blueprint = Blueprint("live", __name__, url_prefix="/datasets/<slug>/versions")

PAGE_SIZE = 24


@blueprint.post("/rollback")
def roll_back(slug: str) -> Response:
    """Let the version answer again that was live before."""
    left = read_number("from")
    number = going_live.roll_back(get_dataset(slug, "editor"), left)
    text = f"Version {number} answers again."
    undo = url_for("versions.make_live", slug=slug, number=left, **{"from": number}) if left else None
    flash({"text": text, "undo": undo}, "success")
    return redirect(url_for("versions.index", slug=slug), 303)


@blueprint.post("/<int:number>/challenger")
def challenge(slug: str, number: int) -> Response:
    """Let a version answer in the shadow from now on."""
    dataset = get_dataset(slug, "editor")
    try:
        challenges.start(dataset, find_version(dataset, number), get_user())
    except challenges.ChallengeRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    flash(f"Version {number} answers in the shadow from the next prediction on.", "success")
    return redirect(url_for("live.challenger", slug=slug), 303)


@blueprint.post("/challenger/end")
def end(slug: str) -> Response:
    """End the challenge; the live version is not touched."""
    challenges.end(get_dataset(slug, "editor"))
    db.session.commit()
    flash("The challenge is over.", "success")
    return redirect(url_for("versions.index", slug=slug), 303)


@blueprint.get("/challenger")
def challenger(slug: str) -> str:
    """Compare the challenger with the live version on the same traffic."""
    dataset = get_dataset(slug)
    found, live = challenges.find(dataset), training.find_version(dataset, dataset.live_version)
    if found is None or live is None:
        return render_template("versions/challenger.html", dataset=dataset, challenge=None)
    before = read_number("before")
    may_see = can(dataset, "editor")  # what others sent is not for viewers
    differing = agreement.list_differing(live, found, before, PAGE_SIZE + 1) if may_see else []
    today = [renaming.names_taught(version.run) for version in (live, found.version)]
    return render_template(
        "versions/challenger.html",
        dataset=dataset,
        challenge=found,
        live=live,
        agreement=agreement.measure(live, found),
        differing=[_describe(dataset, one, *today) for one in differing[:PAGE_SIZE]],
        older=differing[PAGE_SIZE - 1].prediction_id if len(differing) > PAGE_SIZE else None,
        before=before,
        most_behind=MOST_BEHIND,
    )


def _describe(
    dataset: Dataset, answer: ShadowAnswer, live_today: dict[str, str], today: dict[str, str]
) -> dict[str, Any]:
    """Both answers to one image, under the names of today, and how many people judged it."""
    asked = answer.prediction
    labels = renaming.rename(answer.labels, today)
    names = {label.name for label in dataset.labels}
    is_one = dataset.task == "single-label"
    pairs = asked.answer["probabilities"]
    return {
        "filename": asked.filename,
        "sent_name": asked.sent_name,
        "created_at": asked.created_at,
        "live_labels": renaming.rename(labels_said(asked), live_today),
        "live_probability": pairs[0]["probability"] if pairs else None,
        "labels": labels,
        "probability": answer.probability,
        "may_be_right": set(labels) <= names and len(labels) == 1 if is_one else bool(labels),
        "words": len(asked.feedback),
    }
