"""How many requests wait for a thread of this process, and which are sent away when too many do.

gunicorn takes every connection there is and lets it wait for one of its threads, so that under overload
everybody would wait ever longer. Here predictions, which are nearly all of the work, get a 503 as soon as
their turn comes and more than `predict_queue` requests still wait behind them: that costs a fraction of a
millisecond, the queue stays short, and whoever is answered was answered soon.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from flask import Flask, abort, current_app

from web import measures
from web.limits import limits_of_request

CROWDED = "Too many predictions are waiting. Try again in a few seconds."


class CountingPool(ThreadPoolExecutor):
    """Threads, and in `waiting` how many calls wait for one."""

    def __init__(self, threads: int):
        super().__init__(threads)
        self._turn = threading.Lock()
        self.waiting = 0

    def submit(self, call: Callable, /, *args: Any, **options: Any) -> Future:
        """Let a thread call it as soon as one is free."""
        self._add(1)
        return super().submit(self._call, call, *args, **options)

    def _call(self, call: Callable, /, *args: Any, **options: Any) -> Any:
        self._add(-1)
        return call(*args, **options)

    def _add(self, number: int) -> None:
        with self._turn:
            self.waiting += number


def register(app: Flask) -> None:
    """Send predictions away while too many requests wait."""
    app.before_request(_refuse_when_crowded)


def watch(app: Flask, pool: CountingPool) -> None:
    """Say which threads answer for `app` in this process."""
    app.extensions["pool"] = pool


def _refuse_when_crowded() -> None:
    """Before anything is read or asked of the database. Where another server runs, nobody counts."""
    pool, limits = current_app.extensions.get("pool"), limits_of_request()
    is_prediction = limits.rate == "predict" and limits.is_reading
    if pool is not None and is_prediction and pool.waiting > current_app.config["PIGEONHOLE"].predict_queue:
        measures.count_queue_full()
        abort(503, CROWDED)
