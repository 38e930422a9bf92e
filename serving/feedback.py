"""Somebody's word on whether a prediction was right: checked against what it said, and kept."""

from __future__ import annotations

from sqlalchemy import select, update

from datasets import renaming
from models import Feedback, Label, Prediction, User, db, now

SINGLE_LABEL = "single-label"


class FeedbackRefused(ValueError):
    """A word that can't be; the message says why, and it is about the labels."""


def give(
    prediction: Prediction, user: User | None, is_correct: bool, labels: list[str] | None = None
) -> Feedback:
    """Keep what `user` says of the prediction, in place of what they said before. Does not commit.

    Args:
        user: None for somebody without an account; they all have one word together.
        is_correct: whether the labels that it said are right.
        labels: what it is, where it was wrong; None where that is not known.

    Raises:
        FeedbackRefused: a label that the dataset has not, none or several where there must be one, or labels
            that contradict `is_correct`.
    """
    said = labels_of_today(prediction)
    if labels is not None:
        labels = _check(prediction, list(dict.fromkeys(labels)), is_correct, said)
    values = {"is_correct": is_correct, "labels": said if is_correct else labels, "created_at": now()}
    user_id = user.id if user else None
    theirs = (Feedback.prediction_id == prediction.id, Feedback.user_id.is_not_distinct_from(user_id))
    if not db.session.execute(update(Feedback).where(*theirs).values(**values)).rowcount:
        db.session.add(Feedback(prediction_id=prediction.id, user_id=user_id, **values))
        db.session.flush()
    return db.session.scalar(select(Feedback).where(*theirs))


def labels_said(prediction: Prediction) -> list[str]:
    """Return the labels that the prediction said; none where it said that nothing fits."""
    answer = prediction.answer
    return list(answer["labels"]) if answer.get("label") is not None else []


def labels_of_today(prediction: Prediction) -> list[str]:
    """Return the labels that it said as they are called today."""
    return renaming.rename(labels_said(prediction), renaming.names_taught(prediction.version.run))


def find(prediction: Prediction, user: User | None) -> Feedback | None:
    """Return what this user said of the prediction; None where they said nothing, or have no account."""
    if user is None:
        return None
    return db.session.scalar(select(Feedback).filter_by(prediction_id=prediction.id, user_id=user.id))


def _check(prediction: Prediction, labels: list[str], is_correct: bool, said: list[str]) -> list[str]:
    if is_correct and set(labels) not in (set(said), set(labels_said(prediction))):
        raise FeedbackRefused("These are not the labels that were said to be right. Leave the labels out.")
    if is_correct:
        return said
    known = set(db.session.scalars(select(Label.name).filter_by(dataset_id=prediction.dataset_id)))
    if unknown := [label for label in labels if label not in known]:
        raise FeedbackRefused(f"This dataset has no label “{unknown[0][:100]}”.")
    if prediction.dataset.task == SINGLE_LABEL and len(labels) != 1:
        raise FeedbackRefused("An image of this dataset has exactly one label. Send it, or none at all.")
    if set(labels) == set(said):
        raise FeedbackRefused("These are the very labels that were said to be wrong.")
    return labels
