"""The quick recipe learns several labels an image, also where hardly anything shows them."""

import numpy as np
import pytest

from learning import evaluation, quick

LABELS = ["beach", "sea", "rare", "never", "always"]


def make(items=300, size=40, seed=0):
    """Embeddings in which beach and sea show plainly; one item is rare, none is never, all are always."""
    random = np.random.default_rng(seed)
    targets = np.zeros((items, 5))
    targets[:, :2] = random.random((items, 2)) < 0.4
    targets[7, 2] = targets[:, 4] = 1
    centres = random.normal(size=(2, size))
    embeddings = targets[:, :2] @ centres + 0.5 * random.normal(size=(items, size))
    return embeddings.astype(np.float32), targets


@pytest.fixture(scope="module")
def outcome():
    embeddings, targets = make()
    return quick.learn(LABELS, targets, embeddings, 240, task="multi-label")


def test_labels_that_show_are_learnt_and_the_test_split_says_so(outcome):
    for block in (outcome.metrics["leave_one_out"], outcome.metrics["test"]):
        figures = {row["label"]: row["f1"] for row in block["labels"]}
        assert min(figures["beach"], figures["sea"], figures["always"]) > 0.95
    assert outcome.metrics["test"]["items"] == 60
    assert outcome.metrics["score"]["name"] == "micro_f1"


def test_labels_that_hardly_any_item_has_give_finite_numbers_and_are_not_said(outcome):
    assert np.isfinite(outcome.probabilities).all()
    _, _, rare, never, always = outcome.metrics["leave_one_out"]["labels"]
    assert rare["precision"] == never["precision"] == 0
    assert never["average_precision"] is None
    assert always["recall"] == 1


def test_figures_are_those_of_the_thresholds_that_travel_with_the_version(outcome):
    _, targets = make()
    thresholds = outcome.head.calibration.thresholds
    again = evaluation.measure("multi-label", outcome.probabilities[240:], targets[240:], LABELS, thresholds)
    assert again == outcome.metrics["test"]


def test_no_labels_at_all_is_an_answer_that_can_be_learnt():
    embeddings, targets = make()
    targets[:100, :] = 0
    embeddings[:100] = np.random.default_rng(1).normal(size=(100, 40)) * 0.5
    outcome = quick.learn(LABELS[:2], targets[:, :2], embeddings, len(targets), task="multi-label")
    said = outcome.head.calibration.decide(outcome.head.probabilities(embeddings[:100]))
    assert said.mean() < 0.1
