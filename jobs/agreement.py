"""The live version and its challenger on the same traffic: how often they agree, and who is right."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from datasets import renaming
from learning.comparison import Comparison, compare
from learning.intervals import wilson_interval
from models import Challenge, Dataset, Feedback, Prediction, ShadowAnswer, Version, db


@dataclass(frozen=True)
class Agreement:
    """What two versions said of the same images.

    Attributes:
        same, different: how many images they said the same of, and not.
        judged: the live version (a) and the challenger (b) on the predictions that people judged.
        left_out: how many people called wrong without saying what they are, where the challenger says
            something else than the live version: nobody knows whether that is right.
        waiting: predictions that the challenger has not come to yet.
    """

    same: int
    different: int
    judged: Comparison
    left_out: int
    waiting: int

    @property
    def answered(self) -> int:
        """How many images both have answered."""
        return self.same + self.different

    @property
    def share(self) -> float | None:
        """The share they said the same of, 0 to 1; None while there is no image."""
        return self.same / self.answered if self.answered else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % Wilson interval."""
        return wilson_interval(self.same, self.answered) if self.answered else None

    def words(self) -> str:
        """What feedback says of the two, as a sentence or two."""
        count, lead = self.judged.items, self.judged.lead
        if not count:
            return "Nobody has judged any of these predictions yet, so nothing tells which one is better."
        where = f"On {count:,} judged prediction{'' if count == 1 else 's'}"
        if not lead:
            return f"{where} both are right equally often."
        more = f"{abs(lead):,} {'more' if lead > 0 else 'fewer'}"
        return f"{where} the challenger is right on {more}: {self.judged.chance()}."


def measure(live: Version, challenge: Challenge) -> Agreement:
    """Compare the challenger with the version that is live, on what the latter was asked."""
    counts = dict(
        db.session.execute(
            _shared(live, challenge.version_id)
            .with_only_columns(ShadowAnswer.is_same, func.count())
            .group_by(ShadowAnswer.is_same)
        ).all()
    )
    judged, left_out = _judge(live, challenge.version)
    waiting = select(func.count(Prediction.id)).where(
        Prediction.dataset_id == challenge.dataset_id,
        Prediction.id > challenge.seen_id,
        Prediction.version_id == live.id,
    )
    return Agreement(
        counts.get(True, 0), counts.get(False, 0), judged, left_out, db.session.scalar(waiting) or 0
    )


def _shared(live: Version, challenger_id: int) -> Select:
    """Select the shadow answers to predictions of the live version."""
    query = select(ShadowAnswer).join(Prediction, Prediction.id == ShadowAnswer.prediction_id)
    return query.where(ShadowAnswer.version_id == challenger_id, Prediction.version_id == live.id)


def _judge(live: Version, challenger: Version) -> tuple[Comparison, int]:
    """Compare them where people judged the prediction; of several words on it the last one counts."""
    today = renaming.names_taught(challenger.run)
    words = (
        _shared(live, challenger.id)
        .join(Feedback, Feedback.prediction_id == Prediction.id)
        .with_only_columns(
            *(Prediction.id, Feedback.is_correct, Feedback.labels, ShadowAnswer.labels, ShadowAnswer.is_same)
        )
        .order_by(Feedback.created_at, Feedback.id)
    )
    first: dict[int, bool] = {}
    second: dict[int, bool | None] = {}
    for prediction, is_correct, truth, labels, is_same in db.session.execute(words):
        first[prediction] = is_correct
        second[prediction] = _is_right(is_correct, truth, renaming.rename(labels, today), is_same)
    known = {prediction: is_right for prediction, is_right in second.items() if is_right is not None}
    return compare(first, known), len(second) - len(known)


def _is_right(is_correct: bool, truth: list[str] | None, labels: list[str], is_same: bool) -> bool | None:
    """Whether the challenger is right; None where nobody said what the image is."""
    if is_same:
        return is_correct
    return None if truth is None else set(truth) == set(labels)


def list_differing(live: Version, challenge: Challenge, before: int | None, most: int) -> list[ShadowAnswer]:
    """Return shadow answers that differ from the live one, newest first, with their predictions.

    Args:
        before: the id of a prediction: only older ones.
        most: how many at most.
    """
    query = _shared(live, challenge.version_id).where(ShadowAnswer.is_same.is_(False))
    if before is not None:
        query = query.where(ShadowAnswer.prediction_id < before)
    parts = joinedload(ShadowAnswer.prediction).selectinload(Prediction.feedback)
    return list(
        db.session.scalars(query.options(parts).order_by(ShadowAnswer.prediction_id.desc()).limit(most))
    )


def count_all() -> list[tuple[str, int, bool, int]]:
    """Return, of each challenger, (its dataset's slug, its number, whether it said the same, images)."""
    query = (
        select(Dataset.slug, Version.number, ShadowAnswer.is_same, func.count())
        .select_from(Challenge)
        .join(Dataset, Dataset.id == Challenge.dataset_id)
        .join(Version, Version.id == Challenge.version_id)
        .join(ShadowAnswer, ShadowAnswer.version_id == Challenge.version_id)
        .group_by(Dataset.slug, Version.number, ShadowAnswer.is_same)
    )
    return [tuple(row) for row in db.session.execute(query)]
