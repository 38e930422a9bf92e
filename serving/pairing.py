"""Two versions on the items that both have judged: which is right on more, and is that more than chance.

Read from the evaluation.json of their run folders, so that it can be said of any two versions, old ones too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

from datasets import renaming
from learning.comparison import Comparison, compare
from models import Version
from serving import evaluations

TEST, OUT_OF_SAMPLE = "test", "out-of-sample"
IMAGES = {TEST: "test image", OUT_OF_SAMPLE: "image"}


class Judged(NamedTuple):
    """How one item was judged: its labels then, as they are called today, and whether that was right.

    `is_test`: whether it was a test item.
    """

    labels: frozenset[str]
    is_right: bool
    is_test: bool


@dataclass(frozen=True)
class Pair:
    """Two versions on the items they share.

    Attributes:
        moved: how many of those bore other labels in the one than in the other; left out.
        unshared: how many only one of them has judged; left out.
        by: `test`: test items alone; `out-of-sample`: all that each judged without having learnt from it.
    """

    first: Version
    second: Version
    found: Comparison
    moved: int
    unshared: int
    by: str = TEST

    @property
    def images(self) -> str:
        """How many items they share, in words."""
        return f"{self.found.items:,} {IMAGES[self.by]}{'' if self.found.items == 1 else 's'}"

    def words(self) -> str:
        """What came out, as sentences."""
        if not self.found.items:
            return f"These two have no {IMAGES[self.by]} in common, so they can't be compared image by image."
        return f"{self._lead()} {self._verdict()}"

    def _lead(self) -> str:
        items = f"the same {self.images}"
        if not self.found.lead:
            numbers = f"{self.first.number} and {self.second.number}"
            return f"Versions {numbers} are right equally often on {items}."
        ahead = self.second if self.found.lead > 0 else self.first
        return f"Version {ahead.number} is right on {abs(self.found.lead):,} more of {items}."

    def _verdict(self) -> str:
        if not self.found.lead:
            return "There is no difference between them to judge (p = 1.000)."
        return f"That is {self.found.chance()}."


def pair(first: Version, second: Version, by: str = TEST) -> Pair:
    """Compare two versions of a dataset on the items that both have judged, as `by` says."""
    one, other = (_chosen(version, by) for version in (first, second))
    shared = one.keys() & other.keys()
    same = [item for item in shared if one[item].labels == other[item].labels]
    found = compare(*({item: side[item].is_right for item in same} for side in (one, other)))
    return Pair(first, second, found, len(shared) - len(same), len(one.keys() ^ other.keys()), by)


def pair_best(first: Version, second: Version) -> Pair:
    """Compare them on the test items they share; where there are none, on all that both judged unlearnt."""
    tested = pair(first, second)
    return tested if tested.found.items else pair(first, second, OUT_OF_SAMPLE)


def _chosen(version: Version, by: str) -> dict[str, Judged]:
    judged = _read(version)
    return {item: one for item, one in judged.items() if one.is_test or by == OUT_OF_SAMPLE}


def _read(version: Version) -> dict[str, Judged]:
    """Each item as the version judged it, by hash; empty where that can't be read.

    Of one label the likeliest counts, said or not: a threshold is somebody's wish, and no skill. Of several
    every decision must be right, so that one item counts once.
    """
    found = evaluations.of(version)
    if found is None:
        return {}
    is_right = (found.said == found.truth).all(axis=1).tolist()
    today = renaming.names_taught(version.run)
    called = {labels: frozenset(renaming.rename(labels, today)) for labels in set(found.taught)}
    rows = zip(map(called.get, found.taught), is_right, (found.by == TEST).tolist(), strict=True)
    return dict(zip(found.hashes, itertools.starmap(Judged, rows), strict=True))
