"""Which labels were meant by their names, kept as ids, and what these are called today."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from models import Label, Run, db


def names_by_id(dataset_id: int) -> dict[int, str]:
    """Return the name of each label of a dataset, by its id."""
    return dict(db.session.execute(select(Label.id, Label.name).where(Label.dataset_id == dataset_id)).all())


def find_ids(dataset_id: int, names: Iterable[str]) -> dict[str, int]:
    """Return which labels these names mean now, to be kept; without those that the dataset has not."""
    wanted = set(names)
    return {name: label_id for label_id, name in names_by_id(dataset_id).items() if name in wanted}


def names_today(dataset_id: int, ids: dict[str, int]) -> dict[str, str]:
    """Return what each name that `find_ids` has kept is called today; itself where the label is gone."""
    present = names_by_id(dataset_id) if ids else {}
    return {name: present.get(label_id, name) for name, label_id in ids.items()}


def names_taught(run: Run) -> dict[str, str]:
    """Return what the labels that a run was given are called today, as `names_today` has it."""
    return names_today(run.dataset_id, run.label_ids)


def rename(names: Iterable[str], today: dict[str, str]) -> list[str]:
    """Return the names as `today` has them; those that it has not as they are."""
    return [today.get(name, name) for name in names]
