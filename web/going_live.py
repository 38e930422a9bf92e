"""Versions made live by people, for the page and for the API: changed, committed, and loaded at once."""

from __future__ import annotations

from typing import Any

from flask import abort

from jobs import challenges, live
from models import Dataset, Version, db
from serving import warmup
from web.access import get_user


def make_live(dataset: Dataset, version: Version, leaving: int | None = None) -> bool:
    """Let a version answer from now on, commit, and load it so that its first answer is quick.

    Aborts with 409 where another version than `leaving` is live.

    Returns:
        false where it was live already, so that nothing was changed.
    """
    if leaving is not None and leaving != dataset.live_version:
        abort(409, live.NOT_LIVE.format(leaving))
    is_changed = live.make_live(dataset, version, get_user())
    db.session.commit()
    warmup.warm_up()
    return is_changed


def roll_back(dataset: Dataset, leaving: int | None = None) -> int:
    """Let what was live before answer again, commit, load it, and return its number.

    Aborts with 409 where there is nothing to go back to, or another version than `leaving` is live.
    """
    try:
        number = live.roll_back(dataset, get_user(), leaving)
    except live.NothingBefore as problem:
        abort(409, str(problem))
    db.session.commit()
    warmup.warm_up()
    return number


def describe(dataset: Dataset) -> dict[str, Any]:
    """What pages of versions say of it: the changes, what may be gone back to, the challenger (numbers)."""
    challenge = challenges.find(dataset)
    return {
        "changes": live.list_changes(dataset),
        "previous": live.find_previous(dataset),
        "challenger": challenge.version.number if challenge else None,
    }
