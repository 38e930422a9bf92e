"""What became of items since a version was trained: changed, deleted, or looked at and left as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache

from sqlalchemy import Text, cast, or_, select

from datasets.changes import ChangeRefused
from models import Change, Dataset, Item, ItemLabel, Prediction, Review, User, db, now

_CHUNK = 1000  # ids in one statement


@dataclass(frozen=True)
class Standing:
    """How an item stands today; `is_left` when somebody let it be with just these labels."""

    item_id: int
    labels: frozenset[str]
    is_deleted: bool
    is_left: bool


def leave(item: Item, user: User | None) -> Review:
    """Remember that the item's labels are right as they are. Does not commit.

    Raises:
        ChangeRefused: the item is deleted.
    """
    if item.deleted_at is not None:
        raise ChangeRefused("This image was deleted meanwhile. Undo that first.")
    labels = sorted(link.label_id for link in item.label_links)
    return _keep(item.dataset_id, user, labels, item_id=item.id)


def settle(prediction: Prediction, user: User | None) -> Review:
    """Remember that nothing more is to be done about a prediction that was called wrong. Does not commit."""
    return _keep(prediction.dataset_id, user, [], prediction_id=prediction.id)


def find(item: Item) -> Review | None:
    """Return the review of an item; it counts only while the item's labels are the review's."""
    return db.session.scalar(select(Review).filter_by(item_id=item.id))


def take_back(review: Review) -> None:
    """Forget a review. Does not commit."""
    db.session.delete(review)
    db.session.flush()


def _keep(dataset_id: int, user: User | None, labels: list[int], **what: int) -> Review:
    review = db.session.scalar(select(Review).filter_by(**what)) or Review(dataset_id=dataset_id, **what)
    review.labels, review.created_at, review.user_id = labels, now(), user.id if user else None
    db.session.add(review)
    db.session.flush()
    return review


def touched(dataset: Dataset, since: datetime) -> set[int]:
    """Return the ids of items changed, or put back, since that moment, and of those reviewed ever."""
    is_since = or_(Change.created_at > since, Change.undone_at > since)
    changes = db.session.scalars(select(Change.before).where(Change.dataset_id == dataset.id, is_since))
    reviewed = select(Review.item_id).where(Review.dataset_id == dataset.id, Review.item_id.is_not(None))
    return {int(item_id) for before in changes for item_id in before} | set(db.session.scalars(reviewed))


def look_up(dataset: Dataset, item_ids: Iterable[int]) -> dict[str, Standing]:
    """Return {SHA-256: how it stands} of these items of the dataset; those swept since are left out."""
    names = {label.id: label.name for label in dataset.labels}
    name_all = cache(lambda label_ids: frozenset(names[label_id] for label_id in label_ids))
    found: dict[str, Standing] = {}
    for chunk in _chunks(item_ids):
        found |= _look_up_some(dataset, chunk, name_all)
    return found


def _look_up_some(
    dataset: Dataset, ids: list[int], name_all: Callable[[tuple[int, ...]], frozenset[str]]
) -> dict[str, Standing]:
    bears: dict[int, tuple[int, ...]] = {}
    links = select(ItemLabel.item_id, ItemLabel.label_id).where(ItemLabel.item_id.in_(ids))
    for item_id, label_id in db.session.execute(links.order_by(ItemLabel.item_id, ItemLabel.label_id)):
        bears[item_id] = (*bears.get(item_id, ()), label_id)
    # As text: of 30,000 reviews few differ, and each is read once.
    reviews = select(Review.item_id, cast(Review.labels, Text)).where(Review.item_id.in_(ids))
    left = {item_id: _read_ids(text) for item_id, text in db.session.execute(reviews)}
    items = select(Item.id, Item.sha256, Item.deleted_at).where(
        Item.dataset_id == dataset.id, Item.id.in_(ids)
    )
    return {
        sha256: Standing(
            item_id=item_id,
            labels=name_all(bears.get(item_id, ())),
            is_deleted=deleted_at is not None,
            is_left=left.get(item_id) == bears.get(item_id, ()),
        )
        for item_id, sha256, deleted_at in db.session.execute(items)
    }


@lru_cache(_CHUNK)
def _read_ids(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))


def find_swept(dataset: Dataset, hashes: Iterable[str]) -> set[str]:
    """Return which of these SHA-256 no item of the dataset has any more, not even a deleted one."""
    return set(hashes).difference(db.session.scalars(select(Item.sha256).filter_by(dataset_id=dataset.id)))


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    ids = list(ids)
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
