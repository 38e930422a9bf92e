"""Folders in which a stranger's program wrote: measured and deleted, however deep and oddly they are made.

The standard library's walks are recursive and end with RecursionError in a thousand nested folders.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from utils import generate_random_name

DEEPEST = 32  # folders in one another; no trainer makes five
LONGEST = 2_000  # characters of a path: the kernel takes 4,095


class TreeRefused(RuntimeError):
    """A tree that can't be looked at to its end; the message says why."""


def measure(folder: Path) -> tuple[int, int]:
    """Return (bytes of disk, entries) of all below a folder; links count as themselves.

    Raises:
        TreeRefused: it is nested deeper than 32, or hides a folder from us.
    """
    size = count = 0
    for entry, depth in _entries(folder):
        if depth > DEEPEST or len(entry.path) - len(str(folder)) > LONGEST:
            raise TreeRefused(f"It made folders nested deeper than {DEEPEST}.")
        count += 1
        with suppress(FileNotFoundError):
            size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size, count


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry, int]]:
    waiting = [(str(folder), 1)]
    while waiting:
        path, depth = waiting.pop()
        try:
            entries = list(os.scandir(path))
        except FileNotFoundError:
            continue  # gone again
        except OSError as error:
            raise TreeRefused(f"It made a folder that can't be looked at ({error.strerror}).") from error
        for entry in entries:
            yield entry, depth
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, depth + 1))


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder, as far as they can be seen; 0 where there is none."""
    size, waiting = 0, [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_size
    return size


def remove(folder: Path) -> None:
    """Delete a folder with all in it; one that is gone already is fine, and what resists stays."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        with suppress(OSError):
            _flatten(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _flatten(folder: Path) -> None:
    """Open every folder below to us, and lift what is nested too deep to right below `folder`."""
    waiting = [(str(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        if depth > DEEPEST or len(path) - len(str(folder)) > LONGEST:
            lifted = str(folder / f".lifted-{generate_random_name()}")
            Path(path).rename(lifted)
            path, depth = lifted, 0
        with suppress(OSError):
            Path(path).chmod(0o700)
            with os.scandir(path) as entries:
                inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            waiting += [(each, depth + 1) for each in inner]
