"""Challengers: a version that answers in the shadow what the live one answers; begun and ended by people."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import joinedload

from models import Challenge, Dataset, Prediction, User, Version, db
from serving.classifier import require_sound


class ChallengeRefused(ValueError):
    """This version can't be the challenger; the message says why."""


def start(dataset: Dataset, version: Version, user: User) -> Challenge:
    """Let a version answer in the shadow from the next prediction on, in place of any other. No commit.

    Raises:
        ChallengeRefused: it is live, or no version is.
        VersionUnusable: its files are known to be faulty.
    """
    if dataset.live_version is None:
        raise ChallengeRefused("No version is live yet, so there is nothing to compare with.")
    if dataset.live_version == version.number:
        raise ChallengeRefused(f"Version {version.number} is live. Choose another one as challenger.")
    require_sound(version)
    end(dataset)
    newest = select(func.max(Prediction.id)).where(Prediction.dataset_id == dataset.id)
    challenge = Challenge(
        dataset_id=dataset.id,
        version_id=version.id,
        user_id=user.id,
        seen_id=db.session.scalar(newest) or 0,
    )
    db.session.add(challenge)
    db.session.flush()
    return challenge


def end(dataset: Dataset) -> bool:
    """End the dataset's challenge; what was answered is kept as long as its predictions. No commit."""
    return db.session.execute(delete(Challenge).where(Challenge.dataset_id == dataset.id)).rowcount > 0


def find(dataset: Dataset) -> Challenge | None:
    """The dataset's challenge, with its version and who wanted it."""
    parts = (joinedload(Challenge.version).joinedload(Version.run), joinedload(Challenge.user))
    return db.session.scalar(select(Challenge).filter_by(dataset_id=dataset.id).options(*parts))
