"""Editing items: relabel, delete, undo. Every edit leaves a change that can be undone. Nothing commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import update

from datasets import labels
from datasets.changes import record
from datasets.counts import recount
from datasets.names import NameRefused, clean_name
from models import Change, Dataset, Item, User, db, now

_CHUNK = 1000  # ids in one statement


class ChangeRefused(ValueError):
    """An edit that cannot be made; the message is for a person."""

    code = "change_refused"


def relabel(items: Iterable[Item], label_names: str | Iterable[str] | None, user: User | None) -> Change:
    """Give items of one dataset exactly these labels instead of theirs.

    Args:
        items: of one dataset.
        label_names: one name, several (multi-label), or none to take every label away.
        user: who does it.

    Raises:
        ChangeRefused: no item, or more than one label in a single-label dataset.
        NameRefused: a name is not one for a label.
    """
    items, dataset = _of_one_dataset(items)
    names = [label_names] if isinstance(label_names, str) else list(label_names or [])
    names = list(dict.fromkeys(clean_name(name, "label") for name in names))
    if len(names) > 1 and dataset.task == "single-label":
        raise ChangeRefused("An image of this dataset bears one label. Choose only one.")
    ids = [item.id for item in items]
    summary = (
        f"{_images(ids)} labelled {', '.join(names)}" if names else f"{_images(ids)} without a label now"
    )
    change = record(dataset, user, "relabel", summary, labels.names_of(ids))
    labels.replace(dataset, dict.fromkeys(ids, names))
    recount(dataset)
    return change


def delete_items(items: Iterable[Item], user: User | None) -> Change:
    """Delete items of one dataset; they can be brought back until they are swept.

    Raises:
        ChangeRefused: no item.
    """
    items, dataset = _of_one_dataset(items)
    ids = [item.id for item in items if item.deleted_at is None]
    change = record(dataset, user, "delete", f"{_images(ids)} deleted", labels.names_of(ids))
    _set_deleted(dataset, ids, now())
    recount(dataset)
    return change


def undo(change: Change) -> None:
    """Bring back what a change altered: labels as they were, or deleted items not swept yet.

    Raises:
        ChangeRefused: it was undone already.
    """
    if change.undone_at is not None:
        raise ChangeRefused("This was undone already.")
    dataset = db.session.get(Dataset, change.dataset_id)
    before = {int(item_id): names for item_id, names in change.before.items()}
    change.undone_at = now()
    db.session.flush()
    if change.kind == "delete":
        _set_deleted(dataset, list(before), None)
    else:
        labels.replace(dataset, before)
    recount(dataset)


def _of_one_dataset(items: Iterable[Item]) -> tuple[list[Item], Dataset]:
    items = list(items)
    if len({item.dataset_id for item in items}) != 1:
        raise ChangeRefused("No image was chosen. Choose at least one.")
    dataset = db.session.get(Dataset, items[0].dataset_id)
    db.session.flush()  # refreshing forgets what is not flushed
    db.session.refresh(dataset, with_for_update=True)
    return items, dataset


def _images(ids: list[int]) -> str:
    return "1 image" if len(ids) == 1 else f"{len(ids):,} images"


def _set_deleted(dataset: Dataset, ids: list[int], moment) -> None:
    for chunk in _chunks(ids):
        chosen = update(Item).where(Item.dataset_id == dataset.id, Item.id.in_(chunk))
        db.session.execute(chosen.values(deleted_at=moment))
    db.session.expire_all()


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


__all__ = ["ChangeRefused", "NameRefused", "delete_items", "relabel", "undo"]
