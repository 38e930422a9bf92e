"""Predictions over the API: the answer again, the list of a dataset, and whether one was right."""

from __future__ import annotations

from typing import Any

from flask import request
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import joinedload, selectinload

from models import Dataset, Feedback, Prediction, Version, db
from serving import feedback
from web.access import get_dataset, get_user
from web.answers import get_prediction_of
from web.api.frame import Noun, needs
from web.api.predict import AnswerBody
from web.api.shapes import MAX_LABELS, NAME_LENGTH, Digits, PageArguments, Truth, as_time, list_page, page_of
from web.errors import Refused
from web.limits import limits

blueprint = Noun("feedback", "Predictions that were made, and whether they were right")

WORDS = ("right", "wrong", "none")


class FeedbackArguments(Schema):
    """Whether a prediction was right."""

    correct = Truth(required=True)
    labels = fields.List(
        fields.Str(validate=validate.Length(1, NAME_LENGTH)),
        validate=validate.Length(max=MAX_LABELS),
        metadata={"description": "What it is, where it was wrong. Labels of the dataset."},
    )


class FeedbackBody(Schema):
    """One word on a prediction."""

    prediction = fields.Str(required=True)
    correct = fields.Bool(required=True)
    labels = fields.List(
        fields.Str(), required=True, allow_none=True, metadata={"description": "null: not known."}
    )
    user = fields.Str(required=True, allow_none=True, metadata={"description": "null: without an account."})
    created_at = fields.Str(required=True)


class KeptAnswerBody(AnswerBody):
    """An answer, and what people said of it."""

    sent_name = fields.Str(metadata={"description": "The file's name as it was sent."})
    created_at = fields.Str()
    feedback = fields.List(fields.Nested(FeedbackBody))


class PredictionArguments(PageArguments):
    """Which predictions."""

    version = Digits(load_default=None, metadata={"minimum": 0, "description": "Only those of this version."})
    feedback = fields.Str(
        load_default=None,
        validate=validate.OneOf(WORDS, error="Choose one of: {choices}."),
        metadata={"description": "Only those somebody called right, or wrong, or of which nobody spoke."},
    )


def _is_open_to_all(prediction_id: str) -> bool:
    """Whether no token is asked for: the prediction's dataset is public and none was sent."""
    query = select(Dataset.is_public).join(Prediction).where(Prediction.public_id == prediction_id)
    return "Authorization" not in request.headers and bool(db.session.scalar(query))


@blueprint.get("/predictions/<prediction_id>")
@limits(rate="predict")
@needs("predict", unless=_is_open_to_all)
@blueprint.response(200, AnswerBody)
def show(prediction_id: str) -> dict:
    """Give an answer again."""
    return get_prediction_of(public_id=prediction_id).answer


@blueprint.post("/predictions/<prediction_id>/feedback")
@limits(rate="predict")
@needs("predict", unless=_is_open_to_all)
@blueprint.arguments(FeedbackArguments)
@blueprint.response(201, FeedbackBody)
def give(word: dict, prediction_id: str) -> dict:
    """Say whether a prediction was right; it takes the place of what you said before."""
    prediction = get_prediction_of(public_id=prediction_id)
    try:
        kept = feedback.give(prediction, get_user(), word["correct"], word.get("labels"))
    except feedback.FeedbackRefused as error:
        raise Refused(str(error), "labels") from error
    db.session.commit()
    return _as_json(kept, prediction)


@blueprint.get("/datasets/<slug>/predictions")
@needs("read")
@blueprint.arguments(PredictionArguments, location="query")
@blueprint.response(200, page_of(KeptAnswerBody))
def index(wanted: dict, slug: str) -> dict:
    """List a dataset's predictions, newest first, with what people said of them (for its editors)."""
    query = select(Prediction).filter_by(dataset_id=get_dataset(slug, "editor").id)
    query = query.options(selectinload(Prediction.feedback).options(joinedload(Feedback.user)))
    return list_page(_choose(query, wanted), Prediction.id, _with_feedback, wanted)


def _choose(query: Select, wanted: dict[str, Any]) -> Select:
    if wanted["version"] is not None:
        query = query.where(Prediction.version.has(Version.number == wanted["version"]))
    if wanted["feedback"] is None:
        return query
    said = exists().where(Feedback.prediction_id == Prediction.id)
    if wanted["feedback"] == "none":
        return query.where(~said)
    return query.where(said.where(Feedback.is_correct.is_(wanted["feedback"] == "right")))


def _with_feedback(prediction: Prediction) -> dict:
    return {
        **prediction.answer,
        "sent_name": prediction.sent_name,
        "created_at": as_time(prediction.created_at),
        "feedback": [_as_json(one, prediction) for one in prediction.feedback],
    }


def _as_json(kept: Feedback, prediction: Prediction) -> dict:
    return {
        "prediction": prediction.public_id,
        "correct": kept.is_correct,
        "labels": kept.labels,
        "user": kept.user.name if kept.user else None,
        "created_at": as_time(kept.created_at),
    }
