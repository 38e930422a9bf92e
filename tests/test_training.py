"""The trainer from its command line: what it prints, writes and survives."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jobs import runs
from learning import golden
from learning.package import load_package
from tests.trained import COLOURS, make_photo
from utils import center_crop, open_image

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.trainer


def make_photos(folder):
    """A folder of class folders: three colours, seven photos each."""
    for label, colour in COLOURS.items():
        (folder / "photos" / label).mkdir(parents=True)
        for seed in range(7):
            make_photo(colour, 100 * len(label) + seed).save(folder / "photos" / label / f"{seed}.jpg")
    return folder / "photos"


def make_instance(folder, prepared_backbones):
    (folder / "instance").mkdir()
    (folder / "instance" / "backbones").symlink_to(prepared_backbones)
    return folder / "instance"


def start_in(instance, *arguments):
    """Start the trainer in an instance; its output is captured."""
    command = [sys.executable, str(ROOT / "training.py"), *map(str, arguments)]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(instance)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path)


@pytest.fixture
def instance(tmp_path, prepared_backbones):
    return make_instance(tmp_path, prepared_backbones)


@pytest.fixture
def start(instance):
    """Start the trainer with arguments; it is killed at the latest when the test ends."""
    processes = []

    def start(*arguments):
        processes.append(start_in(instance, *arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def finish(process):
    """Wait for the trainer; return its exit status, its output and its log."""
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def wait_for(folder, phase, done=1):
    """Wait until the run in the instance has come to `phase`; return its folder."""
    for _ in range(1_200):
        for run in folder.glob("runs/*/"):
            events, _ = runs.read_progress(run)
            if any(event["phase"] == phase and event.get("done", done) >= done for event in events):
                return run
        time.sleep(0.05)
    raise AssertionError(f"never came to {phase}")


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed: its photos, its package, what it printed and its run folder."""

    photos: Path
    out: Path
    output: str
    errors: str
    run: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, prepared_backbones):
    """A run on photos of which one is damaged, to its end."""
    folder = tmp_path_factory.mktemp("whole")
    photos, instance = make_photos(folder), make_instance(folder, prepared_backbones)
    (photos / "red" / "broken.jpg").write_bytes((photos / "red" / "0.jpg").read_bytes()[:500])
    words = ("--dataset", photos, "--out", folder / "out", "--json")
    status, output, errors = finish(start_in(instance, *words))
    assert status == 0, errors
    return Whole(photos, folder / "out", output, errors, next((instance / "runs").iterdir()))


def test_a_folder_becomes_a_table_a_json_line_and_a_package(whole):
    *table, line = whole.output.splitlines()
    result = json.loads(line)
    assert table[0] == "photos"
    assert "Accuracy, leave-one-out" in whole.output
    assert result["labels"] == ["blue", "green", "red"]
    assert result["items"] == 21
    assert result["accuracy"] == result["leave_one_out"]["accuracy"] > 0.8
    assert result["proven"] == ["litert", "keras"]
    assert result["package"] == str(whole.out)
    assert load_package(whole.out).proven == ["litert", "keras"]
    assert not runs.is_kept(whole.run)  # its package lies where --out says
    phases = [event["phase"] for event in runs.read_progress(whole.run)[0]]
    assert list(dict.fromkeys(phases)) == [
        *("embedding", "solving", "evaluating", "packaging", "exporting", "done")
    ]
    evaluation = json.loads((whole.run / "evaluation.json").read_text())
    assert len(evaluation["items"]) == 21
    assert {item["by"] for item in evaluation["items"] if item["split"] == "test"} == {"test"}


def test_a_finished_run_that_is_asked_again_tells_the_same(whole, start):
    status, output, _ = finish(start("--run", whole.run, "--json"))
    assert status == 0
    again, before = (json.loads(text.splitlines()[-1]) for text in (output, whole.output))
    assert again["accuracy"] == before["accuracy"]


def test_a_damaged_image_is_left_out_by_name(whole):
    result = json.loads(whole.output.splitlines()[-1])
    assert [entry["name"] for entry in result["refused"]] == ["red/broken.jpg"]
    assert result["items"] == 21
    assert "red/broken.jpg is left out" in whole.errors


def test_the_table_is_printed_before_tensorflow_is_loaded(instance, photos):
    watch = (
        "import sys, training; from learning import tables; write = tables.write;"
        "tables.write = lambda *a: (print('tensorflow' in sys.modules), write(*a), sys.exit());"
        f"training.main(['--dataset', {str(photos)!r}])"
    )
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(instance)}
    done = subprocess.run(
        [sys.executable, "-c", watch], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "False"


@pytest.mark.parametrize("phase", ["embedding", "packaging", "exporting"])
def test_kill_9_and_resume_end_with_the_same_result(start, photos, instance, whole, phase):
    killed = start("--dataset", photos)
    run = wait_for(instance, phase, done=0)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not runs.is_alive(run)
    status, _, errors = finish(start("--run", run, "--resume"))
    assert status == 0, errors
    resumed, unbroken = load_package(run / "package"), load_package(whole.out)
    assert resumed.proven == ["litert", "keras"]
    assert np.array_equal(resumed.weights, unbroken.weights)
    assert resumed.metrics == unbroken.metrics


def test_sigterm_leaves_a_run_to_resume(start, photos, instance):
    process = start("--dataset", photos)
    run = wait_for(instance, "embedding", done=0)
    process.terminate()
    status, _, errors = finish(process)
    assert status == -signal.SIGTERM
    assert f"--run {run} --resume" in errors
    assert runs.read_result(run) is None


def test_a_wish_to_stop_ends_as_cancelled_and_can_be_resumed(start, photos, instance):
    process = start("--dataset", photos)
    run = wait_for(instance, "embedding", done=0)
    runs.ask_to_stop(run)
    status, _, _ = finish(process)
    assert status == 1
    assert runs.read_result(run)["state"] == "cancelled"
    assert finish(start("--run", run))[0] == 1
    assert finish(start("--run", run, "--resume"))[0] == 0
    assert runs.read_result(run)["state"] == "finished"


def test_one_label_fails_with_a_sentence_naming_it(start, photos):
    for label in ("blue", "green"):
        for file in (photos / label).iterdir():
            file.unlink()
    status, _, errors = finish(start("--dataset", photos))
    assert status == 1
    assert "Only the label 'red' has images" in errors


def test_a_name_that_is_nothing_fails_with_a_sentence(start):
    status, output, errors = finish(start("--dataset", "no-such-thing"))
    assert status == 1
    assert "no-such-thing" in errors
    assert "Traceback" not in errors
    assert output == ""


def test_wrong_use_ends_with_status_2(start, photos):
    assert finish(start())[0] == 2
    assert finish(start("--dataset", photos, "--out", photos))[0] == 2
    assert finish(start("--run", photos))[0] == 2


def test_a_settings_file_that_cannot_be_is_refused_by_name(start, photos, tmp_path):
    (tmp_path / "run.yaml").write_text("recipe: quick\nepochs: 3\n")
    status, output, errors = finish(start("--dataset", photos, "--config", tmp_path / "run.yaml"))
    assert (status, output) == (2, "")
    assert "'epochs'" in errors


def test_the_golden_images_are_the_dataset_s_squares(whole):
    pixels, probabilities = golden.read(whole.out)
    good = [file for file in whole.photos.rglob("*.jpg") if file.name != "broken.jpg"]
    squares = {center_crop(open_image(file), 224).tobytes() for file in good}
    assert pixels.shape == (16, 224, 224, 3)
    assert all(square.tobytes() in squares for square in pixels)
    assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-9


@pytest.mark.parametrize(("name", "least"), [("trash", 0.845), ("signs", 0.945)])
def test_real_photos_are_sorted_as_well_as_promised(start, instance, name, least):
    archive = DATA / f"{name}.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    process = start("--dataset", archive)
    result = runs.read_result(wait_for(instance, "exporting", done=0))
    process.kill()  # the network is exported on other images already
    assert zipfile.ZipFile(archive).testzip() is None
    assert result["leave_one_out"]["accuracy"] >= least
    test, (low, _) = result["test"], result["leave_one_out"]["interval"]
    assert test["interval"][1] >= low


def test_real_photos_of_several_labels_are_told_as_well_as_promised(start):
    archive = DATA / "aerial.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    tags = ("--labels", DATA / "aerial-tags.csv", "--task", "multi-label")
    status, output, errors = finish(start("--dataset", archive, *tags, "--json"))
    assert status == 0, errors
    result = json.loads(output.splitlines()[-1])
    for block in (result["leave_one_out"], result["test"]):
        assert block["micro_f1"] >= 0.885
        assert block["mean_average_precision"] >= 0.96
        assert block["binary_accuracy"] >= 0.953
    assert result["proven"] == ["litert", "keras"]
