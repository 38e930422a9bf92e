"""This process's interpreters and heads: which files answer for a version, and whose turn it is.

One one-thread interpreter for each backbone in each web process, over a memory-mapped file. An interpreter
must never work for two threads at once, so calls take turns; how many may wait is bounded.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from flask import current_app

from learning.embeddings import Embedder
from learning.package import Package, load_package
from models import Version

# A head is a few hundred kilobytes, an interpreter about 30 MB.
HEADS_KEPT = 64
INTERPRETERS_KEPT = 3

_loading = threading.Lock()


class VersionUnusable(RuntimeError):
    """A version's files are missing or damaged; the message says what to do."""


class Busy(RuntimeError):
    """More predictions wait in this process than may; the message says to try again."""


class Line:
    """One interpreter and those who wait for it: one call at a time, at most `places` of them in the line."""

    def __init__(self, embedder: Embedder, places: int):
        self._embedder = embedder
        self._places = threading.Semaphore(places)
        self._turn = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Stand in the line while the block runs.

        Raises:
            Busy: the line is full.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("Too many predictions are waiting. Try again in a moment.")
        try:
            yield
        finally:
            self._places.release()

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embedding, float32 (embedding size,), of uint8 (size, size, 3), when our turn comes."""
        with self._turn:
            return self._embedder.embed(pixels)


@dataclass(frozen=True)
class Classifier:
    """What answers for one version: its package (head, labels, calibration) and its backbone's line."""

    package: Package
    line: Line

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 (labels,), for uint8 (size, size, 3)."""
        return self.package.probabilities(self.line.embed(pixels))


def find(version: Version) -> Classifier:
    """Return what answers for `version`, loaded on first use in this process and kept.

    Raises:
        VersionUnusable: a file of the version is missing or damaged.
    """
    settings = current_app.config["PIGEONHOLE"]
    with _loading:
        package = _load_head(_package_folder(version))
        path = settings.folder("backbones") / f"{package.backbone_identifier}.tflite"
        return Classifier(package, _open_line(path, settings.predict_queue))


def _package_folder(version: Version) -> Path:
    return current_app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package"


@lru_cache(HEADS_KEPT)
def _load_head(folder: Path) -> Package:
    try:
        return load_package(folder)
    except (OSError, ValueError, KeyError) as error:
        raise VersionUnusable(f"This version's package is missing or damaged. {_advice()}") from error


@lru_cache(INTERPRETERS_KEPT)
def _open_line(path: Path, places: int) -> Line:
    """Open the backbone whose file is named by its SHA-256, once checked: a damaged one could crash us."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VersionUnusable(f"This version's backbone file {path.name} is missing. {_advice()}") from error
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise VersionUnusable(f"This version's backbone file {path.name} is damaged. {_advice()}")
    return Line(Embedder(path), places)


def _advice() -> str:
    return "Restore it from a backup, or train again."


def forget() -> None:
    """Drop everything loaded. A forked process must, since it may not share its parent's interpreters."""
    global _loading
    _loading = threading.Lock()
    _load_head.cache_clear()
    _open_line.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
