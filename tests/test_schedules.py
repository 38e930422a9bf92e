"""Schedules: the learning rate of each step, and how many steps fit into the time."""

from __future__ import annotations

import pytest

from learning.tuning.schedules import find_rate, one_cycle, plan


def planned(count=160, **given):
    times = {"seconds": 100.0, "step_seconds": 1.0, "check_seconds": 0.0} | given
    return plan(count, 16, 30, 0.001, **times)


def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [one_cycle(step, 100, 0.5) for step in range(100)]
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == 25
    assert rates[0] == pytest.approx(0.02)
    assert rates[-1] < 0.001
    assert sorted(rates[:26]) == rates[:26]
    assert sorted(rates[25:], reverse=True) == rates[25:]


def test_one_step_in_all_is_a_step_too():
    assert one_cycle(0, 1, 0.5) > 0


def test_as_many_epochs_are_planned_as_fit():
    assert (planned().epochs, planned().steps) == (10, 10)
    assert planned(check_seconds=15.0).epochs == 4


def test_no_more_epochs_are_planned_than_were_asked_for():
    assert planned(seconds=10_000.0).epochs == 30


def test_a_part_of_an_epoch_is_planned_where_not_one_fits():
    assert (planned(16_000).epochs, planned(16_000).steps) == (1, 100)


def test_something_is_learnt_even_where_the_time_is_up():
    assert planned(seconds=-5.0).total >= 1


def test_the_suggested_rate_lies_below_the_one_where_the_loss_bursts():
    def loss_at(rate):
        return 1.0 - 20 * rate if rate < 0.02 else 1000 * rate

    tried = list(find_rate(loss_at))
    assert [suggested for *_, suggested in tried[:-1]] == [None] * (len(tried) - 1)
    assert 1e-4 < tried[-1][2] < 0.02
    assert tried[-1][0] < 0.3
