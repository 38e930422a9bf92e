"""What a run has learnt epoch by epoch: columns, rows, and the charts of them."""

from __future__ import annotations

import json

from tests.test_charts import columns_of
from web import phases, run_charts
from web.curves import Curves
from web.work import describe


def epoch(number: int, seconds: float = 2.0, **metrics) -> dict:
    """The event that ends an epoch, as the trainer writes it."""
    return {
        **{"time": float(number), "phase": "training", "epoch": number, "epochs": 8, "done": 4, "total": 4},
        **{"metrics": metrics, "seconds": seconds, "left_seconds": 2.0 * (8 - number)},
    }


STEP = {"time": 9.0, "phase": "training", "epoch": 3, "epochs": 8, "done": 1, "total": 4}
TWO = [
    epoch(1, loss=0.9, val_loss=0.8, accuracy=0.5, val_accuracy=0.6, learning_rate=0.001),
    epoch(2, loss=0.5, val_loss=0.6, accuracy=0.75, val_accuracy=0.7, learning_rate=0.0005),
]


def test_epochs_become_columns_and_rows():
    found = Curves([*TWO, STEP])
    assert found.epochs() == {
        "epoch": [1, 2],
        "loss": [0.9, 0.5],
        "val_loss": [0.8, 0.6],
        "metric": [0.5, 0.75],
        "val_metric": [0.6, 0.7],
    }
    assert found.rows()[1] == ["2", "0.5000", "0.6000", "75.0 %", "70.0 %", "0.0005", "2 s"]


def test_an_epoch_done_again_after_a_resume_counts_once():
    again = epoch(2, loss=0.4)
    assert Curves([*TWO, again]).epochs()["loss"] == [0.9, 0.4]


def test_several_labels_are_measured_by_micro_f1():
    found = Curves([epoch(1, loss=0.9, micro_f1=0.3, val_micro_f1=0.2)])
    assert (found.metric_words, found.epochs()["val_metric"]) == ("Micro F1", [0.2])
    assert Curves([], "multi-label").metric_words == "Micro F1"


def test_what_is_not_known_yet_is_a_gap_and_a_dash():
    found = Curves([epoch(1, loss=0.9)])
    assert found.epochs()["val_loss"] == [None]
    assert found.rows()[0][2:6] == ["–"] * 4
    [columns] = columns_of(json.loads(run_charts.epoch_curve(found.epochs(), "loss", "Loss"))["light"])
    assert "nan" in json.dumps(columns["val_loss"]).lower()


def test_the_finder_shows_what_it_tried_and_what_it_suggests():
    tried = [{"phase": "finding", "rate": rate, "loss": loss} for rate, loss in ((1e-4, 0.9), (1e-3, 0.5))]
    found = Curves([*tried, {"phase": "finding", "suggested": 0.0012}])
    assert found.rates() == {"rate": [1e-4, 1e-3], "loss": [0.9, 0.5]}
    assert found.as_json()["suggestion"] == "0.0012"
    chart = run_charts.rate_curve(found.rates(), found.suggested())
    assert {"rates", "suggested"} <= {name for name in ("rates", "suggested") if f'"{name}"' in chart}


def test_the_charts_hold_nothing_that_needs_eval():
    found = Curves(TWO)
    chart = run_charts.epoch_curve(found.epochs(), "loss", "Loss") + run_charts.rate_curve(found.rates(), 0.1)
    assert "CustomJS" not in chart
    assert "webgl" not in chart


def test_training_says_which_epoch_and_how_much_of_all():
    running = {"state": "running", "is_over": False}
    [training] = [one for one in phases.of([*TWO, STEP], running, "fine-tune") if one["name"] == "training"]
    assert (training["state"], training["detail"]) == ("current", "epoch 3 of 8, 1 of 4")
    assert phases.percent([*TWO, STEP]) == 28  # two epochs and a quarter of eight


def test_a_phase_that_only_some_runs_have_is_shown_once_it_began():
    names = [one["name"] for one in phases.of([], describe(None), "fine-tune")]
    assert "finding" not in names
    wished = phases.of([], describe(None), "fine-tune", {"learning_rate": "auto"})
    assert "finding" in [one["name"] for one in wished]
    began = phases.of(
        [{"time": 0.0, "phase": "finding"}], {"state": "running", "is_over": False}, "fine-tune"
    )
    assert [one["name"] for one in began if one["state"] == "current"] == ["finding"]


def test_what_goes_on_before_the_trainer_says_a_word_is_shown_too():
    running = phases.of([], {"state": "running", "is_over": False}, "quick")
    assert (running[0]["name"], running[0]["state"]) == ("starting", "current")
    assert "starting" not in [one["name"] for one in phases.of(TWO, {"state": "running", "is_over": False})]


def test_nothing_goes_on_while_a_run_that_was_taken_up_again_waits():
    waiting = phases.of([*TWO, STEP], {"state": "queued", "is_over": False}, "fine-tune")
    assert "current" not in [one["state"] for one in waiting]


def test_a_phase_gone_through_again_is_timed_by_its_last_time():
    told = [(0.0, "embedding"), (2.0, "solving"), (200.0, "embedding"), (203.0, "solving"), (204.0, "done")]
    events = [{"time": time, "phase": phase} for time, phase in told]
    found = {one["name"]: one["detail"] for one in phases.of(events, describe(None))}
    assert (found["embedding"], found["solving"]) == ("3 s", "1 s")
