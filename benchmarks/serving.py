"""How fast a prediction is over HTTP, beside a bare loop on all cores and the tutorial way, in one run.

    python -m benchmarks.serving [--seconds 6] [--rounds 3] [--concurrency 8]

Trains a small version for real, then serves it with `server.py run`. Every prediction is stored with its
image, as always. The three are timed in turns, `--rounds` times, and the medians compared.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import config
import server
from benchmarks import load
from learning.embeddings import Embedder, count_cores
from learning.package import load_package
from models import Dataset, Member, User, db
from tests.house import free_port
from tests.trained import ROOT, Trained, make_photo, train
from utils import center_crop, open_image
from web import tokens

STARTS = 3


def main() -> None:
    """Train, serve, press, and print a table and one JSON line."""
    options = _read_options()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        instance = Path(folder) / "served"
        token = _fill(instance, trained)
        figures = _compare(options, instance, trained, token)
        figures |= _time_starts(instance, token)
    _report(figures)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=8)
    return parser.parse_args()


def _fill(instance: Path, trained: Trained) -> str:
    """Make an instance with one dataset whose version is live; return a token that may predict."""
    app = server.create_app(config.load(instance))
    server.database.prepare(app)
    with app.app_context():
        user = User(name="bench", password_hash=secrets.token_hex(8))
        dataset = Dataset(slug="colours", name="Colours", members=[Member(user=user, role="owner")])
        db.session.add_all([user, dataset])
        _, text = tokens.make_token(user, "bench", ["predict"])
        trained.install(app, dataset)
        db.session.remove()
        db.engine.dispose()
    return text


def _compare(options: argparse.Namespace, instance: Path, trained: Trained, token: str) -> dict:
    photo = _make_jpeg()
    form, form_kind = load.make_form(photo)
    rates: dict[str, list[float]] = {"loop": [], "form": [], "raw": [], "tutorial": []}
    with _serving(instance) as (address, process), _tutorial(trained) as tutorial:
        api = f"{address}/api/v1/datasets/colours/predict"
        requests = {
            "form": (api, load.make_request(api, form, form_kind, token)),
            "raw": (api, load.make_request(api, photo, "image/jpeg", token)),
            "tutorial": (tutorial, load.make_request(tutorial, form, form_kind)),
        }
        for _ in range(options.rounds):
            rates["loop"].append(_run_bare_loops(trained, photo, options.seconds))
            for name, (where, request) in requests.items():
                pressed = load.press(where, request, options.concurrency, options.seconds)
                assert not pressed.failures, f"{name}: {pressed}"
                rates[name].append(pressed.rate)
        memory = _pss_of_children(process.pid)
    return {f"{name}_per_second": round(statistics.median(seen), 1) for name, seen in rates.items()} | {
        "pss_mb": round(memory / 1e6)
    }


def _make_jpeg() -> bytes:
    buffer = io.BytesIO()
    make_photo((200, 50, 40), seed=1, size=(640, 480)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@contextmanager
def _serving(instance: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve the instance as in life, but for a rate that the load may not exceed."""
    port = free_port()
    environment = {
        **os.environ,
        "PIGEONHOLE_INSTANCE": str(instance),
        "PIGEONHOLE_PREDICT_RATE_TOKEN": "1000000",
        "PIGEONHOLE_REQUEST_RATE": "1000000",
    }
    command = [sys.executable, "server.py", "run", "--port", str(port), "--no-worker"]
    with _child(command, env=environment) as process:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/readyz")
        yield address, process


@contextmanager
def _tutorial(trained: Trained) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.tutorial", str(trained.package / "model.keras"), str(port)]
    with _child(command):
        _wait_for(f"http://127.0.0.1:{port}/", status=404)
        yield f"http://127.0.0.1:{port}/predict"


@contextmanager
def _child(command: list[str], **more) -> Iterator[subprocess.Popen]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(url: str, status: int = 200, timeout_seconds: float = 180) -> None:
    deadline = time.monotonic() + timeout_seconds
    while _status(url) != status:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} did not answer {status}.")
        time.sleep(0.02)


def _status(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _run_bare_loops(trained: Trained, photo: bytes, seconds: float) -> float:
    """Decode and run the network in a loop, one process a core; return images a second of all of them."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count_cores()) as pool:
        work = [(trained, photo, seconds)] * count_cores()
        return sum(pool.starmap(_loop, work, chunksize=1))


def _loop(trained: Trained, photo: bytes, seconds: float) -> float:
    package = load_package(trained.package)
    embedder = Embedder(trained.backbones / f"{package.backbone_identifier}.tflite")
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        package.probabilities(embedder.embed(center_crop(open_image(photo), package.input_size)))
        count += 1
    return count / (time.perf_counter() - start)


def _pss_of_children(parent: int) -> int:
    """Return the proportional memory, in bytes, of all processes below `parent`: those of the web side."""
    total = 0
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        total += _pss_of_children(int(child))
    return total


def _time_starts(instance: Path, token: str) -> dict:
    """Start the server some times: seconds until /readyz, and its first prediction beside the median one."""
    photo, ready, ratios = _make_jpeg(), [], []
    for _ in range(STARTS):
        start = time.perf_counter()
        with _serving(instance) as (address, _process):
            ready.append(time.perf_counter() - start)
            api = f"{address}/api/v1/datasets/colours/predict"
            times = _time_one_by_one(api, load.make_request(api, photo, "image/jpeg", token))
            ratios.append(times[0] / statistics.median(times[1:]))
    return {"ready_seconds": round(max(ready), 2), "first_to_median": round(statistics.median(ratios), 2)}


def _time_one_by_one(api: str, request: bytes, count: int = 40) -> list[float]:
    connection, times = load.Connection(api, request), []
    for _ in range(count):
        start = time.perf_counter()
        connection.ask()
        times.append(time.perf_counter() - start)
    connection.close()
    return times


def _report(figures: dict) -> None:
    loop = figures["loop_per_second"]
    figures["form_to_loop"] = round(figures["form_per_second"] / loop, 3)
    figures["raw_to_loop"] = round(figures["raw_per_second"] / loop, 3)
    figures["form_to_tutorial"] = round(figures["form_per_second"] / figures["tutorial_per_second"], 1)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24} {value:>10}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
