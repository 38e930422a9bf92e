"""What was found in a dataset by looking through it (jobs/examining.py), in words and with today's items."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from jobs import examining
from models import Dataset, Item, db
from serving.findings import Findings
from web.formats import count, percent

# By what a label is given away: what its images are where the number is lower, where it is higher, what it is
TELLTALES = {
    "brightness": ("darker than the others", "brighter than the others", "brightness"),
    "area": ("smaller than the others", "larger than the others", "size in pixels"),
    "shape": ("taller than the others", "wider than the others", "shape"),
    "bytes": ("smaller files than the others", "larger files than the others", "file size"),
}
REMEDY = "Add images of “{}” that are like the others in this, or others that are like them."


@dataclass(frozen=True)
class Odd:
    """Something that speaks against the figures of whatever learns from these images.

    Attributes:
        kind: imbalance, few, two_labels, two_splits or telltale.
        text: for a person.
        labels: names of the labels that it is about.
    """

    kind: str
    text: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two items of today that look alike, and by what they differ."""

    first: Item
    second: Item
    cosine: float
    is_other_label: bool
    is_other_split: bool


def look_up(dataset: Dataset) -> list[Odd]:
    """Say what was found odd; nothing where nobody has looked."""
    findings = examining.find(dataset)
    return (
        [] if findings is None else [*say_pairs(pairs_of(dataset, findings)), *telltales(dataset, findings)]
    )


def pairs_of(dataset: Dataset, findings: Findings) -> list[Pair]:
    """Return the pairs that look alike and still differ in labels or splits, those across labels first."""
    wanted = {pair[side] for pair in findings.pairs for side in ("first", "second")}
    query = select(Item).where(Item.dataset_id == dataset.id, Item.id.in_(wanted), Item.deleted_at.is_(None))
    items = {item.id: item for item in db.session.scalars(query)}
    known = [pair for pair in findings.pairs if pair["first"] in items and pair["second"] in items]
    pairs = [_pair(items[pair["first"]], items[pair["second"]], pair["cosine"]) for pair in known]
    differing = [pair for pair in pairs if pair.is_other_label or pair.is_other_split]
    return sorted(differing, key=lambda pair: (not pair.is_other_label, -pair.cosine))


def _pair(first: Item, second: Item, cosine: float) -> Pair:
    labels = [{link.label_id for link in item.label_links} for item in (first, second)]
    return Pair(first, second, cosine, labels[0] != labels[1], first.split != second.split)


def say_pairs(pairs: list[Pair]) -> list[Odd]:
    """Say how many pairs there are of each kind."""
    labels, splits = (
        sum(getattr(pair, name) for pair in pairs) for name in ("is_other_label", "is_other_split")
    )
    found = []
    if labels:
        verbs = "looks alike but bears" if labels == 1 else "look alike but bear"
        words = f"{count(labels, 'pair')} of images {verbs} different labels"
        found.append(Odd("two_labels", f"{words}: see whether one of the two is wrong."))
    if splits:
        verb = "stands" if splits == 1 else "stand"
        words = f"{count(splits, 'pair')} of images that look alike {verb} in different splits"
        reason = "what is learnt from one helps to guess the other, so figures may look better than they are"
        found.append(Odd("two_splits", f"{words}: {reason}."))
    return found


def telltales(dataset: Dataset, findings: Findings) -> list[Odd]:
    """Say which labels one plain number gives away."""
    names = {label.id: label.name for label in dataset.labels}
    return [
        Odd("telltale", _say_telltale(names[found["label"]], found), (names[found["label"]],))
        for found in findings.telltales
        if found["label"] in names
    ]


def _say_telltale(name: str, found: dict) -> str:
    lower, higher, what = TELLTALES[found["number"]]
    low, high = found["interval"]
    side = lower if found["own"] < found["others"] else higher
    return (
        f"Images of “{name}” are {side}: {what} alone tells them from the others "
        f"{percent(found['accuracy'])} of the time ({percent(low)} to {percent(high)}). "
        f"The classifier may learn {what} instead of what you mean. {REMEDY.format(name)}"
    )
