"""What was changed, with what stood before, so that it can be undone."""

from __future__ import annotations

from itertools import chain

from sqlalchemy import select

from datasets import renaming
from models import Change, Dataset, User, db

MAX_SUMMARY = 300  # characters


class ChangeRefused(ValueError):
    """An edit that cannot be made; the message is for a person."""

    code = "change_refused"


def record(
    dataset: Dataset, user: User | None, kind: str, summary: str, before: dict[int, list[str]]
) -> Change:
    """Write down a change about to be made. Does not commit.

    Args:
        dataset: whose items change.
        user: who changes them.
        kind: relabel, delete, to-single or to-multi.
        summary: for a person.
        before: {item id: label names} of every item that changes.
    """
    change = Change(
        dataset_id=dataset.id,
        user_id=user.id if user else None,
        kind=kind,
        summary=summary[:MAX_SUMMARY],
        before={str(item_id): each for item_id, each in before.items()},
        labels=renaming.find_ids(dataset.id, chain.from_iterable(before.values())),
    )
    db.session.add(change)
    db.session.flush()
    return change


def was_followed(change: Change) -> bool:
    """Whether another change, not undone, has altered one of the same items since."""
    later = select(Change.before).where(
        Change.dataset_id == change.dataset_id, Change.id > change.id, Change.undone_at.is_(None)
    )
    return any(not change.before.keys().isdisjoint(before) for before in db.session.scalars(later))


def read_before(change: Change) -> dict[int, list[str]]:
    """Return {item id: label names} as it stood before a change, by the names that these labels have now."""
    today = renaming.names_today(change.dataset_id, change.labels)
    return {
        int(item_id): list(dict.fromkeys(renaming.rename(names, today)))
        for item_id, names in change.before.items()
    }
