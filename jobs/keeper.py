"""Keeps a run that trains what strangers wrote: its trainer works in a sandbox, in a folder of its own.

`python -m jobs.keeper FOLDER BOUNDS` holds the run, lays its images out, starts the trainer inside, hands
the wish to stop in and progress out, and takes in what was made once everything inside has ended. Nobody
else ever reads the inner folder, and nothing in it is believed (jobs/outcome.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from jobs import lifeline, memory, outcome, runs, sandbox, trees
from jobs.relay import Relay
from learning.inputs import read_image
from utils import ImageRefused, write_atomically

PROGRAM = ("-m", "jobs.keeper")
LOOK_SECONDS = 0.1
SIZE_SECONDS = 1.0  # between two looks at how much was written
MOST_LOG = 2 * 1024**2  # bytes of what the trainer says that are kept
MOST_FILES = 20_000
MOST_PROCESSES = 512
ENDING_SECONDS = 10  # for all that is left to end
INSIDE, IMAGES = "inside", "images"
KEPT_FOR_RESUMING = "checkpoint"
# What a recipe may find in its run folder beside settings, labels and manifest.
ENCLOSED = ("facts.json", "model.keras", "model.h5")
CUT = b"\n(The log is cut here: more was said than is kept.)\n"


@dataclass(frozen=True)
class Bounds:
    """What the trainer inside may use, in bytes: memory of a process, disk in all, disk that stays free."""

    memory: int
    disk: int
    free: int = 0

    def to_json(self) -> str:
        """As the second argument of this module."""
        return json.dumps(asdict(self))


class Refused(RuntimeError):
    """The run can't be kept; the message is for a person."""


class TookTooMuch(RuntimeError):
    """What it does inside is too much, and nothing of it is kept; the message is for a person."""


def keep(folder: Path, bounds: Bounds) -> None:
    """Train the run in `folder` inside a sandbox, and write its result.

    Raises:
        RunBusy: another trainer has it.
    """
    with runs.hold(folder):
        try:
            _train_inside(folder, bounds)
            outcome.take_in(folder, folder / INSIDE)
        except TookTooMuch as refused:
            _fail(folder, str(refused))
            trees.remove(folder / INSIDE)
        except (Refused, outcome.NotBelieved, sandbox.SandboxRefused, OSError) as refused:
            _fail(folder, str(refused))
        except Exception as error:
            traceback.print_exc()
            message = (
                f"What came out of the sandbox can't be used: {type(error).__name__}. The log says where."
            )
            runs.write_result(folder, {"state": "failed", "message": message})
        finally:
            trees.remove(folder / IMAGES)
            trees.remove(folder / outcome.MAKING)
            if (runs.read_result(folder) or {}).get("state") == "finished":
                trees.remove(folder / INSIDE)


def _fail(folder: Path, message: str) -> None:
    print(message, flush=True)
    runs.write_result(folder, {"state": "failed", "message": message[:2_000]})


def _train_inside(folder: Path, bounds: Bounds) -> None:
    found = sandbox.probe()
    if found is None:
        raise Refused(sandbox.describe())
    inside, images = folder / INSIDE, folder / IMAGES
    _prepare(folder, inside, images)
    words = sandbox.command(
        found,
        [str(sandbox.ROOT / "training.py"), "--run", str(inside)],
        inside,
        [images, Path(runs.read_settings(folder)["backbones"])],
        bounds.memory,
    )
    print(f"In the sandbox: {found.words}.", flush=True)
    process = subprocess.Popen(
        lifeline.command(words),
        cwd=sandbox.ROOT,
        env={**sandbox.environment(inside), "PIGEONHOLE_SANDBOX": found.kind},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    log = Thread(target=_copy_log, args=(process.stdout,), daemon=True)
    log.start()
    try:
        _watch(folder, inside, process, bounds)
    finally:
        process.kill()
        process.wait()
        _end_the_rest()
        log.join(LOOK_SECONDS)


def _prepare(folder: Path, inside: Path, images: Path) -> None:
    """Make the inner run folder anew, keeping the checkpoint of an earlier attempt."""
    inside.mkdir(exist_ok=True)
    for entry in os.scandir(inside):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != KEPT_FOR_RESUMING:
                trees.remove(Path(entry.path))
        else:
            Path(entry.path).unlink()
    trees.remove(images)
    images.mkdir()
    for name in ("settings.json", "labels.json", *ENCLOSED):
        if (folder / name).exists():
            shutil.copyfile(folder / name, inside / name)
    lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in _lay_out(folder, images))
    write_atomically(inside / "manifest.jsonl", "".join(lines))


def _lay_out(folder: Path, images: Path) -> Iterator[dict[str, Any]]:
    """Put every image where the sandbox shows it, under its hash; yield the manifest's lines for there."""
    for item in runs.read_items(folder):
        place = images / item["sha256"]
        if not place.exists():
            _place(item, place)
        yield {key: value for key, value in item.items() if key != "archive"} | {"path": str(place)}


def _place(item: dict[str, Any], place: Path) -> None:
    """Link an image to its place, or copy it; where it can't be read, the trainer leaves it out by name."""
    if "archive" not in item and "://" not in item["path"]:
        with suppress(OSError):  # on another disk, or gone, which reading it says better
            return os.link(item["path"], place)
    with suppress(ImageRefused, OSError):
        place.write_bytes(read_image(item))
    return None


def _copy_log(source: IO[bytes]) -> None:
    """Copy what is said to our own output, which is the run's log; the rest of too much is thrown away."""
    left = MOST_LOG
    while said := source.read1(65536):
        if left > 0:
            sys.stdout.buffer.write(said[:left] if len(said) <= left else said[:left] + CUT)
            sys.stdout.buffer.flush()
        left -= len(said)


def _watch(folder: Path, inside: Path, process: subprocess.Popen, bounds: Bounds) -> None:
    """Hand progress out and the wish to stop in until the trainer ends.

    Raises:
        TookTooMuch: it wrote or started too much.
    """
    relay = Relay(folder, inside)
    next_size = 0.0
    while process.poll() is None:
        relay.hand_on()
        if runs.is_stop_asked(folder):
            outcome.create(inside / "stop")
        if time.monotonic() >= next_size:
            next_size = time.monotonic() + SIZE_SECONDS
            family = memory.family(os.getpid())
            _check_processes(family)
            _check_size(inside, bounds, memory.unlinked_by(family))
        time.sleep(LOOK_SECONDS)
    relay.hand_on()


def _check_processes(family: set[int]) -> None:
    """The kernel bounds those of everybody but root."""
    if len(family) > MOST_PROCESSES:
        raise TookTooMuch(f"It started more than {MOST_PROCESSES} processes and was ended.")


def _check_size(inside: Path, bounds: Bounds, unlinked: int = 0) -> None:
    """See that what it wrote, files without a name among it (`unlinked` bytes), leaves room for others."""
    try:
        size, count = trees.measure(inside)
    except trees.TreeRefused as refused:
        raise TookTooMuch(f"{refused} It was ended.") from refused
    if size + unlinked > bounds.disk or count > MOST_FILES:
        limit = f"{bounds.disk / 1e9:.1f} GB or {MOST_FILES:,} files (SANDBOX_DISK)"
        raise TookTooMuch(f"It wrote more than {limit} and was ended.")
    if shutil.disk_usage(inside).free < bounds.free:
        raise TookTooMuch("The disk was nearly full, so it was ended. Free some, then resume it.")


def _end_the_rest() -> None:
    """End whatever of our group is left but ourselves: daemons, where no namespace has ended them.

    Raises:
        Refused: they start others faster than they end. Our worker ends the group with us.
    """
    patience_ends = time.monotonic() + ENDING_SECONDS
    while left := [number for number in _group() if number != os.getpid()]:
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if time.monotonic() > patience_ends:
            raise Refused("What it started could not be ended.")
        time.sleep(0.02)


def _group() -> list[int]:
    own, found = os.getpgrp(), []
    for number in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            if os.getpgid(number) == own and not _is_dead(number):
                found.append(number)
        except ProcessLookupError:
            continue
    return found


def _is_dead(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except FileNotFoundError:
        return True


if __name__ == "__main__":
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # what is ended at the end is all of our group
    keep(Path(sys.argv[1]), Bounds(**json.loads(sys.argv[2])))
