"""The intervals of each label's precision and recall, told from the figures of versions of any age."""

from __future__ import annotations

import numpy as np
import pytest

from learning import multilabel
from learning.evaluation import evaluate
from learning.intervals import wilson_interval
from web.sureness import with_intervals


def test_precision_is_as_sure_as_often_as_the_label_was_said():
    truth, said = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])
    first, second = with_intervals(evaluate(np.eye(2)[said], truth, ["a", "b"]))
    assert first["precision_interval"] == wilson_interval(2, 2)
    assert second["precision_interval"] == wilson_interval(3, 4)


def test_recall_is_as_sure_as_there_are_images_of_the_label():
    truth, said = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert with_intervals(evaluate(np.eye(2)[said], truth, ["a", "b"]))[0][
        "recall_interval"
    ] == wilson_interval(2, 3)


def test_a_label_that_was_never_said_or_never_borne_has_no_interval():
    block = evaluate(np.eye(2)[[0, 0]], np.array([0, 0]), ["a", "b"])
    row = with_intervals(block)[1]
    assert (row["precision_interval"], row["recall_interval"]) == (None, None)


def test_of_several_labels_how_often_one_was_said_is_told_from_its_precision():
    targets = np.array([[1, 0], [1, 0], [1, 0], [0, 0]])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.1], [0.8, 0.1]])
    row = with_intervals(multilabel.evaluate(probabilities, targets, ["a", "b"]))[0]
    assert row["precision_interval"] == pytest.approx(wilson_interval(2, 3))


def test_a_version_without_figures_of_labels_has_none():
    assert with_intervals({}) == []
