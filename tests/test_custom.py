"""Own code through the worker, the keeper and the trainer: what it may do, and what it cannot do."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import time
from hashlib import sha256

import pytest

from jobs import local, runs, sandbox, training
from learning import custom, explaining, options, own_code
from learning.inputs import NotEnough
from learning.package import load_package
from learning.work import Stopped, Work
from models import db
from serving import explain
from tests.photos import photo
from tests.teaching import teach
from tests.trained import COLOURS, make_images

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.skipif(sandbox.probe() is None, reason=f"NOT TESTED: {sandbox.describe()}"),
]
SMALL = {"image_size": 16, "epochs": 2, "batch_size": 4, "minutes": 5}


@pytest.fixture
def train(app, dataset, alice, settings, client):
    """`train(code)`: the run of own code, from the queue to its end, and that the web side is unharmed."""
    settings.values["OWN_CODE"] = True
    teach(dataset)

    def train(code, **chosen):
        values = options.check("custom", {**SMALL, "code": textwrap.dedent(code), **chosen})
        run = training.start_run(dataset, alice, "custom", "own code", values)
        db.session.commit()
        assert local.work_once(local.Shift(app, "w1"), ("run",))
        db.session.expire_all()
        assert client.get("/", follow_redirects=True).status_code == 200
        return run

    return train


def inside(run):
    return training.folder_of(run) / "inside"


def attack(lines: str) -> str:
    """Own code that does something else before it gives a model."""
    body = textwrap.indent(textwrap.dedent(lines).strip(), "    ")
    return f"def build_model(input_shape, labels):\n{body}\n    return keras.Sequential()\n"


def test_own_code_becomes_a_version_like_any_other(train, dataset):
    run = train(own_code.TEMPLATE)
    assert (run.job.state, run.job.message) == ("finished", None), training.log(run)
    assert dataset.live_version == run.version.number == 1
    package = load_package(training.package_folder(run.version))
    assert (package.answers_with, package.input_size, package.proven) == ("network", 16, ["litert", "keras"])
    assert run.version.metrics["test"]["items"] > 0
    assert explaining.read_last_layer(package.folder, len(package.labels)).shape[1] == len(package.labels)
    epochs = [event for event in training.progress(run) if "metrics" in event]
    assert [event["epoch"] for event in epochs] == [1, 2]
    assert {"loss", "val_loss", "accuracy", "val_accuracy"} <= set(epochs[0]["metrics"])
    assert "In the sandbox" in training.log(run)
    assert not inside(run).exists()


def test_a_fit_that_is_killed_goes_on_to_the_same_loss(tmp_path):
    items = [
        {"sha256": sha256(path.read_bytes()).hexdigest(), "path": str(path), "labels": [path.parent.name]}
        for path in sorted(make_images(tmp_path / "photos").rglob("*.jpg"))
    ]
    items = [item | {"split": ("train", "validation")[place % 4 == 3]} for place, item in enumerate(items)]
    settings = options.check("custom", {**SMALL, "epochs": 4})
    frame = {"recipe": "custom", "task": "single-label", "dataset": "photos"}
    folders = [runs.create(tmp_path, settings | frame, sorted(COLOURS), items) for _ in range(2)]
    losses = []
    for folder, kill_after in zip(folders, (9, 2), strict=True):
        command = [sys.executable, str(sandbox.ROOT / "training.py"), "--run", str(folder), "--resume"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(epochs_of(folder)) < kill_after:
                time.sleep(0.02)
            process.kill()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        losses.append(epochs_of(folder))
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


def epochs_of(folder):
    """The losses of every epoch told."""
    return [event["metrics"]["val_loss"] for event in runs.read_progress(folder)[0] if "metrics" in event]


def test_lines_of_model_add_run_too_in_greyscale_with_a_loss_of_choice(train):
    code = "model.add(Conv2D(4, 3, activation='relu'))\nmodel.add(MaxPooling2D())\nmodel.add(Flatten())\n"
    run = train(code, colour="greyscale", loss="focal")
    assert run.job.state == "finished", training.log(run)
    assert explain.explain(run.version, photo(COLOURS["red"], 1)).method == "exact"


def try_to_begin(folder, task):
    """Let own code begin with twelve images, half of which have the one label; it stops at its first word."""
    items = [{"sha256": f"{place}", "labels": ["red"] * (place % 2), "split": "train"} for place in range(12)]

    def stop(*_):
        raise Stopped("enough")

    custom.train(
        Work(
            folder=folder,
            settings={"task": task},
            labels=["red"],
            read_items=lambda: iter(items),
            report=stop,
            is_ending=lambda: True,
            write_result=stop,
            show=stop,
        )
    )


def test_one_label_is_too_little_unless_images_may_lack_it(tmp_path):
    with pytest.raises(NotEnough, match="At least two labels"):
        try_to_begin(tmp_path, "single-label")
    with pytest.raises(Stopped):
        try_to_begin(tmp_path, "multi-label")


def test_the_network_is_out_of_reach(train):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = train(attack(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"))
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert run.job.state == "failed"
    assert "line 3, asked for the network" in training.log(run)
    assert run.job.message.startswith("Line 3: PermissionError")


def test_the_database_is_out_of_reach(train, settings):
    run = train(attack(f"print(open({str(settings.instance / 'pigeonhole.db')!r}, 'rb').read())"))
    assert run.job.state == "failed"
    assert "wanted to read" in training.log(run)
    assert "SQLite format" not in training.log(run)
    assert "no file but its own" in run.job.message


def test_nothing_is_written_outside_its_folder(train, settings):
    place = settings.instance / "storage" / "left-behind"
    run = train(attack(f"open({str(place)!r}, 'w').write('x')"))
    assert not place.exists()
    assert run.job.state == "failed"
    assert "wanted to write" in training.log(run)


def test_a_daemon_ends_with_its_run(train):
    run = train(
        attack("""
        import os, time
        if os.fork() == 0:
            try:
                os.setsid()
            except OSError:
                pass
            if os.fork() == 0:
                while True:
                    open(os.environ["HOME"] + "/beat", "a").write(".")
                    time.sleep(0.02)
            os._exit(0)
        time.sleep(0.5)
        raise ValueError("enough")
        """)
    )
    size = (inside(run) / "beat").stat().st_size
    time.sleep(0.3)
    assert size == (inside(run) / "beat").stat().st_size > 0
    assert "started a process" in training.log(run)


def test_an_endless_loop_is_ended_for_its_silence(train, settings):
    settings.values["RUN_STALL_MINUTES"] = 0.35
    run = train(attack("import os\nopen(os.environ['HOME'] + '/reached', 'w')\nwhile True: pass"))
    assert (inside(run) / "reached").exists()
    assert run.job.state == "failed"
    assert "It was silent for" in run.job.message


def test_20_gb_of_memory_are_refused(train):
    run = train(attack("hoard = bytearray(20 * 1024**3)"))
    assert run.job.state == "failed"
    assert "Memory ran out" in run.job.message


def test_memory_that_no_limit_of_the_kernel_counts_is_seen_from_outside(train, settings):
    settings.values["SANDBOX_MEMORY"] = int(1.25 * 1024**3)
    hoard = "import mmap, time\nheld = []\nwhile True:\n    held.append(mmap.mmap(-1, 2**25))"
    run = train(attack(hoard + "\n    held[-1].write(b'x' * 2**25)\n    time.sleep(0.01)"))
    assert run.job.state == "failed"
    assert run.job.message == "It used more than 1.2 GB of memory and was ended."


def test_an_error_is_told_with_its_line_and_can_be_resumed_only_to_fail_again(train):
    run = train("def build_model(input_shape, labels):\n    x = 1\n    return keras.Sequnetial()\n")
    assert run.job.state == "failed"
    assert run.job.message.startswith("Line 3: AttributeError:")
    assert "Sequnetial" in training.log(run)


def test_results_that_own_code_made_up_are_not_believed(train, settings):
    run = train(
        attack("""
        import os, json
        home = os.environ["HOME"]
        os.makedirs(home + "/package")
        os.symlink("../../../../secret_key", home + "/package/README.md")
        json.dump({"state": "finished", "accuracy": 1}, open(home + "/result.json", "w"))
        os._exit(0)
        """)
    )
    assert run.job.state == "failed"
    assert run.version is None
    assert runs.read_result(training.folder_of(run))["state"] == "failed"
