"""What is live over the API: when what was, going back, and the challenger in the shadow."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, url_for
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from jobs import agreement, challenges, training
from models import Challenge, Dataset, LiveChange, db
from web import going_live
from web.access import get_dataset, get_user
from web.answers import find_version
from web.api.frame import Noun, answer_nothing, needs
from web.api.shapes import PageArguments, Whole, as_time, list_page, page_of

blueprint = Noun("live", "What answers, what answered before, and what answers in the shadow")

NO_CHALLENGER = "This dataset has no challenger."


class LiveBody(Schema):
    """Which version answers now."""

    live_version = fields.Int(required=True)
    url = fields.Str(required=True)


class RollbackBody(Schema):
    """From which version to go back."""

    leaving = Whole(
        load_default=None,
        validate=validate.Range(1),
        metadata={"description": "Nothing is changed where another one is live by now."},
    )


class LiveChangeBody(Schema):
    """That another version went live."""

    version = fields.Int(required=True)
    previous = fields.Int(required=True, allow_none=True)
    user = fields.Str(required=True, allow_none=True, metadata={"description": "null: by itself."})
    why = fields.Str(required=True, allow_none=True, metadata={"description": "Of one that did by itself."})
    is_rollback = fields.Bool(required=True)
    created_at = fields.Str(required=True)


class WantedChallenger(Schema):
    """Which version is to answer in the shadow."""

    version = Whole(required=True, validate=validate.Range(1))


class JudgedBody(Schema):
    """Both versions on the predictions that people judged (McNemar's exact test)."""

    items = fields.Int(metadata={"description": "How many predictions."})
    both = fields.Int(metadata={"description": "How many both got right."})
    only_live = fields.Int()
    only_challenger = fields.Int()
    left_out = fields.Int(
        metadata={"description": "Called wrong without saying what they are, where the two differ."}
    )
    p = fields.Float(metadata={"description": "How likely such a difference is if neither were better."})
    is_real = fields.Bool(metadata={"description": "More than chance, at the 5 % level."})
    sentence = fields.Str()


class ChallengerBody(Schema):
    """A challenger beside the live version, on the same traffic."""

    version = fields.Int(required=True)
    live_version = fields.Int(required=True, allow_none=True)
    since = fields.Str(required=True)
    user = fields.Str(allow_none=True)
    trouble = fields.Str(allow_none=True, metadata={"description": "Why it answers no more; else null."})
    same = fields.Int(metadata={"description": "Images on which both say the same."})
    different = fields.Int()
    share = fields.Float(allow_none=True, metadata={"description": "Of those said the same."})
    interval = fields.List(fields.Float(), allow_none=True, metadata={"description": "95 %, Wilson."})
    waiting = fields.Int(metadata={"description": "Predictions it has not come to yet."})
    passed_over = fields.Int(metadata={"description": "Predictions left out, since too many waited."})
    judged = fields.Nested(JudgedBody, allow_none=True)


@blueprint.get("/datasets/<slug>/live-changes")
@needs("read")
@blueprint.arguments(PageArguments, location="query")
@blueprint.response(200, page_of(LiveChangeBody))
def index(page: dict, slug: str) -> dict:
    """List when which version went live, by whom and why, newest first."""
    query = select(LiveChange).filter_by(dataset_id=get_dataset(slug).id)
    return list_page(query.options(joinedload(LiveChange.user)), LiveChange.id, _as_json, page)


@blueprint.post("/datasets/<slug>/rollback")
@needs("train")
@blueprint.arguments(RollbackBody)
@blueprint.response(200, LiveBody)
def roll_back(wanted: dict, slug: str) -> dict:
    """Let the version answer again that was live before; again, and it is the one before that."""
    number = going_live.roll_back(get_dataset(slug, "editor"), wanted["leaving"])
    return {"live_version": number, "url": url_for("api_versions.show", slug=slug, number=number)}


@blueprint.get("/datasets/<slug>/challenger")
@needs("read")
@blueprint.response(200, ChallengerBody)
def show(slug: str) -> dict:
    """Compare the challenger with the live version, by agreement and by feedback."""
    dataset = get_dataset(slug)
    return _compare(dataset, challenges.find(dataset) or abort(404, NO_CHALLENGER))


@blueprint.put("/datasets/<slug>/challenger")
@needs("train")
@blueprint.arguments(WantedChallenger)
@blueprint.response(200, ChallengerBody)
def start(wanted: dict, slug: str) -> dict:
    """Let a version answer in the shadow from the next prediction on, in place of any other."""
    dataset = get_dataset(slug, "editor")
    try:
        challenges.start(dataset, find_version(dataset, wanted["version"]), get_user())
    except challenges.ChallengeRefused as refused:
        abort(409, str(refused))
    db.session.commit()
    return _compare(dataset, challenges.find(dataset))


@blueprint.delete("/datasets/<slug>/challenger")
@needs("train")
@blueprint.response(204)
def end(slug: str) -> Response:
    """End the challenge; what the challenger has answered is kept as long as the predictions."""
    if not challenges.end(get_dataset(slug, "editor")):
        abort(404, NO_CHALLENGER)
    db.session.commit()
    return answer_nothing()


def _as_json(change: LiveChange) -> dict[str, Any]:
    return {
        "version": change.version,
        "previous": change.previous,
        "user": change.user.name if change.user else None,
        "why": change.why,
        "is_rollback": change.is_rollback,
        "created_at": as_time(change.created_at),
    }


def _compare(dataset: Dataset, challenge: Challenge) -> dict[str, Any]:
    live = training.find_version(dataset, dataset.live_version)
    facts = {
        "version": challenge.version.number,
        "live_version": dataset.live_version,
        "since": as_time(challenge.created_at),
        "user": challenge.user.name if challenge.user else None,
        "trouble": challenge.trouble,
        "passed_over": challenge.passed_over,
    }
    return facts if live is None else facts | _measure(agreement.measure(live, challenge))


def _measure(found: agreement.Agreement) -> dict[str, Any]:
    judged = found.judged
    return {
        "same": found.same,
        "different": found.different,
        "share": found.share,
        "interval": found.interval and list(found.interval),
        "waiting": found.waiting,
        "judged": {
            **{name: getattr(judged, name) for name in ("items", "both", "p", "is_real")},
            "only_live": judged.only_a,
            "only_challenger": judged.only_b,
            "left_out": found.left_out,
            "sentence": found.words(),
        },
    }
