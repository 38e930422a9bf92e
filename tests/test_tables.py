"""What the terminal is told at the end of a run."""

from __future__ import annotations

import numpy as np
import pytest

from learning import evaluation, tables

LABELS = [{"label": "daisy", "precision": 0.5, "recall": 1.0, "f1": 0.667, "count": 1234}]
MEASURED = {"accuracy": 0.861, "interval": [0.83, 0.888], "items": 510, "labels": LABELS}


def test_the_table_gives_accuracy_with_its_interval_and_every_label():
    table = tables.write("flowers", {"leave_one_out": MEASURED, "test": None}, "/runs/x/package")
    assert "86.1 %  (83.0 to 88.8 %)  of 510 images" in table
    assert "daisy       0.50    1.00  0.67   1,234" in table
    assert "untouched test" not in table


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"proven": ["litert", "keras"]}, "Whole network proven in LiteRT and Keras: /out"),
        ({"proven": ["keras"]}, "Whole network proven in Keras: /out"),
        ({"proven": [], "message": "The disk is full."}, "The disk is full."),
        ({"proven": [], "message": None}, "No file of the whole network could be proven: /out"),
    ],
)
def test_the_last_line_says_which_files_were_proven(result, line):
    assert tables.write_end(result, "/out") == line


def test_several_labels_show_every_figure_with_thresholds():
    random = np.random.default_rng(0)
    targets = (random.random((50, 2)) < 0.5).astype(float)
    block = evaluation.measure("multi-label", 0.2 + 0.6 * targets, targets, ["sea", "ship"], [0.4, 0.6])
    metrics = evaluation.summarise("multi-label", leave_one_out=block, test=block)
    table = tables.write("aerial", metrics, "/runs/x/package")
    assert "Micro F1, leave-one-out   100.0 %" in table
    assert "Micro F1, untouched test  100.0 %" in table
    assert "Mean average precision" in table
    assert "ship" in table and "0.60" in table


def test_a_recipe_without_leave_one_out_shows_what_it_has():
    metrics = evaluation.summarise("single-label", validation=MEASURED)
    assert "Accuracy, validation" in tables.write("flowers", metrics, "/runs/x/package")
