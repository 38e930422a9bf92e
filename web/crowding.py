"""How many requests wait for a thread of this process, and which are sent away when too many do.

gunicorn takes every connection there is and lets it wait for one of its threads, so that under overload
everybody would wait ever longer. Here, while more than `predict_queue` requests wait, half of the threads go
on predicting and the others send predictions away with 503 as soon as their turn comes: that costs little, so
the queue stays short, and who is answered was answered soon.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from flask import Flask, abort, current_app, g, request

from web import measures
from web.inputs import read_past_body
from web.limits import limits_of_request

CROWDED = "Too many predictions are waiting. Try again in a few seconds."


class CountingPool(ThreadPoolExecutor):
    """Threads, how many calls wait for one (`waiting`), and how many predictions are at work."""

    def __init__(self, threads: int):
        super().__init__(threads)
        self._turn = threading.Lock()
        self._enough = max(1, threads // 2)
        self.waiting = self.predicting = 0

    def submit(self, call: Callable, /, *args: Any, **options: Any) -> Future:
        """Let a thread call it as soon as one is free."""
        with self._turn:
            self.waiting += 1
        return super().submit(self._call, call, *args, **options)

    def _call(self, call: Callable, /, *args: Any, **options: Any) -> Any:
        with self._turn:
            self.waiting -= 1
        return call(*args, **options)

    def begin_prediction(self, may_wait: int) -> bool:
        """Let a prediction begin, unless more than `may_wait` calls wait and enough are predicted already."""
        with self._turn:
            if self.waiting > may_wait and self.predicting >= self._enough:
                return False
            self.predicting += 1
            return True

    def end_prediction(self) -> None:
        """Say that a prediction which could begin has ended."""
        with self._turn:
            self.predicting -= 1


def register(app: Flask) -> None:
    """Send predictions away while too many requests wait."""
    app.before_request(_refuse_when_crowded)
    app.teardown_request(_end)


def watch(app: Flask, pool: CountingPool) -> None:
    """Say which threads answer for `app` in this process."""
    app.extensions["pool"] = pool


def _refuse_when_crowded() -> None:
    """Before anything is asked of the database or decoded. Where another server runs, nobody counts."""
    pool, limits = current_app.extensions.get("pool"), limits_of_request()
    if pool is None or limits.rate != "predict" or not limits.is_reading:
        return
    g.is_predicting = pool.begin_prediction(current_app.config["PIGEONHOLE"].predict_queue)
    if not g.is_predicting:
        request.max_content_length = current_app.config["PIGEONHOLE"].max_predict_body
        read_past_body()
        measures.count_queue_full()
        abort(503, CROWDED)


def _end(error: BaseException | None) -> None:
    if g.pop("is_predicting", False):
        current_app.extensions["pool"].end_prediction()
