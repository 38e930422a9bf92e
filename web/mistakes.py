"""What a version got wrong as a place to work: its queues, how far each is done, what each image shows.

For the pages and for the API.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from flask import abort
from sqlalchemy import select

from datasets import renaming, reviews
from datasets.reviews import Standing
from jobs import examining
from models import Dataset, Item, Version, db
from serving import evaluations, mistakes
from serving.evaluations import Evaluation
from serving.mistakes import Cell, Guess
from web import found

QUEUES = (*mistakes.QUEUES, "alike")
PAGE_SIZE = 48
CELLS_SHOWN = 12
STATES = ("relabelled", "removed", "left")  # what was done about an item
SETTLED = "settled"  # of a look-alike: nothing is left to do, since something was done about its like


@dataclass(frozen=True)
class Card:
    """One judged item: what the version said of it, what it bears, and what was done about it since.

    Attributes:
        place: where it stands in its queue.
        item: its row of today, None once it is gone for good.
        labels: those it bears now; those it was taught as, where it is gone.
        suggested: the labels it should rather bear; None where nothing speaks against its own.
        state: one of STATES, None while nothing was done; of a look-alike perhaps SETTLED.
        alike: in the queue of look-alikes, those that it looks like.
    """

    place: int
    name: str
    split: str
    item: Item | None
    taught: list[str]
    labels: list[str]
    guesses: list[Guess]
    suggested: list[str] | None
    state: str | None
    alike: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """Some of a queue's items; the place to go on after, None at its end."""

    cards: list[Card]
    next_after: int | None


@dataclass(frozen=True)
class Queue:
    """The rows of the evaluation that a queue holds, in its order, and which of them are done.

    `alike` are, by row, the items that it looks like, in the queue of look-alikes.
    """

    name: str
    cell: Cell
    rows: np.ndarray
    is_done: np.ndarray
    alike: dict[int, list[Item]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many items it holds."""
        return len(self.rows)

    @property
    def done(self) -> int:
        """To how many of them something was done."""
        return int(self.is_done.sum())


@dataclass(frozen=True)
class Workspace:
    """What a version said of the items it was judged by, beside what they are today."""

    dataset: Dataset
    version: Version
    evaluation: Evaluation

    @cached_property
    def states(self) -> dict[int, str]:
        """What was done about each row to which something was done."""
        places = self.evaluation.places
        ids = reviews.touched(self.dataset, self.version.run.created_at)
        standing = reviews.look_up(self.dataset, ids)
        found = {
            places[sha256]: self._state(places[sha256], stands)
            for sha256, stands in standing.items()
            if sha256 in places
        }
        swept = reviews.find_swept(self.dataset, places) if len(standing) < len(ids) else ()
        found |= {places[sha256]: "removed" for sha256 in swept}
        return {row: state for row, state in found.items() if state}

    @cached_property
    def names(self) -> set[str]:
        """The labels that the dataset has today."""
        return {label.name for label in self.dataset.labels}

    @cached_property
    def today(self) -> dict[str, str]:
        """What each label that the version was taught is called today."""
        return renaming.names_taught(self.version.run)

    @property
    def put_right(self) -> int:
        """How many items bear other labels than the version was taught, or are removed."""
        return sum(state != "left" for state in self.states.values())

    def _state(self, row: int, stands: Standing) -> str | None:
        if stands.is_deleted:
            return "removed"
        if not self._are_same(self.evaluation.taught[row], stands.labels):
            return "relabelled"
        return "left" if stands.is_left else None

    def _are_same(self, taught: frozenset[str], today: frozenset[str]) -> bool:
        """Whether they are the same labels, by whatever names."""
        return today == frozenset(renaming.rename(taught, self.today))

    def taught(self, row: int) -> list[str]:
        """The labels that the version was taught of a row, as they are called today."""
        places = np.flatnonzero(self.evaluation.truth[row])
        return renaming.rename([self.evaluation.labels[place] for place in places], self.today)

    def open(self, name: str, cell: Cell | None = None) -> Queue:
        """Return a queue of judged items, one of QUEUES; `cell` without one is the most frequent."""
        if name == "alike":
            return self._open_alike()
        if name != "cell":
            cell = None
        elif cell in (None, Cell()):
            cell = next((cell for cell, _ in self.confusions()), None)
        rows = np.array([], dtype=np.int64)
        if name != "cell" or cell:
            rows = mistakes.rows_of(self.evaluation, name, cell, evaluations.judged_by(self.version))
        return Queue(name, cell or Cell(), rows, np.isin(rows, list(self.states)))

    def _open_alike(self) -> Queue:
        """Return the judged items that look alike but differ in labels or splits, each beside its likes."""
        findings, places = examining.find(self.dataset), self.evaluation.places
        alike: dict[int, list[Item]] = {}
        for pair in found.pairs_of(self.dataset, findings) if findings else []:
            for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
                if one.sha256 in places:
                    alike.setdefault(places[one.sha256], []).append(other)
        rows = np.array(list(alike), dtype=np.int64)
        return Queue("alike", Cell(), rows, np.isin(rows, list(self.states)), alike)

    def page(self, queue: Queue, after: int | None, is_done: bool = False, size: int = PAGE_SIZE) -> Page:
        """Return the items of a queue that are still to do, or those that are done.

        Args:
            after: the place of the last one that was shown; None for the first page.
        """
        places = np.flatnonzero(queue.is_done == is_done)
        places = places[places > after] if after is not None else places
        shown = places[:size].tolist()
        following = shown[-1] if len(places) > size else None
        return Page(self.cards(queue, shown), following)

    def cards(self, queue: Queue, places: Iterable[int]) -> list[Card]:
        """Return what is at these places of a queue."""
        rows = [(place, int(queue.rows[place])) for place in places]
        items = self._find_items([self.evaluation.hashes[row] for _, row in rows])
        return [self._card(queue, place, row, items.get(self.evaluation.hashes[row])) for place, row in rows]

    def card_of(self, queue: Queue, item: Item) -> Card | None:
        """Return what a queue shows of one item; None where it was not judged."""
        row = self.evaluation.places.get(item.sha256)
        return None if row is None else self._card(queue, 0, row, item)

    def _find_items(self, hashes: list[str]) -> dict[str, Item]:
        theirs = select(Item).where(Item.dataset_id == self.dataset.id, Item.sha256.in_(hashes))
        return {item.sha256: item for item in db.session.scalars(theirs)}

    def _card(self, queue: Queue, place: int, row: int, item: Item | None) -> Card:
        taught, suggested = self.taught(row), self._suggest(queue, row)
        is_gone = item is None or item.deleted_at is not None
        return Card(
            place=place,
            name=item.sent_name if item else self.evaluation.names[row],
            split=self.evaluation.splits[row],
            item=item,
            taught=taught,
            labels=sorted(label.name for label in item.labels) if item else taught,
            guesses=[
                replace(guess, label=self.today.get(guess.label, guess.label))
                for guess in mistakes.guesses(self.evaluation, row)
            ],
            suggested=suggested,
            state="removed" if is_gone else self.states.get(row) or self._settled(queue, row),
            alike=queue.alike.get(row, []),
        )

    def _suggest(self, queue: Queue, row: int) -> list[str] | None:
        """Return the labels that the item should rather bear, where the dataset has them all."""
        suggested = mistakes.suggest(self.evaluation, row, queue.name, queue.cell)
        if suggested is None:
            return None
        suggested = renaming.rename(suggested, self.today)
        return suggested if self.names.issuperset(suggested) else None

    def _settled(self, queue: Queue, row: int) -> str | None:
        return SETTLED if queue.name == "alike" and row not in queue.alike else None

    def look_alikes(self, queue: Queue, item: Item) -> list[Item]:
        """Return the judged items found to look like one, in the queue of look-alikes; in others none."""
        findings = examining.find(self.dataset) if queue.name == "alike" else None
        pairs = [{pair["first"], pair["second"]} for pair in findings.pairs] if findings else []
        ids = {one for pair in pairs if item.id in pair for one in pair} - {item.id}
        theirs = select(Item).where(Item.dataset_id == self.dataset.id, Item.id.in_(ids))
        return [one for one in db.session.scalars(theirs) if one.sha256 in self.evaluation.places]

    def confusions(self) -> list[tuple[Cell, int]]:
        """Return the cells in which the version erred most often, with how often, CELLS_SHOWN at most."""
        by = evaluations.judged_by(self.version)
        if self.evaluation.has_several:
            words = evaluations.DECISIONS[1:]
            worst = _largest(self.evaluation.count_decisions(by)[:, 1:])
            return [(Cell(label=row, decision=words[column]), count) for row, column, count in worst]
        worst = _largest(self._confused(by))
        return [(Cell(true=row, predicted=column), count) for row, column, count in worst]

    def _confused(self, by: str) -> np.ndarray:
        """Return int (labels, labels): how often each was taken for each other."""
        here, size = self.evaluation.by == by, len(self.evaluation.labels)
        truth, said = (part[here].argmax(axis=1) for part in (self.evaluation.truth, self.evaluation.said))
        wrong = truth != said
        return np.bincount(truth[wrong] * size + said[wrong], minlength=size * size).reshape(size, size)


def _largest(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (row, column, count) of the largest counts that are not nothing."""
    order = np.argsort(-counts, axis=None, kind="stable")[:CELLS_SHOWN]
    places = zip(*np.unravel_index(order, counts.shape), strict=True)
    return [
        (int(row), int(column), int(counts[row, column])) for row, column in places if counts[row, column]
    ]


def workspace_or_none(dataset: Dataset, version: Version) -> Workspace | None:
    """Return the place to work on a version's mistakes; None where its judgements can't be read."""
    evaluation = evaluations.of(version)
    return Workspace(dataset, version, evaluation) if evaluation else None


def workspace(dataset: Dataset, version: Version) -> Workspace:
    """Return the same; abort with 404 where there is none."""
    why = "What this version said of its images can't be read. Train again to see its mistakes."
    return workspace_or_none(dataset, version) or abort(404, why)
