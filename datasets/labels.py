"""Labels of a dataset: found, made, renamed, merged, deleted. Nothing here commits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select, update

from datasets.counts import recount
from datasets.names import NameRefused, clean_name
from models import Dataset, ItemLabel, Label, db


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
        NameRefused: the name is not one for a label, or is taken.
    """
    name = clean_name(name, "label")
    if find(dataset, name):
        raise NameRefused(f"There is already a label {name}.")
    return find_or_create(dataset, [name])[name]


def rename(label: Label, name: str) -> None:
    """Give a label another name.

    Raises:
        NameRefused: the name is not one for a label, or another label has it (merge them instead).
    """
    name = clean_name(name, "label")
    dataset = db.session.get(Dataset, label.dataset_id)
    if find(dataset, name) not in (None, label):
        raise NameRefused(f"There is already a label {name}. Merge the two if they mean the same.")
    label.name = name
    db.session.flush()


def merge(label: Label, into: Label) -> None:
    """Give all items of `label` the label `into`, and delete `label`."""
    if label.id == into.id:
        return
    has_both = select(ItemLabel.item_id).where(ItemLabel.label_id == into.id)
    of_label = ItemLabel.label_id == label.id
    db.session.execute(delete(ItemLabel).where(of_label, ItemLabel.item_id.in_(has_both)))
    db.session.execute(update(ItemLabel).where(of_label).values(label_id=into.id))
    remove(label)


def remove(label: Label) -> None:
    """Delete a label; its items stay, without it."""
    dataset = db.session.get(Dataset, label.dataset_id)
    db.session.execute(delete(ItemLabel).where(ItemLabel.label_id == label.id))
    db.session.execute(delete(Label).where(Label.id == label.id))
    db.session.expire_all()
    recount(dataset)
