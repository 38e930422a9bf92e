"""Predictions that people called wrong and nobody has looked at since, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import joinedload, selectinload

from models import Dataset, Feedback, Prediction, Review, Version, db

_IS_SETTLED = exists().where(Review.prediction_id == Prediction.id)


@dataclass(frozen=True)
class Counts:
    """How many were called wrong, and how many of those are settled."""

    total: int
    done: int

    @property
    def left(self) -> int:
        """How many are still to do."""
        return self.total - self.done


def count(dataset: Dataset) -> Counts:
    """Count the dataset's predictions that were called wrong and whose image is kept."""
    called = _called(select(func.count(Prediction.id)), dataset)
    return Counts(db.session.scalar(called), db.session.scalar(called.where(_IS_SETTLED)))


def page(
    dataset: Dataset, after: int | None, is_done: bool, size: int
) -> tuple[list[Prediction], int | None]:
    """Return some of them with their feedback, and the id to go on after; None at the end.

    Args:
        after: the id of the last one that was shown.
        is_done: those that are settled, instead of those that are not.
    """
    query = _called(select(Prediction), dataset).where(_IS_SETTLED if is_done else ~_IS_SETTLED)
    if after is not None:
        query = query.where(Prediction.id < after)
    told = (selectinload(Prediction.feedback), joinedload(Prediction.version).load_only(Version.number))
    rows = db.session.scalars(query.order_by(Prediction.id.desc()).limit(size + 1).options(*told)).all()
    return list(rows[:size]), rows[size - 1].id if len(rows) > size else None


def labels_given(prediction: Prediction) -> list[str]:
    """Return the labels that people say it is, the last word first; none where nobody knew."""
    return next((list(one.labels) for one in reversed(prediction.feedback) if _says_other(one)), [])


def _says_other(one: Feedback) -> bool:
    return not one.is_correct and bool(one.labels)


def _called(query: Select, dataset: Dataset) -> Select:
    is_called = exists().where(Feedback.prediction_id == Prediction.id, Feedback.is_correct.is_(False))
    return query.where(Prediction.dataset_id == dataset.id, Prediction.filename.is_not(None), is_called)
