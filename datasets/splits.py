"""Which split an item goes to: decided once, when it comes in, and never again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from datasets.duplicates import Neighbours

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Shares:
    """The shares of each label's items that are held back, 0 to 1; the rest trains."""

    validation: float = 0.15
    test: float = 0.15

    def of(self, split: str) -> float:
        """The share of a split."""
        return {"validation": self.validation, "test": self.test}.get(split, 1 - self.validation - self.test)


@dataclass
class Splitter:
    """Decides splits one item after another: the same items in the same order get the same splits."""

    shares: Shares
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # {label: {split: n}}; "" is unlabelled
    neighbours: Neighbours = field(default_factory=Neighbours)

    def decide(self, sha256: str, fingerprint: int, labels: Iterable[str]) -> str:
        """Return the item's split, and count it.

        A near-duplicate goes where the one it resembles is, so that no test item was nearly seen in training.

        Args:
            sha256: of the image's bytes, 64 hexadecimal digits.
            fingerprint: 64 bits, as `duplicates.fingerprint` gives it.
            labels: the item's labels; none is counted among the unlabelled.
        """
        tallies = [self.counts.setdefault(label, {}) for label in (list(labels) or [""])]
        split = self.neighbours.find_split(fingerprint) or choose(sha256, tallies, self.shares)
        self.neighbours.add(fingerprint, split)
        for tally in tallies:
            tally[split] = tally.get(split, 0) + 1
        return split


def choose(sha256: str, tallies: list[Mapping[str, int]], shares: Shares) -> str:
    """Choose a split by the content hash, weighted by what each split still lacks of the item's labels.

    So a label with a handful of items gets its shares too. Its first item always trains.
    """
    if any(not tally.get("train") for tally in tallies):
        return "train"
    lacks = [sum(_lack(tally, split, shares) for tally in tallies) for split in SPLITS]
    point = int(sha256[:12], 16) / 16**12 * sum(lacks)
    for split, lack in zip(SPLITS, lacks, strict=True):
        if point < lack:
            return split
        point -= lack
    return "train"


def _lack(tally: Mapping[str, int], split: str, shares: Shares) -> float:
    """How many items `split` is short of its share, once one more item is counted."""
    return max(0.0, shares.of(split) * (sum(tally.values()) + 1) - tally.get(split, 0))
