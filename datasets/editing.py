"""Editing items: relabel, delete, undo. Every edit leaves a change that can be undone. Nothing commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import func, select, update

from datasets import labels, tasks
from datasets.changes import ChangeRefused, read_before, record
from datasets.counts import recount
from datasets.names import NameRefused, clean_name
from models import Change, Dataset, Item, User, db, now

MAX_AT_ONCE = 50_000  # items: some two seconds in which nobody else writes
_CHUNK = 1000  # ids in one statement


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
    names = [label_names] if isinstance(label_names, str) else label_names or []
    return change_labels(dataset, [item.id for item in items], "set", names, user)


def change_labels(
    dataset: Dataset, item_ids: list[int], how: str, label_names: Iterable[str], user: User | None
) -> Change:
    """Set, add or remove labels of items.

    Args:
        dataset: whose items they are.
        item_ids: of items that are not deleted; any number.
        how: "set" gives them exactly these labels, "add" and "remove" leave their others alone.
        label_names: one or several; none with "set" takes every label away.
        user: who does it.

    Raises:
        ChangeRefused: no item, nothing to change, or more than one label in a single-label dataset.
        NameRefused: a name is not one for a label.
    """
    if not item_ids:
        raise ChangeRefused("No image was chosen. Choose at least one.")
    names = list(dict.fromkeys(clean_name(name, "label") for name in label_names))
    before = labels.names_of(item_ids)
    after = {item_id: _combine(how, old, names) for item_id, old in before.items()}
    if dataset.task == "single-label" and any(len(new) > 1 for new in after.values()):
        raise ChangeRefused("An image of this dataset bears one label. Choose only one.")
    if how != "set":  # what stays as it is, is not written anew
        after = {item_id: new for item_id, new in after.items() if new != before[item_id]}
    if not after:
        raise ChangeRefused(f"Nothing to change: {_SAME[how].format(', '.join(names))}.")
    summary = _WORDS[how if names else "clear"].format(_images(after), ", ".join(names))
    change = record(dataset, user, "relabel", summary, {item_id: before[item_id] for item_id in after})
    labels.replace(dataset, after)
    recount(dataset)
    return change


def label_each(
    dataset: Dataset, wanted: Mapping[int, Iterable[str]], user: User | None, source: str
) -> Change:
    """Give each item labels of its own instead of those it bears.

    Args:
        dataset: whose items they are; ids of others are left alone.
        wanted: {item id: label names}; a single-label dataset takes one at most.
        user: who does it.
        source: what says these labels, for the summary.

    Raises:
        ChangeRefused: nothing to change.
        NameRefused: a name is not one for a label.
    """
    before = labels.names_of(wanted)
    after = {item_id: [clean_name(name, "label") for name in names] for item_id, names in wanted.items()}
    after = {item_id: names for item_id, names in after.items() if set(names) != set(before[item_id])}
    if not after:
        raise ChangeRefused("Nothing to change: they all bear these labels already.")
    summary = f"{_images(after)} labelled by {source}"
    change = record(dataset, user, "relabel", summary, {item_id: before[item_id] for item_id in after})
    labels.replace(dataset, after)
    recount(dataset)
    return change


_WORDS = {
    "set": "{} labelled {}",
    "clear": "{} without a label now",
    "add": "{} labelled {} too",
    "remove": "{} no longer labelled {}",
}
_SAME = {"add": "they all bear {} already", "remove": "none of them bears {}"}


def _combine(how: str, old: list[str], names: list[str]) -> list[str]:
    if how == "add":
        return old + [name for name in names if name not in old]
    if how == "remove":
        return [name for name in old if name not in names]
    return names


def delete_items(items: Iterable[Item], user: User | None) -> Change:
    """Delete items of one dataset; they can be brought back until they are swept.

    Raises:
        ChangeRefused: no item.
    """
    items, dataset = _of_one_dataset(items)
    return delete_ids(dataset, [item.id for item in items if item.deleted_at is None], user)


def delete_ids(dataset: Dataset, item_ids: list[int], user: User | None) -> Change:
    """Delete items of a dataset by their ids, as `delete_items` does.

    Raises:
        ChangeRefused: no item.
    """
    if not item_ids:
        raise ChangeRefused("No image was chosen. Choose at least one.")
    change = record(dataset, user, "delete", f"{_images(item_ids)} deleted", labels.names_of(item_ids))
    _set_deleted(dataset, item_ids, now())
    recount(dataset)
    return change


def undo(change: Change) -> int:
    """Bring back what a change altered: labels as they were, or deleted items not swept yet.

    Returns:
        how many of its items were deleted for good meanwhile.

    Raises:
        ChangeRefused: it was undone already, none of its items is left, or it does not fit the dataset's task
            any more.
    """
    if change.undone_at is not None:
        raise ChangeRefused("This was undone already.")
    dataset = db.session.get(Dataset, change.dataset_id)
    before = read_before(change)
    gone = len(before) - _count_left(dataset, list(before))
    if before and gone == len(before) and change.kind not in tasks.KINDS.values():
        raise ChangeRefused("This can't be undone any more: its images were deleted for good meanwhile.")
    if change.kind == "delete":
        _set_deleted(dataset, list(before), None)
    elif change.kind in tasks.KINDS.values():
        tasks.take_back(dataset, change)
    else:
        tasks.check_still_fits(dataset, before.values())
        labels.replace(dataset, before)
    change.undone_at = now()
    recount(dataset)
    return gone


def check_count(item_ids: Collection[int]) -> None:
    """Refuse to change more items in one request than others can wait for.

    Raises:
        ChangeRefused: more than MAX_AT_ONCE.
    """
    if len(item_ids) > MAX_AT_ONCE:
        raise ChangeRefused(f"{MAX_AT_ONCE:,} images are the most at once. Choose a label or split first.")


def _of_one_dataset(items: Iterable[Item]) -> tuple[list[Item], Dataset]:
    items = list(items)
    if len({item.dataset_id for item in items}) != 1:
        raise ChangeRefused("No image was chosen. Choose at least one.")
    dataset = db.session.get(Dataset, items[0].dataset_id)
    hold(dataset)
    return items, dataset


def hold(dataset: Dataset) -> None:
    """Take the dataset's row for this transaction, so that nobody else counts its items meanwhile."""
    db.session.flush()  # refreshing forgets what is not flushed
    db.session.refresh(dataset, with_for_update=True)


def _images(ids: Collection[int]) -> str:
    return "1 image" if len(ids) == 1 else f"{len(ids):,} images"


def _set_deleted(dataset: Dataset, ids: list[int], moment) -> None:
    for chunk in _chunks(ids):
        chosen = update(Item).where(Item.dataset_id == dataset.id, Item.id.in_(chunk))
        db.session.execute(chosen.values(deleted_at=moment))
    db.session.expire_all()


def _count_left(dataset: Dataset, ids: list[int]) -> int:
    """Count the items of these that are in the dataset still, if only as deleted ones."""
    theirs = select(func.count(Item.id)).where(Item.dataset_id == dataset.id)
    return sum(db.session.scalar(theirs.where(Item.id.in_(chunk))) for chunk in _chunks(ids))


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


__all__ = ["ChangeRefused", "NameRefused", "change_labels", "delete_ids", "delete_items", "relabel", "undo"]
