"""What a training is at one step, kept so that a kill -9 at any moment costs only the steps since."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from utils import open_atomically

KEPT = 2
VERSION = 3  # raised when what a checkpoint holds changes: a run begun with another begins anew
DAMAGE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)


def save(folder: Path, step: int, groups: dict[str, list[np.ndarray]], state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all, and keep only it and the one before.

    Args:
        folder: made if missing.
        step: its number; a later checkpoint has a greater one, and greater ones are of a try given up.
        groups: lists of arrays by name.
        state: what JSON can carry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = {
        f"{name}/{place}": array for name, arrays in groups.items() for place, array in enumerate(arrays)
    }
    counts = {name: len(arrays) for name, arrays in groups.items()}
    text = json.dumps(state | {"counts": counts, "version": VERSION})
    newest = folder / f"{step:09}.npz"
    with open_atomically(newest) as file:
        np.savez(file, state=np.frombuffer(text.encode(), np.uint8), **named)
    kept = [path for path in _list(folder) if path <= newest][:KEPT]
    for path in set(_list(folder)) - set(kept):
        path.unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
    """Return groups and state of the newest checkpoint that is whole, or None where there is none."""
    for path in _list(folder):
        try:
            return _read(path)
        except DAMAGE:
            continue
    return None


def _read(path: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    with np.load(path, allow_pickle=False) as kept:
        state = json.loads(kept["state"].tobytes())
        if state.pop("version", 1) != VERSION:
            raise ValueError("It is of another version.")
        counts = state.pop("counts")
        groups = {name: [kept[f"{name}/{place}"] for place in range(count)] for name, count in counts.items()}
    return groups, state


def _list(folder: Path) -> list[Path]:
    """The checkpoints, newest first."""
    return sorted(folder.glob("*.npz"), reverse=True) if folder.exists() else []
