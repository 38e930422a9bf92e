"""Whether predictions hold up: many of them, then more than can be answered.

    python -m benchmarks.predict_load [--count 10000] [--concurrency 32] [--processes 0] [--crowd 128]

Trains a small version for real and serves it with `server.py run`. First `--count` predictions over
`--concurrency` connections: none may fail, the web processes' memory in the last quarter may differ by 5 %
from that in the second, and the slowest hundredth may take three times as long as the median. Then for a
while over `--crowd` connections that come again at once: what can't be answered soon must be sent away with
503 and Retry-After, and predicting must go on. Every prediction is stored with its image, as always. The load
generator runs on the same cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load, served
from benchmarks.load import Answered
from tests.trained import train

LOOK_SECONDS = 0.5
SLOWEST_TO_MEDIAN, MEMORY_DRIFT = 3.0, 0.05


@dataclass
class Memory:
    """What the processes below one held, looked at now and then, with how many answers there were by then."""

    parent: int
    done: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until it is over."""
        while not self.is_over.wait(LOOK_SECONDS):
            self.seen.append((self.done, served.pss_of_children(self.parent)))

    def of_quarter(self, quarter: int, count: int) -> float:
        """Return the mean of the bytes seen in the first (0) to last (3) quarter of `count` answers."""
        within = [held for done, held in self.seen if quarter * count <= 4 * done < (quarter + 1) * count]
        return statistics.mean(within) if within else float("nan")


def main() -> None:
    """Train, serve, press, and print a table and one JSON line; exit status 1 where a demand is not met."""
    options = _read_options()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        instance = Path(folder) / "served"
        token = served.fill(instance, trained)
        figures = _press(options, instance, token)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):32} {value:>10}")
    print(json.dumps(figures))
    sys.exit(bool(_complaints(figures)))


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--processes", type=int, default=0, help="0: one for each core")
    parser.add_argument("--crowd", type=int, default=128, help="connections of the overload; 0: none")
    parser.add_argument("--crowd-seconds", type=float, default=20)
    return parser.parse_args()


def _press(options: argparse.Namespace, instance: Path, token: str) -> dict:
    with served.serving(instance, web_processes=options.processes) as (address, process):
        api = f"{address}/api/v1/datasets/colours/predict"
        request = load.make_request(api, served.make_jpeg(), "image/jpeg", token)
        list(load.send(api, request, options.concurrency, 10 * options.concurrency))  # every process is warm
        memory = Memory(process.pid)
        start = time.perf_counter()
        steady = _watched(memory, load.send(api, request, options.concurrency, options.count))
        figures = _describe(steady, time.perf_counter() - start) | _describe_memory(memory, options.count)
        if options.crowd:
            crowd = list(load.send(api, request, options.crowd, seconds=options.crowd_seconds))
            described = _describe(crowd, options.crowd_seconds)
            figures |= {f"crowd_{name}": value for name, value in described.items()}
    return figures


def _watched(memory: Memory, answers: Iterable[Answered]) -> list[Answered]:
    watcher = threading.Thread(target=memory.watch)
    watcher.start()
    found = []
    for answer in answers:
        found.append(answer)
        memory.done = len(found)
    memory.is_over.set()
    watcher.join()
    return found


def _describe(answers: list[Answered], seconds: float) -> dict:
    good = sorted(answer.seconds for answer in answers if answer.status == 200)
    sent_away = [answer for answer in answers if answer.status == 503]
    p50, p99 = (_percentile(good, share) for share in (0.5, 0.99))
    return {
        "answered": len(good),
        "answered_per_second": round(len(good) / seconds, 1),
        "sent_away": len(sent_away),
        "sent_away_without_retry_after": sum(not answer.has_retry_after for answer in sent_away),
        "errors": len(answers) - len(good) - len(sent_away),
        "p50_ms": round(1000 * p50, 1),
        "p99_ms": round(1000 * p99, 1),
        "p99_to_p50": round(p99 / p50, 2),
    }


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _describe_memory(memory: Memory, count: int) -> dict:
    second, last = memory.of_quarter(1, count), memory.of_quarter(3, count)
    return {
        "second_quarter_mb": round(second / 1e6, 1),
        "last_quarter_mb": round(last / 1e6, 1),
        "last_to_second": round(last / second, 3),
    }


def _complaints(figures: dict) -> list[str]:
    """Return what was demanded and not met, having said so."""
    demands = {
        "a prediction failed": figures["errors"] + figures["sent_away"] == 0,
        "memory grew or shrank": abs(figures["last_to_second"] - 1) <= MEMORY_DRIFT,
        "the slowest are too slow": figures["p99_to_p50"] <= SLOWEST_TO_MEDIAN,
        "under overload a prediction failed": figures.get("crowd_errors", 0) == 0,
        "a 503 lacks Retry-After": figures.get("crowd_sent_away_without_retry_after", 0) == 0,
        "overload sent nobody away": figures.get("crowd_sent_away", 1) > 0,
        "overload answered nobody": figures.get("crowd_answered", 1) > 0,
    }
    complaints = [words for words, is_met in demands.items() if not is_met]
    for words in complaints:
        print(f"Not met: {words}.", file=sys.stderr)
    return complaints


if __name__ == "__main__":
    main()
