"""The processes of `server.py run`: the web side and one worker, kept alive together and ended together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

from jobs import lifeline, trainers

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
RESTART_SECONDS = 1.0
ENDING_SECONDS = 40


def end_by_signal() -> threading.Event:
    """Return an event that SIGTERM or Ctrl-C sets from now on."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def run_web(serve: Callable[[], None], with_worker: bool, ending: threading.Event) -> int:
    """Run `serve` in a forked process with a worker beside it until `ending` is set.

    A worker that dies is started anew; when the web side dies everything ends.

    Returns:
        The exit status: 0 after a wished end, 1 when the web side died.
    """
    if os.name == "nt":
        return _run_here(serve, with_worker)
    web = multiprocessing.get_context("fork").Process(target=_serve, args=(serve, os.getpid()), name="web")
    web.start()
    worker = start_worker() if with_worker else None
    while not ending.wait(LOOK_SECONDS) and web.is_alive():
        if worker is not None and worker.poll() is not None:
            logger.warning("The worker ended unexpectedly; starting it anew.")
            ending.wait(RESTART_SECONDS)
            worker = start_worker()
    has_died = not ending.is_set()
    _end(web, worker)
    return int(has_died)


def count_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_worker() -> subprocess.Popen:
    """Start `server.py worker` in a group of its own (Ctrl-C is for us to hand on), tied to this process."""
    command = [sys.executable, str(trainers.ROOT / "server.py"), "worker"]
    return subprocess.Popen(
        lifeline.command(command, signal.SIGTERM), cwd=trainers.ROOT, start_new_session=True
    )


def end_worker(worker: subprocess.Popen) -> None:
    """Let a worker drain, then end it."""
    if worker.poll() is None:
        worker.terminate()
    try:
        worker.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _run_here(serve: Callable[[], None], with_worker: bool) -> int:
    """Serve in this process, where none can be forked; Ctrl-C ends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = start_worker() if with_worker else None
    try:
        serve()
    except KeyboardInterrupt:
        return 0
    finally:
        if worker is not None:
            end_worker(worker)
    return 1


def _serve(serve: Callable[[], None], parent: int) -> None:
    os.setsid()
    lifeline.die_with_parent(parent, signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve()


def _end(web: multiprocessing.Process, worker: subprocess.Popen | None) -> None:
    if worker is not None and worker.poll() is None:
        worker.terminate()  # both end side by side
    web.terminate()
    web.join(ENDING_SECONDS)
    if web.is_alive():
        web.kill()
    if worker is not None:
        end_worker(worker)
