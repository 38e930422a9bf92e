"""How fast a prediction is over HTTP, beside a bare loop on all cores and the tutorial way, in one run.

    python -m benchmarks.serving [--seconds 6] [--rounds 3] [--concurrency 8]

Trains a small version for real, then serves it with `server.py run`. Every prediction is stored with its
image, as always. The three are timed in turns, `--rounds` times, and the medians compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load, served
from learning.embeddings import Embedder, count_cores
from learning.package import load_package
from tests.house import free_port
from tests.trained import Trained, train
from utils import center_crop, open_image

STARTS = 3


def main() -> None:
    """Train, serve, press, and print a table and one JSON line."""
    options = _read_options()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        instance = Path(folder) / "served"
        token = served.fill(instance, trained)
        figures = _compare(options, instance, trained, token)
        figures |= _time_starts(instance, token)
    _report(figures)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=8)
    return parser.parse_args()


def _compare(options: argparse.Namespace, instance: Path, trained: Trained, token: str) -> dict:
    photo = served.make_jpeg()
    form, form_kind = load.make_form(photo)
    rates: dict[str, list[float]] = {"loop": [], "form": [], "raw": [], "tutorial": []}
    with served.serving(instance) as (address, process), _tutorial(trained) as tutorial:
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
        memory = served.pss_of_children(process.pid)
    return {f"{name}_per_second": round(statistics.median(seen), 1) for name, seen in rates.items()} | {
        "pss_mb": round(memory / 1e6)
    }


@contextmanager
def _tutorial(trained: Trained) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.tutorial", str(trained.package / "model.keras"), str(port)]
    with served.child(command):
        served.wait_for(f"http://127.0.0.1:{port}/", status=404)
        yield f"http://127.0.0.1:{port}/predict"


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


def _time_starts(instance: Path, token: str) -> dict:
    """Start the server some times: seconds until /readyz, and its first prediction beside the median one."""
    photo, ready, ratios = served.make_jpeg(), [], []
    for _ in range(STARTS):
        start = time.perf_counter()
        with served.serving(instance) as (address, _process):
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
