"""Whether two classifiers that judged the same items differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEVEL = 0.05  # a difference that chance brings less often than this is called real


@dataclass(frozen=True)
class Comparison:
    """Two classifiers, a and b, on the items that both were tested on.

    Attributes:
        items: how many that are.
        both, only_a, only_b: how many of them both, a alone and b alone got right.
        p: the probability, 0 to 1, of a difference at least this large if neither were better.
    """

    items: int
    both: int
    only_a: int
    only_b: int
    p: float

    @property
    def lead(self) -> int:
        """On how many more of the items b is right than a; negative where a is ahead."""
        return self.only_b - self.only_a

    @property
    def is_real(self) -> bool:
        """Whether the difference is more than chance (at the 5 % level)."""
        return self.p < LEVEL

    def chance(self) -> str:
        """Whether it is more than chance, in words: “no more than chance may bring (p = 0.250)”."""
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        return f"{'more' if self.is_real else 'no more'} than chance may bring ({p})"


def compare(first: Mapping[str, bool], second: Mapping[str, bool]) -> Comparison:
    """Compare two classifiers on the items both have judged.

    Args:
        first, second: item (any key) -> whether a, or b, judged it right.
    """
    shared = first.keys() & second.keys()
    both = sum(first[item] and second[item] for item in shared)
    only_a = sum(first[item] and not second[item] for item in shared)
    only_b = sum(second[item] and not first[item] for item in shared)
    return Comparison(len(shared), both, only_a, only_b, mcnemar_exact(only_a, only_b))


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided p of McNemar's exact test, 0 to 1.

    The items on which the two disagree fall to either side like tosses of a fair coin if neither is better,
    so that p is twice the binomial tail, at most 1 (McNemar 1947, Psychometrika 12, 153; in its exact
    conditional form as in Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91).

    Args:
        only_a, only_b: how many items a alone, and b alone, judged right; 0 or more.
    """
    count = only_a + only_b
    tail = term = 1  # whole numbers, so that nothing is rounded away however large the set
    for successes in range(min(only_a, only_b)):
        term = term * (count - successes) // (successes + 1)
        tail += term
    return min(1.0, 2 * tail / 2**count)
