"""A whole Pigeonhole for journeys: the real server with its worker, on a free port, in a temporary folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class House:
    """A running Pigeonhole."""

    address: str
    instance: Path
    setup_link: str


def browser_path() -> str | None:
    """Where a Chromium is, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(instance: Path) -> dict[str, str]:
    """The variables for a child process that works on `instance`."""
    return {**os.environ, "PIGEONHOLE_INSTANCE": str(instance), "PYTHONUNBUFFERED": "1"}


PATIENCE_SECONDS = 120.0  # only a hang takes longer, even on a machine with much else to do


def wait_until(is_so, timeout_seconds: float = PATIENCE_SECONDS, what: str = "it") -> None:
    """Ask again and again until `is_so()`; fail by name when it never is."""
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about within {timeout_seconds:.0f} s")
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def chromium():
    """A browser without a window; the tests that ask for one are skipped where none is installed."""
    path = browser_path()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def listening(app):
    """Let an application of this process answer a browser until the end of the block; gives the address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def running(instance: Path, log: Path, *words: str):
    """Serve `instance` on a free port until the end of the block."""
    port = free_port()
    command = [sys.executable, "server.py", "run", "--port", str(port), *words]
    with log.open("w+") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(instance),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/readyz"), what=f"{address}/readyz, see {log}")
            yield House(address, instance, _setup_link(log.read_text()))
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _setup_link(log: str) -> str:
    found = re.search(r"http://\S+/setup/\S+", log)
    return found.group() if found else ""
