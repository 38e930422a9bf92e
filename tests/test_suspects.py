"""Suspected label errors: who is ranked first, who is called wrong, and what is suggested instead."""

from __future__ import annotations

import numpy as np
import pytest

from learning import heads, suspects
from learning.calibration import MULTI, SINGLE


@pytest.fixture
def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of 3 labels, 60 each, that overlap a little, and the labels they really have."""
    rng = np.random.default_rng(7)
    truth = np.repeat(np.arange(3), 60)
    centres = rng.normal(size=(3, 20))
    return (centres[truth] + rng.normal(size=(180, 20)) * 0.6).astype(np.float32), truth


def flip(truth: np.ndarray, share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    flipped = rng.choice(len(truth), round(share * len(truth)), replace=False)
    given = truth.copy()
    given[flipped] = (given[flipped] + rng.integers(1, 3, len(flipped))) % 3
    return given, flipped


def test_flipped_labels_lead_the_list_are_called_wrong_and_get_their_own_label_back(clusters):
    embeddings, truth = clusters
    given, flipped = flip(truth)
    targets = np.eye(3)[given]
    found = suspects.rank(heads.solve(embeddings, targets).leave_one_out, targets, SINGLE)
    assert set(flipped) <= set(found.order[:18])
    assert found.is_suspect[flipped].mean() >= 0.85
    told = flipped[found.is_suspect[flipped]]
    assert (found.suggested[told].argmax(axis=1) == truth[told]).mean() >= 0.85


def test_nothing_is_suspected_where_every_label_is_as_probable_as_usual():
    targets = np.eye(2)[[0, 0, 1, 1]]
    found = suspects.rank(np.abs(targets - 0.1), targets)
    assert not found.is_suspect.any()
    assert (found.suggested == targets).all()
    assert found.strength == pytest.approx(np.zeros(4))


def test_a_hard_label_is_measured_by_what_is_usual_for_it():
    """0.5 is usual for the second label and little for the first, whose items so go first."""
    targets = np.eye(2)[[0] * 5 + [1] * 5]
    own = [0.95, 0.95, 0.95, 0.95, 0.5, 0.5, 0.5, 0.5, 0.5, 0.55]
    probabilities = np.array([[p, 1 - p] if row < 5 else [1 - p, p] for row, p in enumerate(own)])
    assert suspects.rank(probabilities, targets).order[0] == 4


def test_strength_lies_between_0_and_1_and_falls_along_the_order(clusters):
    embeddings, truth = clusters
    targets = np.eye(3)[flip(truth)[0]]
    found = suspects.rank(heads.solve(embeddings, targets).leave_one_out, targets)
    ordered = found.strength[found.order]
    assert (np.diff(ordered) <= 0).all()
    assert 0 <= ordered.min() <= ordered.max() <= 1


def test_of_several_labels_the_wrong_one_alone_is_turned():
    truth = np.random.default_rng(5).random((200, 4)) < 0.4
    probabilities = np.where(truth, 0.9, 0.1)
    given = truth.copy()
    given[:10, 2] ^= True
    found = suspects.rank(probabilities, given, MULTI)
    assert set(found.order[:10]) == set(range(10))
    assert np.flatnonzero(found.is_suspect).tolist() == list(range(10))
    assert (found.suggested == truth).all()


@pytest.mark.parametrize("task", [SINGLE, MULTI])
def test_no_items_give_no_suspects(task):
    found = suspects.rank(np.zeros((0, 3)), np.zeros((0, 3)), task)
    assert len(found.order) == len(found.is_suspect) == len(found.strength) == 0


def test_a_label_that_nobody_bears_is_never_suggested():
    targets = np.eye(3)[[0, 0, 1, 1]]
    probabilities = np.array([[0.0, 0.0, 1.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.1, 0.9, 0.0]])
    assert not suspects.rank(probabilities, targets).suggested[:, 2].any()
