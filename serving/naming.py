"""What the labels that a version was taught are called today, so that renaming one makes no two of it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from models import Label, Version, db


def names_today(version: Version) -> dict[str, str]:
    """Return the name of today of each label of a version; its own where the label is gone, or never was."""
    ids = version.run.label_ids
    theirs = select(Label.id, Label.name).where(Label.dataset_id == version.dataset_id)
    named = dict(db.session.execute(theirs).tuples().all()) if ids else {}
    return {name: named.get(ids.get(name), name) for name in version.labels}


def rename(names: Iterable[str], today: dict[str, str]) -> list[str]:
    """Return labels that a version names as they are called today, as `names_today` has it."""
    return [today.get(name, name) for name in names]
