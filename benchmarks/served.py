"""A small version that was trained for real, served by `server.py run`: what the load is pressed against."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import config
import server
from jobs import database
from models import Dataset, Member, User, db
from tests.house import free_port
from tests.trained import ROOT, Trained, make_photo
from web import tokens


def fill(instance: Path, trained: Trained) -> str:
    """Make an instance with one dataset whose version is live; return a token that may predict."""
    app = server.create_app(config.load(instance))
    database.prepare(app)
    with app.app_context():
        user = User(name="bench", password_hash=secrets.token_hex(8))
        dataset = Dataset(slug="colours", name="Colours", members=[Member(user=user, role="owner")])
        db.session.add_all([user, dataset])
        _, text = tokens.make_token(user, "bench", ["predict"])
        trained.install(app, dataset)
        db.session.remove()
        db.engine.dispose()
    return text


def make_jpeg() -> bytes:
    """Return a photo of 640 × 480."""
    buffer = io.BytesIO()
    make_photo((200, 50, 40), seed=1, size=(640, 480)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@contextmanager
def serving(instance: Path, **settings: object) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve the instance as in life, but for `settings` and rates that no load exceeds."""
    port = free_port()
    environment = {
        **os.environ,
        "PIGEONHOLE_INSTANCE": str(instance),
        "PIGEONHOLE_PREDICT_RATE_TOKEN": "1000000",
        "PIGEONHOLE_REQUEST_RATE": "1000000",
        **{f"PIGEONHOLE_{name.upper()}": str(value) for name, value in settings.items()},
    }
    command = [sys.executable, "server.py", "run", "--port", str(port), "--no-worker"]
    with child(command, env=environment) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/readyz")
        yield address, process


@contextmanager
def child(command: list[str], **more) -> Iterator[subprocess.Popen]:
    """Run a command until the end of the block."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, **quiet, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def wait_for(url: str, status: int = 200, timeout_seconds: float = 180) -> None:
    """Wait until an address answers with a status."""
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


def pss_of_children(parent: int) -> int:
    """Return the proportional memory, in bytes, of all processes below `parent`: those of the web side."""
    total = 0
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        total += pss_of_children(int(child))
    return total
