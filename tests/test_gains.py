"""What more images would bring: the learning curve, its power law, and the gain of each label."""

from __future__ import annotations

import numpy as np
import pytest

from learning import curves, gains, heads
from learning.calibration import MULTI, SINGLE


def draw(counts: list[int], spread: float = 0.8, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (items, 24) of labels, the last two of which lie near each other, and their targets."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), 24))
    centres[-1] = centres[-2] + 0.25 * rng.normal(size=24)
    embeddings = centres[truth] + spread * rng.normal(size=(len(truth), 24))
    return embeddings.astype(np.float32), np.eye(len(counts))[truth]


@pytest.fixture(scope="module")
def curve() -> curves.Curve:
    return curves.measure(*draw([60, 60, 60, 60]))


def test_the_curve_rises_to_what_leave_one_out_says_of_all_images(curve):
    embeddings, targets = draw([60, 60, 60, 60])
    whole = heads.solve(embeddings, targets).leave_one_out
    assert curve.sizes[-1] == 240
    assert curve.scores[-1] == pytest.approx((whole.argmax(1) == targets.argmax(1)).mean())
    assert curve.scores[0] < curve.scores[-1]


def test_every_point_lies_in_its_interval_and_so_does_what_doubling_brings(curve):
    assert (curve.intervals[:, 0] <= curve.scores).all()
    assert (curve.scores <= curve.intervals[:, 1]).all()
    middle, low, high = curve.doubled
    assert 0 <= low <= middle <= high <= 1
    assert middle >= curve.scores[-1]


def test_a_power_law_is_found_again():
    sizes = np.array([50, 100, 200, 400, 800])
    scores = 1 - (0.05 + 2.0 * sizes**-0.5)
    rng = np.random.default_rng(1)
    values = [[(rng.permutation(4_000) < score * 4_000).astype(float)] for score in scores]
    found = curves.fit(sizes, values, rng)
    assert found.exponent == pytest.approx(0.5, abs=0.11)
    assert found.expect(np.array([1_600]))[0] == pytest.approx(1 - (0.05 + 2.0 / 40), abs=0.01)


def test_the_law_promises_no_fewer_errors_than_none_and_no_loss(curve):
    assert curve.asymptote >= 0
    assert curve.factor >= 0


def test_a_beginning_of_an_order_has_every_label_by_its_share():
    targets = np.eye(3)[np.repeat([0, 1, 2], [80, 40, 40])]
    order = curves.mix(targets, np.random.default_rng(0))
    assert targets[order[:40]].sum(axis=0).tolist() == pytest.approx([20, 10, 10], abs=1)


def test_of_several_labels_the_mean_of_the_ratings_is_micro_f1():
    rng = np.random.default_rng(2)
    targets, said = rng.random((50, 4)) < 0.4, rng.random((50, 4)) < 0.4
    hits = (said & targets).sum()
    f1 = 2 * hits / (said.sum() + targets.sum())
    assert curves.rate(MULTI, said, targets.astype(float)).mean() == pytest.approx(f1)


def test_a_label_too_rare_for_small_parts_is_no_obstacle():
    embeddings, targets = draw([60, 60, 3])
    assert len(curves.measure(embeddings, targets).scores) >= 3


def test_no_label_with_images_enough_has_a_gain_told():
    assert gains.measure(*draw([5] * 10), 0.5) == []


def test_parts_in_which_no_image_has_a_label_are_no_obstacle():
    embeddings, _ = draw([200, 200])
    targets = np.zeros((400, 2))
    targets[[7, 209], [0, 1]] = 1
    curve = curves.measure(embeddings, targets, MULTI)
    assert curve.scores[0] == 0
    assert np.isfinite(curve.intervals).all()


def test_several_labels_an_image_have_a_curve_and_gains_too():
    embeddings, single = draw([50, 50, 50])
    targets = single + np.roll(single, 1, axis=1) * (np.arange(150)[:, np.newaxis] % 2)
    curve = curves.measure(embeddings, targets, MULTI)
    assert 0 < curve.scores[-1] <= 1
    assert len(gains.measure(embeddings, targets, 0.5, MULTI)) == 3


def test_taking_images_away_gives_what_solving_anew_without_them_gives():
    embeddings, targets = draw([40, 40, 40])
    solution = heads.solve(embeddings, targets)
    matrix = gains._find_hat(embeddings, solution.head.strength)
    hat = gains._Hat(matrix, targets, matrix @ targets, solution.head.calibration, SINGLE)
    removed, rest = np.arange(90, 120), np.arange(90)
    anew = heads.solve_again(embeddings[rest], targets[rest], solution.head).probabilities(embeddings)
    anew[:, 2] *= 40 / 10
    wanted = (anew.argmax(axis=1) == targets.argmax(axis=1))[removed]
    assert hat.rate_without(removed, 2)[removed].tolist() == wanted.tolist()


def test_labels_that_are_confused_gain_most_from_more_images():
    embeddings, targets = draw([60, 60, 30, 30], spread=0.55)
    found = gains.measure(embeddings, targets, 0.5)
    assert {gain.label for gain in found[:2]} == {2, 3}
    assert found[0].gain > 0
    assert all(gain.interval[0] <= gain.gain <= gain.interval[1] for gain in found)


def test_no_label_stands_out_where_all_are_alike():
    embeddings, targets = draw([60, 60, 60], spread=0.1)
    assert not any(gain.stands_out for gain in gains.measure(embeddings, targets, 0.5))


def test_a_label_with_few_images_has_no_gain_told():
    embeddings, targets = draw([60, 60, gains.LEAST - 1])
    assert {gain.label for gain in gains.measure(embeddings, targets, 0.5)} == {0, 1}
