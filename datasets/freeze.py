"""A dataset frozen for a run: its labels in order, and one manifest line for every labelled item."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from datasets import storage
from models import Dataset, Item, ItemLabel, Label, db


def freeze(dataset: Dataset) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of a dataset as it stands.

    Items without a label are left out where the task is single-label (nobody said what they are), and stand
    for "none of them" where it is multi-label. Labels that no item bears are left out.
    A line: `sha256`, `path`, `labels`, `split`, `name`.
    """
    lines = list(_lines(dataset))
    return sorted({name for line in lines for name in line["labels"]}), lines


def _lines(dataset: Dataset) -> Iterator[dict]:
    query = (
        select(Item.id, Item.sha256, Item.filename, Item.split, Item.sent_name)
        .where(Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
        .order_by(Item.id)
    )
    labels = _labels_of_items(dataset)
    for item_id, sha256, filename, split, name in db.session.execute(query):
        names = labels.get(item_id, [])
        if names or dataset.task == "multi-label":
            yield {
                "sha256": sha256,
                "path": storage.original_path(filename),
                "labels": names,
                "split": split,
                "name": name,
            }


def _labels_of_items(dataset: Dataset) -> dict[int, list[str]]:
    query = (
        select(ItemLabel.item_id, Label.name)
        .join(Label, Label.id == ItemLabel.label_id)
        .where(Label.dataset_id == dataset.id)
        .order_by(Label.name)
    )
    names: dict[int, list[str]] = {}
    for item_id, name in db.session.execute(query):
        names.setdefault(item_id, []).append(name)
    return names
