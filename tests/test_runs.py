"""The run folder survives crashes on both sides of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import runs

HOLDER = """
import sys, time
from jobs import runs
with runs.hold(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    items = [{"sha256": "aa", "path": "a.jpg", "labels": ["kitten é"], "split": "train", "name": "a.jpg"}]
    return runs.create(tmp_path / "runs", {"recipe": "quick", "seed": 7}, ["dog", "kitten é"], items)


@pytest.fixture
def trainer(folder):
    """A living process that holds the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_what_was_written_is_read_back(folder):
    assert runs.read_settings(folder) == {"recipe": "quick", "seed": 7}
    assert runs.read_labels(folder) == ["dog", "kitten é"]
    assert [item["labels"] for item in runs.read_items(folder)] == [["kitten é"]]


def test_a_run_that_could_not_be_written_leaves_nothing(tmp_path):
    def failing_items():
        yield {"sha256": "aa"}
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        runs.create(tmp_path, {}, [], failing_items())
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_last_line_is_not_read_and_does_not_spoil_the_next(folder):
    runs.report(folder, "embedding", 1, 3)
    with (folder / "progress.jsonl").open("ab") as file:
        file.write(b'{"phase": "embed')
    events, next_line = runs.read_progress(folder)
    assert [event["done"] for event in events] == [1]
    runs.report(folder, "embedding", 2, 3, note="resumed")
    events, next_line = runs.read_progress(folder, next_line)
    assert [(event["done"], event["note"]) for event in events] == [(2, "resumed")]
    assert runs.read_progress(folder, next_line) == ([], next_line)


def test_a_living_trainer_keeps_others_out(folder, trainer, monkeypatch):
    monkeypatch.setattr(runs, "LOCK_PATIENCE_SECONDS", 0.1)
    assert runs.is_alive(folder)
    with pytest.raises(runs.RunBusy), runs.hold(folder):
        pass


def test_kill_9_frees_the_run(folder, trainer):
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.wait()
    assert not runs.is_alive(folder)
    with runs.hold(folder):
        assert runs.is_alive(folder)


def test_a_run_without_a_trainer_is_not_alive(folder):
    assert not runs.is_alive(folder)


def test_the_wish_to_stop_and_the_result_go_through_the_folder(folder):
    assert not runs.is_stop_asked(folder)
    assert runs.read_result(folder) is None
    runs.ask_to_stop(folder)
    assert runs.is_stop_asked(folder)
    runs.write_result(folder, {"state": "cancelled"})
    assert runs.read_result(folder)["state"] == "cancelled"
    runs.reopen(folder)
    assert runs.read_result(folder) is None
    assert not runs.is_stop_asked(folder)


def test_the_newest_event_is_found_at_the_end_of_a_long_file(folder):
    assert runs.read_last_event(folder) == {}
    for done in range(2_000):
        runs.report(folder, "embedding", done, 2_000)
    assert (folder / "progress.jsonl").stat().st_size > runs.TAIL_BYTES
    assert runs.read_last_event(folder)["done"] == 1_999
