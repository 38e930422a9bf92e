"""What was changed, with what stood before, so that it can be undone."""

from __future__ import annotations

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
        before={str(item_id): names for item_id, names in before.items()},
    )
    db.session.add(change)
    db.session.flush()
    return change
