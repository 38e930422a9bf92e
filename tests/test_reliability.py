"""Expected calibration error, against a plain computation of it, and what chance alone would show."""

from __future__ import annotations

import numpy as np
import pytest

from learning import calibration, evaluation, reliability
from learning.calibration import Calibration


def draw(count: int, labels: int = 4, sharpness: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truth drawn with exactly the probabilities that they say."""
    random = np.random.default_rng(seed)
    logits = sharpness * random.normal(size=(count, labels))
    drawn = [random.choice(labels, p=row) for row in calibration.softmax(logits)]
    return logits, np.eye(labels)[drawn]


def plain_error(said, right) -> float:
    """As in Guo et al. 2017, bin by bin."""
    total = 0.0
    for low in range(15):
        inside = [(p, r) for p, r in zip(said, right, strict=True) if low / 15 < p <= (low + 1) / 15]
        if inside:
            total += abs(sum(p for p, _ in inside) - sum(r for _, r in inside))
    return total / len(said)


def test_the_error_is_that_of_guo_and_others():
    logits, truth = draw(300)
    probabilities = calibration.softmax(1.7 * logits)
    said = probabilities.max(axis=1)
    right = truth[np.arange(300), probabilities.argmax(axis=1)]
    found = reliability.measure("single-label", probabilities, truth)
    assert found.error == pytest.approx(plain_error(said, right))
    assert found.error == pytest.approx(reliability.find_error("single-label", probabilities, truth))
    assert (found.said, found.right) == pytest.approx((said.mean(), right.mean()))
    assert sum(part.count for part in found.bins) == found.items == found.decisions == 300


def test_of_several_labels_every_decision_counts():
    random = np.random.default_rng(0)
    probabilities = random.random((200, 3))
    truth = random.random((200, 3)) < probabilities
    found = reliability.measure("multi-label", probabilities, truth)
    assert (found.items, found.decisions) == (200, 600)
    assert found.error == pytest.approx(plain_error(probabilities.ravel(), truth.ravel()))


@pytest.mark.parametrize("count", [100, 5_000])
def test_what_is_calibrated_perfectly_is_within_chance_and_its_interval_begins_at_nothing(count):
    logits, truth = draw(count)
    found = reliability.measure("single-label", calibration.softmax(logits), truth)
    assert found.is_within_chance
    assert found.interval[0] == 0
    assert found.chance[0] == pytest.approx(0.09 if count == 100 else 0.013, rel=0.3)


@pytest.mark.parametrize("count", [500, 5_000])
def test_what_is_far_too_sure_of_itself_is_not_within_chance(count):
    logits, truth = draw(count)
    found = reliability.measure("single-label", calibration.softmax(5 * logits), truth)
    assert not found.is_within_chance
    assert 0 < found.interval[0] < found.error < found.interval[1] + found.chance[0]


def test_the_same_predictions_give_the_same_interval():
    logits, truth = draw(200)
    first, second = (
        reliability.measure("single-label", calibration.softmax(logits), truth) for _ in range(2)
    )
    assert first == second


def test_the_temperature_can_be_undone_from_what_evaluation_json_keeps():
    logits, _ = draw(50, sharpness=0.2)
    calibrated = Calibration("single-label", temperature=0.1)
    kept = evaluation.round_figures(calibrated.probabilities(logits))
    before = reliability.uncalibrated(calibrated, kept)
    assert before == pytest.approx(calibration.softmax(logits), abs=1e-5)


def test_scales_and_offsets_can_be_undone_and_a_label_of_which_nothing_was_learnt_says_half():
    logits, _ = draw(50, 3)
    calibrated = Calibration("multi-label", 1.0, (3.0, 0.5, 0.0), (-2.0, 1.0, 0.3), (0.5,) * 3)
    before = reliability.uncalibrated(calibrated, calibrated.probabilities(logits))
    assert before[:, :2] == pytest.approx(calibration.sigmoid(logits[:, :2]), abs=1e-5)
    assert before[:, 2] == pytest.approx(0.5)


def test_figures_are_kept_to_six_significant_digits():
    kept = evaluation.round_figures(np.array([0.0, 1.0, 1 / 3, 9.87654321e-8, 1e-16]))
    assert kept.tolist() == [0.0, 1.0, 0.333333, 9.87654e-08, 0.0]


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_every_measured_block_tells_its_error(task):
    logits, truth = draw(60)
    probabilities = calibration.softmax(logits)
    block = evaluation.measure(task, probabilities, truth, list("abcd"))
    assert block["calibration_error"] == pytest.approx(reliability.measure(task, probabilities, truth).error)
