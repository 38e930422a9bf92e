"""What this server counts of itself, and how a scrape of Prometheus finds it.

Labels have few values: path templates and never paths, datasets and versions, states and kinds of jobs.
"""

from __future__ import annotations

import os
import platform
import shutil
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from flask import Flask, Response, current_app, request
from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import mmap_key
from prometheus_client.utils import floatToGoString
from sqlalchemy import func, select

from config import Config
from jobs import agreement, local
from models import STATES, Job, db, now
from serving.prediction import Answer
from utils import ImageRefused
from web.request_ids import milliseconds, route
from web.tallies import Tallies

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PROGRAMS = ("flask", "ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True, eq=False)  # hashed as itself: faster
class Tally:
    """One metric that processes count: its name, what it is, the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def key(self, ending: str, *values: str, bound: str = "") -> str:
        """Name one number of it, as the library's files do; `bound` is that of a bucket."""
        names, said = (self.labels, values) if not bound else ((*self.labels, "le"), (*values, bound))
        return mmap_key(self.name, self.name + ending, names, said, self.help)


REQUESTS = Tally("pigeonhole_http_requests", "Requests answered.", ("method", "route", "status"))
LATENCY = Tally("pigeonhole_http_request_seconds", "Seconds until the answer began.", ("method", "route"))
PREDICTIONS = Tally(
    "pigeonhole_predictions",
    "Images answered, rejected (for what reason) or refused.",
    ("dataset", "version", "outcome", "reason"),
)
PREDICTION_LATENCY = Tally("pigeonhole_prediction_seconds", "Seconds of one answer: wait, decode, network.")
QUEUE_FULL = Tally("pigeonhole_predict_queue_full", "Predictions sent away with 503, since too many waited.")


def register(app: Flask) -> None:
    """Count what `app` does, unless `metrics` is off."""
    settings = app.config["PIGEONHOLE"]
    if settings.metrics != "off":
        app.extensions["tallies"] = Tallies(settings.folder("metrics"))
        app.after_request(_count_request)


def clear(settings: Config) -> None:
    """Begin at zero; to be called before the web processes start."""
    Tallies(settings.folder("metrics")).clear()


def _count_request(response: Response) -> Response:
    method = request.method if request.method in METHODS else "other"
    _count(REQUESTS, method, route(), str(response.status_code))
    _observe(LATENCY, milliseconds() / 1000, method, route())
    return response


def count_prediction(dataset: str, number: int, outcome: Answer | ImageRefused) -> None:
    """Count an image that a version of a dataset has answered, or that was refused."""
    if isinstance(outcome, ImageRefused):
        return _count(PREDICTIONS, dataset, str(number), "refused", "")
    said = "rejected" if outcome.rejected else "answered"
    _count(PREDICTIONS, dataset, str(number), said, outcome.reason or "")
    return _observe(PREDICTION_LATENCY, outcome.total_milliseconds / 1000)


def count_queue_full() -> None:
    """Count a prediction that was sent away since too many waited."""
    _count(QUEUE_FULL)


def _count(tally: Tally, *values: str) -> None:
    if tallies := current_app.extensions.get("tallies"):
        tallies.count(_counter(tally, values))


def _observe(tally: Tally, seconds: float, *values: str) -> None:
    if tallies := current_app.extensions.get("tallies"):
        buckets, total = _histogram(tally, values)
        tallies.observe(buckets, bisect_left(SECONDS, seconds), total, seconds)


@lru_cache(10_000)
def _counter(tally: Tally, values: tuple[str, ...]) -> str:
    return tally.key("_total", *values)


@lru_cache(10_000)
def _histogram(tally: Tally, values: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return the names of the buckets, by their upper bounds, and of the sum."""
    bounds = (floatToGoString(bound) for bound in (*SECONDS, float("inf")))
    buckets = tuple(tally.key("_bucket", *values, bound=bound) for bound in bounds)
    return buckets, tally.key("_sum", *values)


def read() -> bytes:
    """Return everything in Prometheus's text format."""
    return generate_latest(_Scrape())


class _Scrape:
    """One reading of all metrics (the library asks for this shape)."""

    def collect(self) -> Iterator[Metric]:
        tallies = current_app.extensions["tallies"]
        yield from tallies.read()
        yield from _jobs()
        yield _challengers()
        yield _memory(tallies.living())
        yield _free_disk()
        yield _programs()


def _jobs() -> Iterator[Metric]:
    """Say how many jobs are in which state, and how long the oldest of each kind has waited."""
    depth = GaugeMetricFamily("pigeonhole_jobs", "Jobs by kind and state.", labels=("kind", "state"))
    age = GaugeMetricFamily(
        "pigeonhole_job_waiting_seconds", "Age of the oldest waiting job.", labels=("kind",)
    )
    query = select(Job.kind, Job.state, func.count(Job.id), func.min(Job.created_at))
    found = {
        (kind, state): (n, first)
        for kind, state, n, first in db.session.execute(query.group_by(Job.kind, Job.state))
    }
    for kind in sorted({*local.WORK, *(kind for kind, _ in found)}):
        for state in STATES:
            depth.add_metric((kind, state), found.get((kind, state), (0, None))[0])
        first = found.get((kind, "queued"), (0, None))[1]
        age.add_metric((kind,), (now() - first).total_seconds() if first else 0.0)
    yield from (depth, age)


def _challengers() -> Metric:
    """Say how often challengers say the same as what was answered, of the predictions still kept."""
    help_text = "Kept predictions on which a challenger says the same as the live version, or not."
    agreed = GaugeMetricFamily(
        "pigeonhole_challenger_answers", help_text, labels=("dataset", "version", "said")
    )
    for slug, number, is_same, count in agreement.count_all():
        agreed.add_metric((slug, str(number), "same" if is_same else "different"), count)
    return agreed


def _memory(processes: dict[int, int]) -> Metric:
    help_text = "Resident memory of each web process, by a number that its successor takes over."
    memory = GaugeMetricFamily("pigeonhole_web_memory_bytes", help_text, labels=("process",))
    for number, pid in processes.items():
        path = Path(f"/proc/{pid}/statm")
        if path.exists():
            memory.add_metric((str(number),), int(path.read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
    return memory


def _free_disk() -> Metric:
    free = shutil.disk_usage(current_app.config["PIGEONHOLE"].instance).free
    return GaugeMetricFamily("pigeonhole_free_disk_bytes", "Free disk at the instance folder.", value=free)


def _programs() -> Metric:
    info = GaugeMetricFamily("pigeonhole_build_info", "What is installed.", labels=tuple(_installed()))
    info.add_metric(tuple(_installed().values()), 1)
    return info


@cache
def _installed() -> dict[str, str]:
    programs = {name.replace("-", "_"): version(name) for name in PROGRAMS}
    return {"python": platform.python_version(), **programs}
