"""The task of a dataset changed: what it would do, done, and taken back. Nothing here commits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from datasets import labels
from datasets.changes import ChangeRefused, read_before, record
from datasets.counts import recount
from datasets.labels import count_labels
from models import TASKS, Change, Dataset, Item, ItemLabel, User, db

# What becomes of an image with several labels where each may bear one.
RULES = {
    "rarest": "Keep the one that the fewest images bear",
    "commonest": "Keep the one that the most images bear",
    "none": "Take all of them away, to be labelled anew",
}
# The kind of change that leads to a task.
KINDS = {"single-label": "to-single", "multi-label": "to-multi"}
_WORDS = {"single-label": "one label for each image", "multi-label": "any number of labels for each image"}


@dataclass(frozen=True)
class Outlook:
    """What changing the task would do: counts of images that are not deleted, and of labels taken away."""

    task: str  # the new one
    items: int
    several: int  # images with more than one label
    lost: dict[str, int]  # rule -> how many labels are taken from images
    unlabelled: int


def other_task(dataset: Dataset) -> str:
    """Return the task that the dataset does not have."""
    return next(task for task in TASKS if task != dataset.task)


def look_ahead(dataset: Dataset) -> Outlook:
    """Count what changing the dataset's task would do."""
    counts = dataset.counts or {}
    several, links = _count_several(dataset) if dataset.task == "multi-label" else (0, 0)
    lost = {rule: links if rule == "none" else links - several for rule in RULES}
    return Outlook(other_task(dataset), counts.get("items", 0), several, lost, counts.get("unlabelled", 0))


def _several(dataset: Dataset):
    query = select(ItemLabel.item_id, func.count().label("links")).join(Item, Item.id == ItemLabel.item_id)
    query = query.where(Item.dataset_id == dataset.id)
    return query.group_by(ItemLabel.item_id).having(func.count() > 1)


def _count_several(dataset: Dataset) -> tuple[int, int]:
    """Return (images with several labels, their labels), of those not deleted."""
    found = _several(dataset).where(Item.deleted_at.is_(None)).subquery()
    return tuple(
        db.session.execute(
            select(func.count(), func.coalesce(func.sum(found.c.links), 0)).select_from(found)
        ).one()
    )


def change_task(dataset: Dataset, user: User | None, rule: str | None = None) -> Change:
    """Give the dataset the other task; can be undone. Versions keep the task they were trained for.

    Args:
        dataset: whose row this transaction holds (`editing.hold`).
        user: who does it.
        rule: one of RULES, for images with several labels where each may then bear one; deleted images too.

    Raises:
        ChangeRefused: there are such images, and no rule.
    """
    task, before = other_task(dataset), {}
    if task == "single-label":
        before = labels.names_of(db.session.scalars(_several(dataset).with_only_columns(ItemLabel.item_id)))
        if before and rule not in RULES:
            raise ChangeRefused("Say what becomes of images with several labels.")
    change = record(dataset, user, KINDS[task], f"Now {_WORDS[task]}", before)
    counts = {label.name: label.count for label in count_labels(dataset)}
    labels.replace(dataset, {item_id: _keep(names, counts, rule) for item_id, names in before.items()})
    dataset.task = task
    recount(dataset)
    return change


def _keep(names: list[str], counts: dict[str, int], rule: str | None) -> list[str]:
    if rule == "none":
        return []
    best = min if rule == "rarest" else max
    return [best(names, key=lambda name: (counts.get(name, 0), name))]


def take_back(dataset: Dataset, change: Change) -> None:
    """Undo a change of the task, with the labels it took away.

    Raises:
        ChangeRefused: the task was changed again since, or images bear several labels now.
    """
    if change.kind != KINDS[dataset.task]:
        raise ChangeRefused("The task was changed again since. Change it in the settings.")
    if change.kind == "to-multi" and _count_several(dataset)[0]:
        raise ChangeRefused("Images bear several labels by now. Change the task in the settings.")
    dataset.task = other_task(dataset)
    db.session.flush()
    labels.replace(dataset, read_before(change))


def check_still_fits(dataset: Dataset, names: Iterable[list[str]]) -> None:
    """Refuse to bring several labels back to images that may bear one by now.

    Raises:
        ChangeRefused: as said.
    """
    if dataset.task == "single-label" and any(len(each) > 1 for each in names):
        raise ChangeRefused("Each image bears one label by now. Change the task in the settings first.")
