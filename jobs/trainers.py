"""Trainer processes: how one is started, watched and ended. TensorFlow lives in them and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from flask import current_app

from jobs import keeper, lifeline, memory, runs, sandbox

ROOT = Path(__file__).parents[1]
OWN_CODE_OFF = "Own code is switched off on this server. An administrator can turn it on (own_code)."
FOLDER_GONE = "The folder of this run is gone, so it can't be trained. Start a new one."
ENDING_SECONDS = 10  # from the request to end to the end

# What a trainer may know of our environment: where things are, never a secret.
PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE"),
    *("VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "KERAS_HOME"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


def start(
    arguments: list[str], log: Path, program: tuple[str, ...] = (str(ROOT / "training.py"),)
) -> subprocess.Popen:
    """Start `training.py` with `arguments`, its output appended to `log`. It dies with the calling thread.

    `program` is what Python is to run instead, such as ("-m", "learning.tuning.preview").
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            lifeline.command([sys.executable, *program, *arguments]),
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start_run(folder: Path) -> subprocess.Popen:
    """Start the trainer of a run, or, where it trains what strangers made, the keeper of its sandbox."""
    if not is_enclosed(folder):
        return start(["--run", str(folder)], folder / "log.txt")
    settings = current_app.config["PIGEONHOLE"]
    bounds = keeper.Bounds(settings.sandbox_memory, settings.sandbox_disk, settings.min_free_disk)
    return start([str(folder), bounds.to_json()], folder / "log.txt", keeper.PROGRAM)


def refusal(folder: Path) -> str | None:
    """Why a run may not be trained here, whoever started it when; None where it may."""
    if not (folder / "settings.json").exists():
        return FOLDER_GONE
    is_own_code = runs.read_settings(folder)["recipe"] == "custom"
    if is_own_code and not current_app.config["PIGEONHOLE"].own_code:
        return OWN_CODE_OFF
    return None


def is_enclosed(folder: Path) -> bool:
    """Whether a run is for the sandbox: own code always, an uploaded model where there is one."""
    recipe = runs.read_settings(folder)["recipe"]
    return recipe == "custom" or (recipe == "uploaded" and sandbox.probe() is not None)


def max_memory(folder: Path) -> int | None:
    """Return how many bytes of memory a run's trainer may hold; None for any."""
    settings = current_app.config["PIGEONHOLE"]
    most = settings.run_max_memory or memory.default_limit()
    if not is_enclosed(folder):
        return most
    return min(settings.sandbox_memory, most or settings.sandbox_memory)


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "PIGEONHOLE_INSTANCE": str(current_app.config["PIGEONHOLE"].instance)}


def end(process: subprocess.Popen) -> None:
    """End a trainer and everything it started: asked first, then forced."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    _kill_group(process.pid)
    process.wait()


def _kill_group(group: int) -> None:
    if os.name == "nt":
        return
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # nothing of it is left


def describe_end(process: subprocess.Popen) -> str:
    """Say for a person how a trainer ended that left no result."""
    code = process.returncode
    if code == -signal.SIGKILL:
        return "The trainer was killed, perhaps because memory ran out. It can be resumed."
    if code < 0:
        return f"The trainer was ended by {signal.Signals(-code).name}. It can be resumed."
    return f"The trainer ended with status {code} before it was done. Its log says why."
