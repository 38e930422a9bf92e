"""Counts of a dataset, kept beside it so that no page has to count 100,000 rows."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from sqlalchemy import func, select

from models import Dataset, Item, ItemLabel, db


def recount(dataset: Dataset) -> None:
    """Count the dataset's items by split and label; called by whatever changes items. Does not commit."""
    present = (Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
    splits = select(Item.split, func.count()).where(*present).group_by(Item.split)
    by_label = (
        select(ItemLabel.label_id, Item.split, func.count())
        .join(Item, Item.id == ItemLabel.item_id)
        .where(*present)
        .group_by(ItemLabel.label_id, Item.split)
    )
    labels: dict[str, dict[str, int]] = {}
    for label_id, split, count in db.session.execute(by_label):
        labels.setdefault(str(label_id), {})[split] = count
    by_split = {split: count for split, count in db.session.execute(splits)}
    dataset.counts = {
        "items": sum(by_split.values()),
        "splits": by_split,
        "labels": labels,
        "unlabelled": _count_unlabelled(dataset),
    }
    db.session.flush()


def _count_unlabelled(dataset: Dataset) -> int:
    has_label = select(ItemLabel.item_id).where(ItemLabel.item_id == Item.id).exists()
    query = select(func.count()).where(Item.dataset_id == dataset.id, Item.deleted_at.is_(None), ~has_label)
    return db.session.scalar(query)


def count_in(dataset: Dataset, splits_and_labels: Iterable[tuple[str, Iterable[int]]]) -> None:
    """Add new items to the counts, without counting the others again. Does not commit.

    Args:
        dataset: whose row this transaction holds.
        splits_and_labels: (split, ids of its labels) of each new item.
    """
    counts = copy.deepcopy(dataset.counts or {})
    splits, labels = counts.setdefault("splits", {}), counts.setdefault("labels", {})
    for split, label_ids in splits_and_labels:
        counts["items"] = counts.get("items", 0) + 1
        counts["unlabelled"] = counts.get("unlabelled", 0) + (not label_ids)
        for tally in [splits, *(labels.setdefault(str(label_id), {}) for label_id in label_ids)]:
            tally[split] = tally.get(split, 0) + 1
    dataset.counts = counts
