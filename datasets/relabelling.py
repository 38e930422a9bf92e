"""A label list without images: it labels those that are in the dataset by the names they were sent under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import select

from datasets import editing
from datasets.changes import ChangeRefused
from datasets.labelling import Choices, File, LeftOut, SentList, label_files
from models import Change, Dataset, Item, User, db


@dataclass(frozen=True)
class Found:
    """What a list says of items: {item id: label names}, the rows of which nothing comes, and the notes."""

    labels: dict[int, tuple[str, ...]]
    left_out: list[LeftOut]
    notes: list[str]


def read_names(dataset: Dataset) -> dict[str, int]:
    """Return {name: item id} of the items that are not deleted.

    Where several were sent under one name, each is under a folder of its own, so that none is guessed.
    """
    query = select(Item.sent_name, Item.id).where(Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
    rows = db.session.execute(query).all()
    counts = Counter(name for name, _ in rows)
    return {name if counts[name] == 1 else f"{item_id}/{name}": item_id for name, item_id in rows}


def match(names: Mapping[str, int], choices: Choices, sent: SentList) -> Found:
    """Find what the list says of the items of these names; asks no database, so that nobody waits for it.

    Raises:
        LabelListRefused: it is no label list, or names none of them; the message names the row.
    """
    wanted = replace(choices, label=None, min_items=0)
    labelling = label_files({name: File(bytes, 0) for name in names}, wanted, replace(sent, is_partial=True))
    labels, several = {}, []
    for name, given in labelling.labels.items():
        if choices.task == "single-label" and len(given) > 1:
            message = "The list gives it several labels, and an image here bears one. It keeps its own."
            several.append(LeftOut(name, "refused", "too_many_labels", message))
        else:
            labels[names[name]] = given
    return Found(labels, labelling.left_out + several, labelling.notes)


def apply(dataset: Dataset, found: Found, user: User | None, source: str) -> Change:
    """Give items the labels found, instead of theirs; can be undone. Does not commit.

    Args:
        dataset: whose row this transaction holds (`editing.hold`).
        found: as `match` gave it.
        user: who does it.
        source: the list's name, for the summary.

    Raises:
        ChangeRefused: they bear these labels already, or the dataset's task was changed meanwhile.
        NameRefused: a name is not one for a label.
    """
    if dataset.task == "single-label" and any(len(names) > 1 for names in found.labels.values()):
        raise ChangeRefused("The dataset's task was changed meanwhile. Send the list again.")
    return editing.label_each(dataset, found.labels, user, source)
