"""Which judged items are worth a look: their order, what is suggested, what is shown of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving import mistakes
from serving.evaluations import Evaluation
from serving.mistakes import Cell

LABELS = ["glass", "metal", "paper"]


def evaluation(probabilities, truth, thresholds=None) -> Evaluation:
    """What a version said of as many items, all judged by leave-one-out."""
    shares = np.array(probabilities, dtype=np.float32)
    likeliest = np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, np.newaxis]
    names = [str(row) for row in range(len(shares))]
    return Evaluation(
        labels=LABELS,
        hashes=names,
        names=names,
        splits=["train"] * len(shares),
        by=np.array(["leave_one_out"] * len(shares)),
        truth=np.array(truth, dtype=bool),
        said=likeliest if thresholds is None else shares >= np.array(thresholds, dtype=np.float32),
        probabilities=shares,
        has_several=thresholds is not None,
        thresholds=thresholds,
    )


@pytest.fixture
def single():
    """Three items: rightly called glass; glass called metal, surely; paper called glass, hardly."""
    shares = [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.4, 0.25, 0.35]]
    return evaluation(shares, [[1, 0, 0], [1, 0, 0], [0, 0, 1]])


@pytest.fixture
def several():
    """Three items: all right; one label missed by a hair's breadth; one said that it has not."""
    shares = [[0.9, 0.01, 0.01], [0.9, 0.44, 0.01], [0.9, 0.02, 0.95]]
    return evaluation(shares, [[1, 0, 0], [1, 1, 0], [1, 0, 0]], (0.5, 0.45, 0.5))


def rows(of, queue, **cell) -> list[int]:
    return mistakes.rows_of(of, queue, Cell(**cell), "leave_one_out").tolist()


def test_the_surest_mistake_comes_first(single):
    assert rows(single, "wrong") == [1, 2]


def test_unsure_is_where_the_two_likeliest_labels_lie_close(single):
    assert rows(single, "unsure") == [2]


def test_unsure_of_several_labels_is_where_one_is_near_its_threshold(several):
    assert rows(several, "unsure") == [1]


def test_a_low_threshold_makes_nothing_unsure_that_is_surely_not_there():
    assert rows(evaluation([[0.001, 0.001, 0.9]], [[0, 0, 1]], (0.05, 0.05, 0.5)), "unsure") == []


def test_a_label_that_is_always_said_makes_nothing_unsure():
    assert rows(evaluation([[0.05, 0.001, 0.9]], [[1, 0, 1]], (0.0, 0.5, 0.5)), "unsure") == []


def test_a_cell_gives_its_items_alone(single, several):
    assert rows(single, "cell", true=0, predicted=1) == [1]
    assert rows(several, "cell", label=1, decision="missed") == [1]


def test_nothing_is_unsure_of_a_version_without_items():
    nothing = evaluation(np.zeros((0, 3)), np.zeros((0, 3)))
    assert rows(nothing, "unsure") == rows(nothing, "suspects") == []


def test_the_likeliest_label_is_suggested_where_another_was_taught(single):
    assert [mistakes.suggest(single, row) for row in range(3)] == [None, ["metal"], ["glass"]]


def test_of_several_labels_what_was_said_is_suggested(several):
    assert [mistakes.suggest(several, row) for row in range(3)] == [None, ["glass"], ["glass", "paper"]]


def test_in_a_cell_of_one_label_only_that_label_is_suggested_or_taken(several):
    missed, wrongly = Cell(label=1, decision="missed"), Cell(label=2, decision="wrongly")
    assert mistakes.suggest(several, 1, "cell", missed) == ["glass"]
    assert mistakes.suggest(several, 2, "cell", wrongly) == ["glass", "paper"]
    assert mistakes.suggest(several, 0, "cell", Cell(label=0, decision="found")) is None


def test_taking_the_last_label_is_a_suggestion_too():
    of = evaluation([[0.1, 0.1, 0.1]], [[1, 0, 0]], (0.5, 0.5, 0.5))
    assert mistakes.suggest(of, 0) == []


def test_the_label_that_was_taught_is_shown_however_unlikely():
    of = evaluation([[0.6, 0.4, 0.0]], [[0, 0, 1]])
    told = mistakes.guesses(of, 0)
    assert [(guess.label, guess.is_taught, guess.is_said) for guess in told] == [
        ("glass", False, True),
        ("metal", False, False),
        ("paper", True, False),
    ]


def test_the_label_that_was_taught_is_shown_however_many_are_said():
    of = evaluation([np.linspace(1, 0, 12)], [[0] * 11 + [1]], (0.0,) * 12)
    told = mistakes.guesses(replace(of, labels=list("abcdefghijkl")), 0)
    assert "".join(guess.label for guess in told) == "abcdefghl"


def test_a_suspect_stands_in_its_queue_with_its_suggestion():
    shares = [[0.9, 0.1, 0.0]] * 9 + [[0.1, 0.9, 0.0]] * 9
    truth = [[1, 0, 0]] * 8 + [[0, 1, 0]] * 10
    of = evaluation(shares, truth)
    assert rows(of, "suspects") == [8]
    assert mistakes.suggest(of, 8, "suspects") == ["glass"]
