"""Labels of a dataset: found, made, renamed, merged, deleted, put on items. Nothing here commits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Text, cast, insert, select
from sqlalchemy import delete as delete_rows

from datasets import renaming
from datasets.changes import record
from datasets.counts import recount
from datasets.names import NameRefused, NameTaken, clean_name
from models import Change, Dataset, Feedback, Item, ItemLabel, Label, Prediction, User, db

_CHUNK = 1000  # ids in one statement


@dataclass(frozen=True)
class LabelCount:
    """A label and how many items bear it."""

    id: int
    name: str
    count: int


def find(dataset: Dataset, name: str) -> Label | None:
    """Return the label of that name, or None."""
    return db.session.scalar(select(Label).where(Label.dataset_id == dataset.id, Label.name == name))


def find_or_create(dataset: Dataset, names: Iterable[str]) -> dict[str, Label]:
    """Return {name: label} for clean names, making those that are missing.

    Raises:
        NameRefused: a name is not one for a label.
    """
    wanted = {clean_name(name, "label") for name in names}
    known = select(Label).where(Label.dataset_id == dataset.id, Label.name.in_(wanted))
    labels = {label.name: label for label in db.session.scalars(known)} if wanted else {}
    for name in sorted(wanted - labels.keys()):
        labels[name] = Label(dataset_id=dataset.id, name=name)
        db.session.add(labels[name])
    db.session.flush()
    return labels


def create(dataset: Dataset, name: str) -> Label:
    """Make a label.

    Raises:
        NameRefused: the name is not one for a label.
        NameTaken: there is a label of that name.
    """
    name = clean_name(name, "label")
    if find(dataset, name):
        raise NameTaken(f"There is already a label {name}.")
    return find_or_create(dataset, [name])[name]


def rename(label: Label, name: str) -> None:
    """Give a label another name.

    Raises:
        NameRefused: the name is not one for a label.
        NameTaken: another label has it (merge them instead).
    """
    name = clean_name(name, "label")
    dataset = db.session.get(Dataset, label.dataset_id)
    if find(dataset, name) not in (None, label):
        raise NameTaken(f"There is already a label {name}. Merge the two if they mean the same.")
    _rename_in_feedback(label, name)
    label.name = name
    db.session.flush()


def _rename_in_feedback(label: Label, name: str) -> None:
    """Let what people said of predictions go on meaning this label."""
    is_named = cast(Feedback.labels, Text).contains(json.dumps(label.name), autoescape=True)
    query = select(Feedback).join(Prediction).where(Prediction.dataset_id == label.dataset_id, is_named)
    for word in db.session.scalars(query):
        word.labels = renaming.rename(word.labels, {label.name: name})


def count_labels(dataset: Dataset) -> list[LabelCount]:
    """Return the dataset's labels by name, each with its number of items, from the counts kept beside it."""
    counts = (dataset.counts or {}).get("labels", {})
    return [
        LabelCount(label.id, label.name, sum(counts.get(str(label.id), {}).values()))
        for label in dataset.labels
    ]


def merge(label: Label, into: Label, user: User | None) -> Change:
    """Give all items of `label` the label `into` instead, and delete `label`. Can be undone.

    Raises:
        NameRefused: the two are the same label.
    """
    if label.id == into.id:
        raise NameRefused(f"{label.name} cannot be merged into itself. Choose another label.")
    return _take_away(label, [into.name], f"{label.name} merged into {into.name}", user)


def delete(label: Label, user: User | None) -> Change:
    """Delete a label; its items stay, without it. Can be undone."""
    return _take_away(label, [], f"The label {label.name} deleted", user)


def _take_away(label: Label, instead: list[str], summary: str, user: User | None) -> Change:
    dataset = db.session.get(Dataset, label.dataset_id)
    items = list(db.session.scalars(select(ItemLabel.item_id).where(ItemLabel.label_id == label.id)))
    before = names_of(items)
    after = {
        item_id: [name for name in names if name != label.name] + instead for item_id, names in before.items()
    }
    change = record(dataset, user, "relabel", summary, before)
    replace(dataset, after)
    db.session.execute(delete_rows(Label).where(Label.id == label.id))
    db.session.expire_all()
    recount(dataset)
    return change


def names_of(item_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return {item id: names of its labels, sorted}; an item without a label has an empty list."""
    names: dict[int, list[str]] = {item_id: [] for item_id in item_ids}
    for chunk in _chunks(names):
        query = select(ItemLabel.item_id, Label.name).join(Label).where(ItemLabel.item_id.in_(chunk))
        for item_id, name in db.session.execute(query.order_by(Label.name)):
            names[item_id].append(name)
    return names


def replace(dataset: Dataset, names: dict[int, list[str]]) -> None:
    """Give items of the dataset exactly these labels, making labels that are missing; does not recount.

    Args:
        dataset: whose items they are; ids of other datasets, or of items swept since, are left alone.
        names: {item id: label names}.
    """
    clean = {name: clean_name(name, "label") for name in {name for each in names.values() for name in each}}
    labels = find_or_create(dataset, clean.values())
    ids = {name: labels[clean[name]].id for name in clean}
    for chunk in _chunks(names):
        wanted = {item_id: {ids[name] for name in names[item_id]} for item_id in chunk}
        _replace_some(dataset, wanted)
    db.session.expire_all()


def _replace_some(dataset: Dataset, wanted: dict[int, set[int]]) -> None:
    """Delete and insert only the links in which items ({item id: label ids}) differ from what is wanted."""
    theirs = select(Item.id).where(Item.dataset_id == dataset.id, Item.id.in_(wanted))
    missing = {item_id: set(wanted[item_id]) for item_id in db.session.scalars(theirs)}
    too_many: dict[int, list[int]] = {}
    links = select(ItemLabel.item_id, ItemLabel.label_id).where(ItemLabel.item_id.in_(missing))
    for item_id, label_id in db.session.execute(links):
        if label_id in missing[item_id]:
            missing[item_id].remove(label_id)
        else:
            too_many.setdefault(label_id, []).append(item_id)
    for label_id, item_ids in too_many.items():
        chosen = (ItemLabel.label_id == label_id, ItemLabel.item_id.in_(item_ids))
        db.session.execute(delete_rows(ItemLabel).where(*chosen).execution_options(synchronize_session=False))
    rows = [{"item_id": item_id, "label_id": label} for item_id, each in missing.items() for label in each]
    if rows:
        db.session.execute(insert(ItemLabel), rows)


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    ids = list(ids)
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
