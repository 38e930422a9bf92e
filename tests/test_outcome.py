"""What comes out of a sandbox: nothing made up is believed, followed, waited for or read without end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
import pytest

from jobs import keeper, memory, outcome, relay, runs, sandbox
from jobs.outcome import NotBelieved
from learning import explaining
from learning.package import load_package

LABELS = ["blue", "green", "red"]
SPEC = {
    **{"format": "pigeonhole-package", "format_version": 1, "answers_with": "network", "labels": LABELS},
    **{"task": "single-label", "recipe": "custom", "name": "Photos", "input_size": 224, "temperature": 1.0},
    **{"proven": ["litert"], "metrics": {"accuracy": 1.0}, "thresholds": [], "backbone": None},
}

pytestmark = pytest.mark.skipif(sandbox.probe() is None, reason=f"NOT TESTED: {sandbox.describe()}")


@pytest.fixture
def folder(tmp_path):
    """A run of four items, of which two may be measured."""
    items = [
        {"sha256": f"{place:064}", "path": f"{place}.png", "labels": [label], "split": split, "name": split}
        for place, (label, split) in enumerate(
            [("blue", "train"), ("red", "train"), ("blue", "validation"), ("red", "test")]
        )
    ]
    settings = {"recipe": "custom", "task": "single-label", "dataset": "Photos"}
    return runs.create(tmp_path / "runs", settings, LABELS, items)


@pytest.fixture
def inside(folder, trained):
    """What a trainer left that seems to have finished, with a network that answers as it says."""
    inside = folder / "inside"
    shutil.copytree(trained.package, inside / "package")
    temperature = json.loads((trained.package / "package.json").read_text())["temperature"]
    write(inside / "result.json", {"state": "finished", "seconds": 1.5, "refused": []})
    write(inside / "package" / "package.json", SPEC | {"temperature": temperature})
    rows = [
        {"sha256": item["sha256"], "by": item["split"], "probabilities": [0.75, 0.25, 0]}
        for item in runs.read_items(folder)
    ]
    write(inside / "evaluation.json", {"items": rows, "labels": "<script>", "confusion": None})
    return inside


def write(path, value):
    path.write_text(json.dumps(value))


def test_what_a_trainer_left_becomes_the_run_s_own(folder, inside):
    outcome.take_in(folder, inside)
    result = runs.read_result(folder)
    assert (result["state"], result["labels"], result["items"]) == ("finished", LABELS, 4)
    assert load_package(folder / "package").proven == ["litert"]
    assert not (folder / "package" / "model.keras").exists()


def test_the_hash_of_another_network_can_not_be_claimed(folder, inside, trained):
    spec = json.loads((inside / "package" / "package.json").read_text())
    write(inside / "package" / "package.json", spec | {"files": {"model.tflite": "0" * 64}})
    outcome.take_in(folder, inside)
    content = (trained.package / "model.tflite").read_bytes()
    assert load_package(folder / "package").spec["files"] == {"model.tflite": sha256(content).hexdigest()}


def test_a_network_that_answers_otherwise_than_it_says_is_refused(folder, inside):
    write(inside / "package" / "package.json", SPEC | {"temperature": 9.0})
    with pytest.raises(NotBelieved, match="does not answer"):
        outcome.take_in(folder, inside)
    (inside / "package" / "model.tflite").write_bytes(b"no network at all")
    with pytest.raises(NotBelieved, match="does not answer"):
        outcome.take_in(folder, inside)


def test_numbers_that_explain_another_network_are_refused(folder, inside, trained):
    with np.load(trained.package / "head.npz") as head:
        weights, bias = head["weights"], head["bias"]
    explaining.write_last_layer(inside / "package", np.vstack([weights, bias]))
    outcome.take_in(folder, inside)
    assert explaining.read_last_layer(folder / "package", len(bias)).shape == (len(weights) + 1, len(bias))
    explaining.write_last_layer(inside / "package", np.vstack([weights[::-1], bias]))
    with pytest.raises(NotBelieved, match="as its package says"):
        outcome.take_in(folder, inside)


@pytest.mark.parametrize("content", [b"", b"no numbers", b"\x93NUMPY\x01\x00v\x00{'descr': 'O'"])
def test_numbers_of_a_last_layer_that_are_none_are_refused(folder, inside, content):
    (inside / "package" / "explain.npy").write_bytes(content)
    with pytest.raises(NotBelieved, match="explain"):
        outcome.take_in(folder, inside)


def test_figures_are_computed_anew_and_only_of_what_was_held_back(folder, inside):
    write(inside / "result.json", {"state": "finished", "accuracy": 1.0, "test": {"accuracy": 1.0}})
    outcome.take_in(folder, inside)
    result = runs.read_result(folder)
    assert (result["validation"]["accuracy"], result["test"]["accuracy"]) == (1.0, 0.0)
    kept = json.loads((folder / "evaluation.json").read_text())
    assert [line["name"] for line in kept["items"]] == ["validation", "test"]
    assert kept["labels"] != "<script>"


@pytest.mark.parametrize("name", ["result.json", "evaluation.json", "package/package.json"])
@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 50_000, '{"state": NaN}', '{"items": 1}', "\x00"],
    ids=["empty", "list", "nothing", "deep", "nan", "number", "nul"],
)
def test_files_that_no_trainer_writes_are_refused(folder, inside, name, content):
    (inside / name).write_text(content)
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)
    assert runs.read_result(folder) is None


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["red", "blue"]},
        {"task": "multi-label"},
        {"answers_with": "head"},
        {"input_size": 10**6},
        {"temperature": "hot"},
        {"proven": []},
        {"proven": ["litert", "../../secret"]},
        {"note": "x" * 10_000},
        {"note": 1e300},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_package_that_says_something_else_than_its_run_is_refused(folder, inside, change):
    write(inside / "package" / "package.json", SPEC | change)
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)


@pytest.mark.parametrize(
    "row", [[1.0], [2.0, -1.0, 0], [float("nan"), 1.0, 0], ["a", "b", "c"], None, [[1, 0], [0, 1]]]
)
def test_probabilities_that_are_none_are_refused(folder, inside, row):
    rows = [
        {"sha256": item["sha256"], "by": item["split"], "probabilities": row}
        for item in runs.read_items(folder)
    ]
    write(inside / "evaluation.json", {"items": rows})
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)


@pytest.mark.parametrize(
    "name", ["result.json", "evaluation.json", "package/README.md", "package/model.tflite"]
)
def test_links_are_not_followed(folder, inside, tmp_path, name):
    (tmp_path / "secret").write_text('{"state": "finished"}')
    (inside / name).unlink(missing_ok=True)
    (inside / name).symlink_to(tmp_path / "secret")
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)


@pytest.mark.parametrize("name", ["package", "package/golden"])
def test_linked_folders_are_not_followed(folder, inside, tmp_path, name):
    (inside / name).rename(tmp_path / "elsewhere")
    (inside / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)


def test_a_pipe_makes_nobody_wait(folder, inside):
    (inside / "result.json").unlink()
    os.mkfifo(inside / "result.json")
    with pytest.raises(NotBelieved):
        outcome.take_in(folder, inside)


def test_a_network_that_is_too_large_is_refused(folder, inside):
    with (inside / "package" / "model.tflite").open("wb") as file:
        file.truncate(outcome.MOST_NETWORK + 2)  # sparse
    with pytest.raises(NotBelieved, match=r"larger than 512 MiB"):
        outcome.take_in(folder, inside)


def test_a_trainer_s_failure_is_told_in_bounded_words(folder, inside):
    write(inside / "result.json", {"state": "failed", "message": "x" * 10**6})
    outcome.take_in(folder, inside)
    result = runs.read_result(folder)
    assert (result["state"], len(result["message"])) == ("failed", 2_000)


def test_progress_is_handed_on_an_event_at_a_time_without_what_is_not_known(folder, inside):
    relayed = relay.Relay(folder, inside)
    event = {"phase": "training", "epoch": 1, "metrics": {"loss": 0.5, "evil": 1}, "html": "<b>"}
    path = inside / "progress.jsonl"
    path.write_text(json.dumps(event) + "\n" + '{"phase": "<b>"}\nnothing\n{"phase": "trai')
    relayed.hand_on()
    relayed.hand_on()
    (told,), _ = runs.read_progress(folder)
    assert {**told, "time": 0} == {"time": 0, "phase": "training", "epoch": 1, "metrics": {"loss": 0.5}}
    with path.open("a") as file:
        file.write('ning", "done": 1e999}\n')
    relayed.hand_on()
    assert len(runs.read_progress(folder)[0]) == 2


def test_endless_lines_of_progress_end_nobody(folder, inside):
    (inside / "progress.jsonl").write_bytes(b"x" * (3 * outcome.MIB))
    relayed = relay.Relay(folder, inside)
    for _ in range(4):
        relayed.hand_on()
    assert runs.read_progress(folder) == ([], 0)


def test_what_is_written_is_bounded(inside):
    (inside / "flood").write_bytes(os.urandom(2 * outcome.MIB))
    with pytest.raises(keeper.TookTooMuch, match="SANDBOX_DISK"):
        keeper._check_size(inside, keeper.Bounds(0, outcome.MIB))


@contextmanager
def holding(file):
    """A process that holds the file open, and nothing else."""
    others = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(["sleep", "600"], stdin=file, **others) as holder:
        try:
            yield holder
        finally:
            holder.kill()


def test_files_without_a_name_count_as_written(inside):
    (inside / "flood").write_bytes(os.urandom(2 * outcome.MIB))
    # A process of its own holds it: this one may hold what other tests have left, which is deleted by now.
    with (inside / "flood").open("rb") as flood, holding(flood) as holder:
        assert memory.unlinked_by({holder.pid}) < outcome.MIB
        (inside / "flood").unlink()
        unlinked = memory.unlinked_by({holder.pid})
    with pytest.raises(keeper.TookTooMuch, match="SANDBOX_DISK"):
        keeper._check_size(inside, keeper.Bounds(0, outcome.MIB), unlinked)


def test_a_disk_that_runs_full_ends_it(inside):
    with pytest.raises(keeper.TookTooMuch, match="nearly full"):
        keeper._check_size(inside, keeper.Bounds(0, 2**40, free=2**62))


def test_more_processes_than_any_training_has_are_refused():
    with pytest.raises(keeper.TookTooMuch, match="512 processes"):
        keeper._check_processes(set(range(513)))


def test_a_wish_to_stop_is_not_written_through_a_link(inside, tmp_path):
    (inside / "stop").symlink_to(tmp_path / "elsewhere")
    outcome.create(inside / "stop")
    assert not (tmp_path / "elsewhere").exists()


def test_an_earlier_attempt_s_links_are_gone_when_the_next_begins(folder, inside, tmp_path):
    (tmp_path / "settings").write_text("theirs")
    (inside / "settings.json").symlink_to(tmp_path / "settings")
    (inside / "checkpoint").mkdir()
    keeper._prepare(folder, inside, folder / "images")
    assert (tmp_path / "settings").read_text() == "theirs"
    assert not (inside / "settings.json").is_symlink()
    assert (inside / "checkpoint").exists()
    assert not (inside / "result.json").exists()
