"""The run folder: everything the web side and the trainer say to each other, as files.

The web side writes settings, manifest and labels, and `stop` to ask for an end; the trainer writes progress,
log, result and package, and holds `lock` while it lives. Either may be killed at any moment: whole files
appear atomically, and a half-written last line of progress is passed over.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from utils import generate_random_name, lock_file, open_atomically, write_atomically

# A starting trainer waits this long for the lock: `is_alive` takes it for an instant to see if it is free.
LOCK_PATIENCE_SECONDS = 1.0
KEPT = "kept"
TAIL_BYTES = 64 * 1024  # more than any one event


class RunBusy(RuntimeError):
    """Another living trainer holds the run; the message says which folder."""


def create(root: str | Path, settings: dict, labels: list[str], items: Iterable[dict]) -> Path:
    """Make a run folder under `root`, whole or not at all, and return its path.

    Args:
        root: the folder of all runs, made if missing.
        settings: recipe, backbone, task, seed, dataset, train_on_all, `backbones` and `embeddings` folders.
        labels: names in the order that travels with the version.
        items: manifest lines: sha256, path, labels, split, name, and `archive` for a member of a zip.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    folder = root / generate_random_name()
    temporary = Path(tempfile.mkdtemp(dir=root, prefix=".making-"))
    try:
        write_atomically(temporary / "settings.json", _as_json(settings))
        write_atomically(temporary / "labels.json", _as_json(labels))
        with open_atomically(temporary / "manifest.jsonl") as file:
            file.writelines(_as_line(item) for item in items)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The run's settings, as `create` was given them."""
    return json.loads(Path(folder, "settings.json").read_text(encoding="utf-8"))


def read_labels(folder: str | Path) -> list[str]:
    """The label names in their fixed order."""
    return json.loads(Path(folder, "labels.json").read_text(encoding="utf-8"))


def read_items(folder: str | Path) -> Iterator[dict[str, Any]]:
    """The manifest's lines, one at a time."""
    with Path(folder, "manifest.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


@contextmanager
def hold(folder: str | Path) -> Iterator[None]:
    """Hold the run's lock for as long as the trainer lives.

    Raises:
        RunBusy: another trainer holds it.
    """
    with ExitStack() as held:
        _enter_patiently(held, Path(folder))
        yield


def _enter_patiently(held: ExitStack, folder: Path) -> None:
    patience_ends = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            return held.enter_context(lock_file(folder / "lock", wait=False))
        except BlockingIOError:
            if time.monotonic() > patience_ends:
                raise RunBusy(f"Another trainer is at work on {folder}.") from None
            time.sleep(0.02)


def is_alive(folder: str | Path) -> bool:
    """Whether a trainer holds the run's lock at this moment."""
    path = Path(folder, "lock")
    if not path.exists():
        return False
    try:
        with lock_file(path, wait=False):
            return False
    except BlockingIOError:
        return True


def report(
    folder: str | Path, phase: str, done: int | None = None, total: int | None = None, **more: Any
) -> None:
    """Append one line to progress.jsonl in one write, on a line of its own even after a half-written one."""
    event = {"time": time.time(), "phase": phase, "done": done, "total": total, **more}
    line = _as_line({key: value for key, value in event.items() if value is not None})
    with Path(folder, "progress.jsonl").open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        is_half_written = size > 0 and file.read(1) != b"\n"
        file.write(b"\n" + line if is_half_written else line)


def read_progress(folder: str | Path, after: int = 0, most: int = -1) -> tuple[list[dict[str, Any]], int]:
    """The events from byte `after` on, and the byte to ask from next time; damaged lines are passed over.

    Args:
        most: how many bytes are read at most; -1 reads them all.
    """
    path = Path(folder, "progress.jsonl")
    if not path.exists():
        return [], after
    with path.open("rb") as file:
        file.seek(min(after, path.stat().st_size))
        new = file.read(most)
    whole = new[: new.rfind(b"\n") + 1]  # what follows the last newline is still being written
    if not whole and len(new) == most:
        whole = new  # a line longer than is read at once is none of the trainer's
    events = [event for line in whole.split(b"\n") if (event := _parsed(line)) is not None]
    return events, after + len(whole)


def read_last_event(folder: str | Path) -> dict[str, Any]:
    """The newest event, however long progress.jsonl has become; empty where there is none."""
    path = Path(folder, "progress.jsonl")
    size = path.stat().st_size if path.exists() else 0
    events, _ = read_progress(folder, max(0, size - TAIL_BYTES))  # half a line in front is passed over
    return events[-1] if events else {}


def ask_to_stop(folder: str | Path) -> None:
    """Ask the trainer to end; it looks between batches."""
    Path(folder, "stop").touch()


def is_stop_asked(folder: str | Path) -> bool:
    """Whether somebody asked for an end."""
    return Path(folder, "stop").exists()


def write_result(folder: str | Path, result: dict) -> None:
    """Write result.json atomically; its presence says that the run ended, however it ended."""
    write_atomically(Path(folder, "result.json"), _as_json(result))


def read_result(folder: str | Path) -> dict[str, Any] | None:
    """The result, or None while the run has not ended (or crashed: then nobody holds the lock either)."""
    try:
        return json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def keep(folder: str | Path) -> None:
    """Mark a run of the command line, of which no row knows, so that no sweep takes it for a leftover."""
    Path(folder, KEPT).touch()


def let_go(folder: str | Path) -> None:
    """Take the mark away: what was wanted of the run lies elsewhere."""
    Path(folder, KEPT).unlink(missing_ok=True)


def is_kept(folder: str | Path) -> bool:
    """Whether the run is a person's, to be deleted by hand."""
    return Path(folder, KEPT).exists()


def reopen(folder: str | Path) -> None:
    """Forget a cancelled or failed end, and the wish to stop, so that the run can go on."""
    result = read_result(folder)
    if result and result["state"] != "finished":
        Path(folder, "result.json").unlink()
    Path(folder, "stop").unlink(missing_ok=True)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _as_line(value: dict) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
