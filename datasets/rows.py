"""Rows of images that were checked and stored: items, their splits and labels, and what became of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from flask import current_app
from sqlalchemy import func, insert, select

from datasets import renaming, storage
from datasets.checking import Image, Refusal
from datasets.counts import count_in, recount
from datasets.duplicates import Neighbours
from datasets.labelling import LeftOut
from datasets.labels import find_or_create
from datasets.names import NameRefused, clean_name
from datasets.splits import Shares, Splitter
from models import SPLITS, Dataset, Import, ImportFile, Item, ItemLabel, Label, db

MAX_MESSAGE = 300  # characters


@dataclass(frozen=True)
class Taken:
    """What became of one file: `added`, `skipped` (already there) or `refused`, with the reason."""

    outcome: str
    sent_name: str
    code: str | None = None
    message: str | None = None
    item: Item | None = None


def load_splitter(dataset: Dataset) -> Splitter:
    """Return what decides the splits of new items, knowing the fingerprints and counts of those there are."""
    shares = Shares(
        current_app.config["PIGEONHOLE"].share_validation, current_app.config["PIGEONHOLE"].share_test
    )
    names = renaming.names_by_id(dataset.id)
    counts = dataset.counts or {}
    by_label = {
        names[int(key)]: dict(tally) for key, tally in counts.get("labels", {}).items() if int(key) in names
    }
    # The unlabelled go by the shares of the whole dataset.
    return Splitter(shares, by_label | {"": dict(counts.get("splits", {}))}, _load_neighbours(dataset))


def _load_neighbours(dataset: Dataset) -> Neighbours:
    # One string a split: at 100,000 items a third of the time that a row an item takes.
    joined = func.aggregate_strings(Item.fingerprint, "")
    query = select(Item.split, joined).where(Item.dataset_id == dataset.id).group_by(Item.split)
    texts = dict(db.session.execute(query).all())
    counts = [len(texts.get(split, "")) // 16 for split in SPLITS]
    digits = "".join(texts.get(split, "") for split in SPLITS)
    fingerprints = np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)
    return Neighbours(fingerprints, np.repeat(SPLITS, counts).tolist())


def add_rows(
    dataset: Dataset,
    checked: Iterable[Image | Refusal],
    import_: Import | None = None,
    splitter: Splitter | None = None,
) -> list[Taken]:
    """Add what was checked to the session: new items, their labels, and the report of the import.

    An image that is there already is skipped; a deleted one comes back. Does not commit.

    Args:
        dataset: where the images go.
        checked: as `checking.check_and_store` gave them.
        import_: where the outcome of every file is written down.
        splitter: as `load_splitter` gives it, when it was kept from an earlier batch.
    """
    # On PostgreSQL this holds the dataset's row; on SQLite the transaction holds the database.
    db.session.flush()  # what an earlier batch has counted, before the row is read anew
    db.session.refresh(dataset, with_for_update=True)
    checked = [_with_clean_labels(dataset, one) for one in checked]
    images = [one for one in checked if isinstance(one, Image)]
    labels = find_or_create(dataset, {name for one in images for name in one.sent.label_names})
    items = _find_items(dataset, images)
    new = {one.sha256: one for one in reversed(images) if one.sha256 not in items}
    _insert(dataset, [one for one in images if new.get(one.sha256) is one], labels, splitter)
    batch = _Batch(dataset, labels, items | _find_items(dataset, new.values()), new)
    taken = [_take(batch, one) for one in checked]
    db.session.flush()
    _count(dataset, taken)
    if import_ is not None:
        _report(import_, taken)
    return taken


@dataclass(frozen=True)
class _Batch:
    """What is known of a batch once its new items are inserted."""

    dataset: Dataset
    labels: dict[str, Label]  # by name
    items: dict[str, Item]  # by SHA-256
    new: dict[str, Image]  # by SHA-256: the first image of those bytes, where they are new


def _with_clean_labels(dataset: Dataset, one: Image | Refusal) -> Image | Refusal:
    """Return the image with clean label names, or refused for its labels (and its bytes deleted)."""
    if isinstance(one, Refusal):
        return one
    try:
        names = tuple(dict.fromkeys(clean_name(name, "label") for name in one.sent.label_names))
    except NameRefused as refused:
        return _refuse(one, "label_refused", str(refused))
    if len(names) > 1 and dataset.task == "single-label":
        return _refuse(one, "too_many_labels", "This dataset takes one label an image. Send only one.")
    return replace(one, sent=replace(one.sent, label_names=names))


def _refuse(one: Image, code: str, message: str) -> Refusal:
    storage.delete(one.filename)
    return Refusal(one.sent, code, message)


def _find_items(dataset: Dataset, images: Iterable[Image]) -> dict[str, Item]:
    hashes = [one.sha256 for one in images]
    query = select(Item).where(Item.dataset_id == dataset.id, Item.sha256.in_(hashes))
    return {item.sha256: item for item in db.session.scalars(query)} if hashes else {}


def _insert(
    dataset: Dataset, images: list[Image], labels: dict[str, Label], splitter: Splitter | None
) -> None:
    """Insert items and their labels in three statements; objects one by one would take a statement each."""
    if not images:
        return
    splitter = splitter or load_splitter(dataset)
    db.session.execute(insert(Item), [_values(dataset, one, splitter) for one in images])
    query = select(Item.sha256, Item.id).where(Item.dataset_id == dataset.id)
    query = query.where(Item.sha256.in_([one.sha256 for one in images]))
    ids = dict(db.session.execute(query).all())
    links = [
        {"item_id": ids[one.sha256], "label_id": labels[name].id}
        for one in images
        for name in one.sent.label_names
    ]
    if links:
        db.session.execute(insert(ItemLabel), links)


def _values(dataset: Dataset, one: Image, splitter: Splitter) -> dict:
    return {
        "dataset_id": dataset.id,
        "sha256": one.sha256,
        "filename": one.filename,
        "sent_name": one.sent.name,
        "format": one.format,
        "width": one.width,
        "height": one.height,
        "size": one.size,
        "fingerprint": f"{one.fingerprint:016x}",
        "split": splitter.decide(one.sha256, one.fingerprint, one.sent.label_names),
    }


def _take(batch: _Batch, one: Image | Refusal) -> Taken:
    """Decide what becomes of one file."""
    name = one.sent.name
    if isinstance(one, Refusal):
        return Taken("refused", name, one.code, one.message)
    item = batch.items[one.sha256]
    if batch.new.get(one.sha256) is one:
        return Taken("added", name, item=item)
    storage.delete(one.filename)
    labels = [batch.labels[label] for label in one.sent.label_names]
    if item.deleted_at is not None:
        item.deleted_at = None
        set_labels(item, labels or item.labels)
        return Taken("added", name, "brought_back", "The image was deleted and is back.", item)
    return _skip(batch.dataset, item, labels, name)


def _skip(dataset: Dataset, item: Item, labels: list[Label], name: str) -> Taken:
    """An image that is there already may still gain a label that it lacks."""
    message = "The same image is in the dataset already."
    gained = [label for label in labels if label not in item.labels]
    if gained and (dataset.task == "multi-label" or not item.labels):
        set_labels(item, item.labels + gained)
        message = f"{message} It now bears {', '.join(label.name for label in gained)} too."
        return Taken("skipped", name, "label_added", message[:MAX_MESSAGE], item)
    return Taken("skipped", name, "duplicate", message, item)


def set_labels(item: Item, labels: Iterable[Label]) -> None:
    """Give an item exactly these labels."""
    kept = {link.label_id: link for link in item.label_links}
    item.label_links = [kept.get(label.id) or ItemLabel(label=label) for label in labels]


def _count(dataset: Dataset, taken: list[Taken]) -> None:
    if any(one.code in ("brought_back", "label_added") for one in taken):
        return recount(dataset)
    items = [one.item for one in taken if one.outcome == "added"]
    return count_in(dataset, [(item.split, [link.label_id for link in item.label_links]) for item in items])


def report_left_out(import_: Import, left_out: list[LeftOut]) -> int:
    """Write down files, and rows of files, of which nothing comes in; return how many. Does not commit."""
    _report(import_, [Taken(one.outcome, one.name, one.code, one.message) for one in left_out])
    return len(left_out)


def _report(import_: Import, taken: list[Taken]) -> None:
    """Write down what became of every file."""
    rows = [
        {
            "import_id": import_.id,
            "item_id": one.item.id if one.item else None,
            "sent_name": one.sent_name,
            "outcome": one.outcome,
            "code": one.code,
            "message": one.message,
        }
        for one in taken
    ]
    if rows:
        db.session.execute(insert(ImportFile), rows)
    outcomes = Counter(one.outcome for one in taken)
    import_.added += outcomes["added"]
    import_.skipped += outcomes["skipped"]
    import_.refused += outcomes["refused"]
