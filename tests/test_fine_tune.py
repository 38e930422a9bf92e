"""Recipe fine-tune, in the trainer's own process: it learns, tells of it, and survives a kill -9."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs import runs
from learning import explaining, golden
from learning.inputs import NotEnough
from learning.litert import NetworkClassifier
from learning.package import load_package
from learning.tuning import data, epochs, schedules, sides, starting
from learning.tuning.keeping import State
from tests.trained import make_images

ROOT = Path(__file__).parents[1]
SMALL = ("--recipe", "fine-tune", "--backbone", "small-cnn", "--epochs", "6", "--minutes", "30")


def item(place, label, split="train"):
    return {"sha256": f"{place:02}", "labels": [label], "split": split}


def test_the_validation_split_is_validated_on():
    items = [item(0, "a"), item(1, "b", "validation"), item(2, "b")]
    assert [places.tolist() for places in data.split(items, 3)] == [[0, 2], [1]]


def test_a_fifth_of_each_label_is_held_out_where_nothing_is_for_validation():
    items = [item(place, "ab"[place % 2]) for place in range(20)]
    learning, held = data.split(items, 20)
    assert sorted(items[place]["labels"][0] for place in held) == ["a", "a", "b", "b"]
    assert sorted([*learning, *held]) == list(range(20))


def test_a_label_s_only_image_is_never_held_out():
    with pytest.raises(NotEnough, match="two images"):
        data.split([item(0, "a"), item(1, "b")], 2)


def test_weights_let_every_label_count_alike():
    targets = np.eye(2)[[0, 0, 0, 1]]
    weights = data.weigh(targets, np.arange(4))
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights.mean() == pytest.approx(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fine-tune")
    make_images(folder / "colours", 12)
    return folder


def start(place, name, *arguments):
    """Start the trainer in an instance of its own."""
    command = [sys.executable, str(ROOT / "training.py"), *map(str, arguments)]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(place / name)}
    with (place / f"{name}.txt").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def run_of(place, name):
    return next((place / name / "runs").glob("[!.]*"))


def ends_of(run):
    """The events of epochs' ends, the last of each."""
    events, _ = runs.read_progress(run)
    return {event["epoch"]: event["metrics"] for event in events if "metrics" in event}


@pytest.fixture(scope="module")
def whole(place):
    """A run that was never disturbed."""
    process = start(place, "whole", "--dataset", place / "colours", *SMALL)
    assert process.wait(timeout=300) == 0, (place / "whole.txt").read_text()
    return run_of(place, "whole")


@pytest.mark.trainer
def test_it_tells_of_every_epoch_and_measures_what_it_never_saw(whole, place):
    result, ends = runs.read_result(whole), ends_of(whole)
    assert list(ends) == [1, 2, 3, 4, 5, 6]
    assert ends[6].keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert result["leave_one_out"] is None
    assert result["score"]["by"] == "test"
    assert result["is_exported"]
    assert "6/6" in (place / "whole.txt").read_text()
    assert not (whole / "checkpoint").exists()


@pytest.mark.trainer
def test_its_network_answers_as_it_was_proven(whole):
    package = load_package(whole / "package")
    pixels, wanted = golden.read(whole / "package")
    answers = NetworkClassifier(whole / "package")
    assert (package.answers_with, package.proven) == ("network", ["litert", "keras"])
    assert explaining.read_last_layer(package.folder, len(package.labels)).shape == (257, len(package.labels))
    assert np.abs(answers.probabilities(pixels[0]) - wanted[0]).max() < 1e-4


@pytest.mark.trainer
def test_a_kill_9_in_the_middle_ends_with_the_same_loss(whole, place):
    process = start(place, "killed", "--dataset", place / "colours", *SMALL)
    while process.poll() is None and not list(place.glob("killed/runs/*/checkpoint/*.npz")):
        time.sleep(0.02)
    process.kill()
    process.wait()
    run = run_of(place, "killed")
    assert runs.read_result(run) is None
    assert start(place, "killed", "--run", run, "--resume").wait(timeout=300) == 0
    told, wanted = ends_of(run), ends_of(whole)
    assert list(told)[-1] == 6
    assert told[6]["loss"] == pytest.approx(wanted[6]["loss"], abs=1e-6)
    assert told[6]["val_loss"] == pytest.approx(wanted[6]["val_loss"], abs=1e-6)


@pytest.mark.trainer
def test_a_run_shows_how_it_varies_its_images(whole, place):
    assert start(place, "whole", "--preview", whole, "--out", place / "shown").wait(timeout=120) == 0
    with Image.open(place / "shown" / "preview.png") as picture:
        rows, columns = picture.size
    assert rows == columns == 4 * 160 + 3 * 4


def choose_side(share_of_time):
    """The side where a share of the time is left that 12 epochs at 260 pixels would take."""
    all_of_it = sides.EPOCHS_WANTED * 400 * sides.TIMES_LOOKING * 0.01
    return sides.choose(260, 400, seconds=share_of_time * all_of_it, looking_seconds=0.01)


def test_it_learns_from_full_squares_where_enough_epochs_fit():
    assert choose_side(1.01) == 260


def test_it_learns_from_smaller_squares_where_time_is_short():
    assert (choose_side(0.8), choose_side(0.4), choose_side(0)) == (224, 160, 160)


def test_a_head_too_sure_of_what_it_learnt_from_is_softened_until_it_fits_smoothed_labels():
    targets = np.eye(3)[[0, 1, 2] * 5]
    factor = starting.soften(40 * targets, targets, 0.1, "single-label")
    said = np.exp(40 * factor) / (np.exp(40 * factor) + 2)
    assert said == pytest.approx(0.9 + 0.1 / 3, abs=0.02)


def test_without_label_smoothing_a_head_stays_as_sure_as_it_is():
    assert starting.soften(np.eye(2), np.eye(2), 0.0, "single-label") == 1.0


def test_patience_begins_in_the_middle_where_the_learning_rate_falls():
    plan = schedules.Plan(epochs=20, steps=10, batch=4, rate=1e-3)
    assert not epochs.has_ended(plan, State(measured=12, best_epoch=1), patience=3)
    assert epochs.has_ended(plan, State(measured=13, best_epoch=1), patience=3)
    assert not epochs.has_ended(plan, State(measured=13, best_epoch=11), patience=3)


@pytest.fixture(scope="module")
def tuned(place):
    """A run that began with a network that knows something, and learnt from smaller squares."""
    arguments = ("--recipe", "fine-tune", "--backbone", "efficientnet-lite0", "--image-size", "96")
    process = start(
        place, "tuned", "--dataset", place / "colours", *arguments, "--epochs", "1", "--minutes", "30"
    )
    assert process.wait(timeout=300) == 0, (place / "tuned.txt").read_text()
    return run_of(place, "tuned")


@pytest.mark.trainer
def test_what_it_learnt_from_small_squares_answers_at_the_backbone_s_side(tuned):
    package, result = load_package(tuned / "package"), runs.read_result(tuned)
    pixels, wanted = golden.read(tuned / "package")
    assert package.input_size == 224
    assert result["validation"]["accuracy"] == 1.0
    said = NetworkClassifier(tuned / "package").probabilities(pixels[0])
    assert np.abs(said - wanted[0]).max() < 1e-4
