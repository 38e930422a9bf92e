"""Which version of a dataset is live: changed in one place, and every change remembered."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from models import Challenge, Dataset, LiveChange, User, Version, db
from serving.classifier import require_sound

KEPT_IN_SIGHT = 500  # changes that are looked through for what was live before


NOT_LIVE = "Version {} is not live (any more), so nothing was changed."


class NothingBefore(RuntimeError):
    """There is nothing to go back to; the message says why."""


def make_live(dataset: Dataset, version: Version, user: User | None = None, why: str | None = None) -> bool:
    """Let a version answer from now on, in every process at its next request; false where it did already.

    A challenge of this version ends. No commit.

    Args:
        user: who wanted it; None where it went live by itself.
        why: why it went live by itself, for a person.

    Raises:
        VersionUnusable: its files are known to be faulty.
    """
    return _change(dataset, version, LiveChange(user_id=user.id if user else None, why=why))


def roll_back(dataset: Dataset, user: User, leaving: int | None = None) -> int:
    """Let what was live before the live version answer again, and return its number. No commit.

    Args:
        leaving: the number that is to be left; where another is live by now, nothing is changed.

    Raises:
        NothingBefore: no version was live before it, or none of them is still there.
    """
    if leaving is not None and leaving != dataset.live_version:
        raise NothingBefore(NOT_LIVE.format(leaving))
    number = find_previous(dataset)
    if number is None:
        raise NothingBefore("No version that is still there was live before this one.")
    version = db.session.scalar(select(Version).filter_by(dataset_id=dataset.id, number=number))
    _change(dataset, version, LiveChange(user_id=user.id, is_rollback=True))
    return number


def _change(dataset: Dataset, version: Version, change: LiveChange) -> bool:
    if dataset.live_version == version.number:
        return False
    require_sound(version)
    change.dataset_id, change.version, change.previous = dataset.id, version.number, dataset.live_version
    dataset.live_version = version.number
    db.session.add(change)
    db.session.execute(delete(Challenge).where(Challenge.version_id == version.id))
    db.session.flush()
    return True


def find_previous(dataset: Dataset) -> int | None:
    """Return what was live before the live version, other than what was left by going back; None for nothing.

    Going back once more leads to what was live before that. Versions deleted, or faulty, are passed over.
    """
    sound = select(Version.number).where(Version.dataset_id == dataset.id, Version.fault.is_(None))
    there = set(db.session.scalars(sound))
    return _step_back(list_changes(dataset, KEPT_IN_SIGHT), dataset.live_version, there)


def _step_back(newest_first: Iterable[LiveChange], number: int | None, there: set[int]) -> int | None:
    live = number
    for change in newest_first:
        if change.is_rollback or change.version != number:
            continue
        number = change.previous
        if number in there and number != live:
            return number
    return None


def list_changes(dataset: Dataset, most: int = 20) -> list[LiveChange]:
    """Return when which version went live, newest first."""
    query = select(LiveChange).filter_by(dataset_id=dataset.id).options(joinedload(LiveChange.user))
    return list(db.session.scalars(query.order_by(LiveChange.id.desc()).limit(most)))
