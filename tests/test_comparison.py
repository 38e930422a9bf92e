"""Whether two versions differ by more than chance."""

from __future__ import annotations

import math

import pytest

from learning.comparison import compare, mcnemar_exact


def judged(rights: str) -> dict[str, bool]:
    """Item 0, 1, 2 …, right where the text has a 1."""
    return {str(place): letter == "1" for place, letter in enumerate(rights)}


# p by hand: 2 · Σ C(n, k) / 2ⁿ for k up to the smaller side
@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (0, 1, 1.0), (0, 5, 2 / 32), (0, 6, 2 / 64), (1, 8, 2 * 10 / 512), (4, 4, 1.0)],
)
def test_the_exact_test_gives_the_binomial_tail(only_a, only_b, p):
    assert mcnemar_exact(only_a, only_b) == pytest.approx(p)
    assert mcnemar_exact(only_b, only_a) == mcnemar_exact(only_a, only_b)


def test_a_large_set_overflows_nothing():
    assert 0 < mcnemar_exact(5_000, 5_300) < 0.01
    assert mcnemar_exact(0, 5_000) == 0.0
    assert math.isclose(mcnemar_exact(2_000, 2_000), 1.0)


def test_only_what_both_have_judged_is_compared():
    found = compare(judged("1100"), {**judged("1011"), "elsewhere": True})
    assert (found.items, found.both, found.only_a, found.only_b) == (4, 1, 1, 2)
    assert found.lead == 1
    assert not found.is_real


def test_a_difference_that_chance_seldom_brings_is_real():
    assert compare(judged("0" * 6), judged("1" * 6)).is_real
    assert not compare(judged("0" * 5), judged("1" * 5)).is_real


def test_nothing_in_common_is_no_difference():
    found = compare({"a": True}, {"b": True})
    assert (found.items, found.p, found.is_real) == (0, 1.0, False)
