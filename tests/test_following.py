"""A run's progress is followed without reading it again, and without keeping every step."""

from __future__ import annotations

from jobs import runs
from jobs.following import follow


def steps(folder, epoch: int, count: int) -> None:
    for done in range(count):
        runs.report(folder, "training", done, count, epoch=epoch, epochs=2)


def test_of_an_epochs_steps_the_first_and_the_newest_are_kept_and_of_the_rest_everything(tmp_path):
    for rate in (0.1, 0.2, 0.3):
        runs.report(tmp_path, "finding", 1, 3, rate=rate, loss=1.0)
    for epoch in (1, 2):
        steps(tmp_path, epoch, 5)
        runs.report(tmp_path, "training", 5, 5, epoch=epoch, epochs=2, metrics={"loss": 0.5})
    assert [(event["phase"], event["done"]) for event in follow(tmp_path)] == [
        *[("finding", 1)] * 3,
        *[("training", 0), ("training", 4), ("training", 5)] * 2,
    ]


def test_what_comes_in_later_is_added(tmp_path):
    steps(tmp_path, 1, 3)
    assert [event["done"] for event in follow(tmp_path)] == [0, 2]
    steps(tmp_path, 2, 1)
    assert [event["epoch"] for event in follow(tmp_path)] == [1, 1, 2]


def test_a_file_that_became_another_is_read_anew(tmp_path):
    steps(tmp_path, 1, 9)
    assert follow(tmp_path)
    (tmp_path / "progress.jsonl").unlink()
    assert follow(tmp_path) == []
    runs.report(tmp_path, "solving")
    assert [event["phase"] for event in follow(tmp_path)] == ["solving"]
