"""What every threshold costs and brings, suggestions, and the choice kept in the package."""

from __future__ import annotations

import numpy as np
import pytest

from learning import thresholds
from learning.calibration import decide
from learning.package import FORMAT, FORMAT_VERSION, PackageDamaged, read_spec, write_spec

LABELS = list("abcd")


def draw(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truth drawn by them; float32 as an evaluation is read."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(4, 0.5), size=count).round(6)
    drawn = [random.choice(4, p=row / row.sum()) for row in probabilities]
    return probabilities.astype(np.float32), np.eye(4)[drawn] > 0.5


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("limits", [[0.0] * 4, [0.5] * 4, [0.3, 0.9, 0.0, 0.777], [1.0] * 4])
def test_every_count_is_that_of_deciding_item_by_item(task, limits):
    probabilities, truth = draw()
    table = thresholds.count(task, probabilities, truth)
    said = decide(task, probabilities.astype(np.float64).round(6), limits)
    steps = [thresholds.to_step(limit) for limit in limits]
    found = table.total(steps)
    assert (found.said, found.right) == (said.sum(), (said & truth).sum())
    assert found.of == (300 if task == "single-label" else truth.sum())
    for place in range(4):
        one = table.label(place, steps[place])
        assert (one.said, one.right) == (said[:, place].sum(), (said & truth)[:, place].sum())
        assert one.of == truth[:, place].sum()


def test_a_present_threshold_between_two_steps_is_counted_exactly():
    probabilities = np.array([[0.4562], [0.4564], [0.457], [0.3]], dtype=np.float32)
    truth = np.array([[True], [True], [False], [True]])
    table = thresholds.count("multi-label", probabilities, truth, [0.4563])
    found = table.total([thresholds.to_step(0.4563)])
    assert (found.said, found.right, found.of) == (2, 1, 3)
    assert table.total([456]).said == 3


def test_a_threshold_counts_from_the_step_that_is_no_lower():
    assert [thresholds.to_step(limit) for limit in (0, 0.7, 0.7001, 0.29, 1)] == [0, 700, 701, 290, 1000]


def test_precision_recall_and_f1_count_what_is_left_open_as_missed():
    found = thresholds.Totals(said=80, right=76, of=100)
    assert (found.wrong, found.share, found.precision, found.recall) == (4, 0.8, 0.95, 0.76)
    assert found.f1 == pytest.approx(2 * 0.95 * 0.76 / (0.95 + 0.76))
    assert found.interval[0] < 0.95 < found.interval[1]


def test_nothing_said_has_no_precision():
    assert thresholds.Totals(0, 0, 10).precision is None


def test_no_step_has_a_greater_f1_than_the_suggested_ones():
    table = thresholds.count("single-label", *draw())
    suggested = thresholds.suggest_best_f1(table)
    for place, limit in enumerate(suggested):
        best = max(table.label(place, step).f1 for step in range(1001))
        assert table.label(place, thresholds.to_step(limit)).f1 == pytest.approx(best)


def test_where_leaving_open_never_helps_the_suggestion_is_always_to_answer():
    truth = np.eye(4)[np.arange(40) % 4] > 0.5
    table = thresholds.count("single-label", 0.6 * truth + 0.1, truth)
    assert thresholds.suggest_best_f1(table) == [0.0] * 4


@pytest.mark.parametrize("share", thresholds.TARGETS)
def test_the_suggested_threshold_is_the_lowest_at_which_so_much_is_right(share):
    table = thresholds.count("single-label", *draw())
    limit = thresholds.suggest_right(table, share)
    steps = range(1001)
    enough = [step for step in steps if (table.total([step] * 4).precision or 0) >= share]
    assert thresholds.to_step(limit) == enough[0]


def test_a_share_that_is_never_reached_has_no_threshold():
    probabilities, truth = draw()
    table = thresholds.count("single-label", probabilities, np.zeros_like(truth))
    assert thresholds.suggest_right(table, 0.9) is None


@pytest.fixture
def package(tmp_path):
    """Write package.json of a task with the given thresholds; return the folder."""

    def make(task="single-label", limits=(), **more):
        row = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "count": 3, "average_precision": 1.0}
        rows = [{**row, "label": name, "threshold": 0.5} for name in LABELS]
        block = {"items": 9, "labels": rows, "confusion": [[0] * 4] * 4, "interval": [0, 1], "accuracy": 1.0}
        if task == "multi-label":
            block |= {"micro_f1": 1.0, "binary_accuracy": 1.0, "exact_accuracy": 1.0}
            more |= {"scales": [1.0] * 4, "offsets": [0.0] * 4}
        about = {"name": "pets", "recipe": "quick", "backbone": None, "made": "today", "proven": []}
        facts = {"format": FORMAT, "format_version": FORMAT_VERSION, "task": task, "labels": LABELS}
        calibrated = {"temperature": 1.0, "thresholds": list(limits), "metrics": {"leave_one_out": block}}
        write_spec(tmp_path, {**facts, **about, **calibrated, **more})
        return tmp_path

    return make


def test_what_was_chosen_is_kept_and_the_card_says_it(package):
    folder = package()
    thresholds.change(folder, lambda present: [0.7, 0.7, 0.8, 0.0])
    spec = read_spec(folder)
    assert spec["thresholds"] == [0.7, 0.7, 0.8, 0.0]
    assert thresholds.is_chosen(spec)
    card = (folder / "README.md").read_text()
    assert "a 0.7, b 0.7, c 0.8, d 0; below, it says that it is not sure" in card


def test_no_threshold_at_all_is_always_answering(package):
    folder = package()
    thresholds.change(folder, lambda present: [0.7] * 4)
    thresholds.change(folder, lambda present: [0.0] * 4)
    assert read_spec(folder)["thresholds"] == []
    assert not thresholds.is_chosen(read_spec(folder))


def test_those_of_the_training_come_back_however_often_others_were_chosen(package):
    folder = package("multi-label", [0.31, 0.42, 0.5, 0.6])
    thresholds.change(folder, lambda present: [0.7] * 4)
    thresholds.change(folder, lambda present: [0.8] * 4)
    thresholds.reset(folder)
    spec = read_spec(folder)
    assert spec["thresholds"] == [0.31, 0.42, 0.5, 0.6]
    assert not thresholds.is_chosen(spec)
    assert "somebody chose" not in (folder / "README.md").read_text()


def test_thresholds_that_do_not_fit_the_labels_are_not_kept(package):
    folder = package()
    with pytest.raises(ValueError):
        thresholds.change(folder, lambda present: [0.7])
    assert read_spec(folder)["thresholds"] == []


def test_nothing_is_kept_where_the_card_cannot_tell_it(package):
    folder = package(metrics=None)
    before = read_spec(folder)
    with pytest.raises(PackageDamaged, match="damaged"):
        thresholds.change(folder, lambda present: [0.7] * len(LABELS))
    assert read_spec(folder) == before
