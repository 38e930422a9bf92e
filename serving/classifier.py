"""This process's interpreters and heads: which files answer for a version, and whose turn it is.

A version answers with a head on its backbone's embedding or with a whole network of its own. There is one
one-thread interpreter for each backbone or network in each web process, over a memory-mapped file. An
interpreter must never work for two threads at once, so calls take turns; how many may wait is bounded.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from flask import current_app

from learning.embeddings import Embedder
from learning.litert import Network
from learning.package import NETWORK, NETWORK_FILE, Decision, OtherPixels, Package, Said, load_package
from models import Version

# A head is a few hundred kilobytes, an interpreter about 30 MB.
HEADS_KEPT = 64
INTERPRETERS_KEPT = 3

ADVICE = "Restore it from a backup, go back to another version, or train again."
DAMAGED = f"This version's package is missing or damaged. {ADVICE}"

Ask = Callable[[np.ndarray], "np.ndarray | Said"]
AskWithMap = Callable[[np.ndarray], tuple[np.ndarray, "np.ndarray | None"]]

_loading = threading.Lock()


class VersionUnusable(RuntimeError):
    """A version's files are missing, damaged or disagree; the message says what to do."""


class Busy(RuntimeError):
    """More predictions wait in this process than may; the message says to try again."""


class Line:
    """One interpreter and those who wait for it: one call at a time, at most `places` of them in the line."""

    def __init__(self, ask: Ask, places: int, ask_with_map: AskWithMap | None = None):
        self._ask, self._ask_with_map = ask, ask_with_map
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

    def ask(self, pixels: np.ndarray) -> np.ndarray | Said:
        """Return what the interpreter says of uint8 (size, size, 3), when our turn comes.

        Of a backbone the embedding, float32 (embedding size,); of a whole network what `Network.say` gives.
        """
        with self._turn:
            return self._ask(pixels)

    def ask_with_map(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the embedding or the logits, and the map, float32 (h, w, features), where there is one."""
        with self._turn:
            return self._ask_with_map(pixels)


@dataclass(frozen=True)
class Classifier:
    """What answers for one version: its package (labels, calibration, head) and its interpreter's line."""

    package: Package
    line: Line

    def answer(self, pixels: np.ndarray) -> Decision:
        """Decide what is said of uint8 (size, size, 3).

        Raises:
            NoAnswer: the network gives no number.
        """
        said = self.line.ask(pixels)
        return self.package.answer(said if self.package.answers_with == NETWORK else self.package.say(said))

    def look(self, pixels: np.ndarray) -> tuple[Said, np.ndarray | None]:
        """Return what is said of uint8 (size, size, 3), and the map it comes from, where there is one."""
        said, seen = self.line.ask_with_map(pixels)
        if self.package.answers_with == NETWORK:
            return Said(said, None if seen is None else seen.mean(axis=(0, 1))), seen
        return self.package.say(said), seen


def require_sound(version: Version) -> None:
    """See that nothing was found wrong with a version's files (jobs/faults.py looks at them).

    Raises:
        VersionUnusable: something was.
    """
    if version.fault:
        raise VersionUnusable(f"Version {version.number} is not served. {version.fault}")


def open_anew(version: Version) -> Classifier:
    """Return what answers for `version` from its files as they are now, marked as faulty or not.

    Raises:
        VersionUnusable: a file of the version is missing or damaged.
    """
    package = _read_package(_package_folder(version))
    return Classifier(package, _new_line(*_file_of(package), 1))


def find(version: Version) -> Classifier:
    """Return what answers for `version`, loaded on first use in this process and kept.

    Raises:
        VersionUnusable: a file of the version is missing or damaged, or it is marked as faulty.
    """
    places = current_app.config["PIGEONHOLE"].predict_queue
    with _loading:
        package = _load(version)
        return Classifier(package, _open_line(*_file_of(package), places))


def find_apart(version: Version) -> tuple[Package, Callable[[], Classifier]]:
    """Return the package of `version`, and what opens it with an interpreter that nobody else waits for.

    The latter works in any thread; what it gives is for one thread, and not kept.

    Raises:
        VersionUnusable: a file of the version is missing or damaged.
    """
    with _loading:
        package = _load(version)
        path, sha256 = _file_of(package)
    return package, lambda: Classifier(package, _new_line(path, sha256, 1))


def file_of(version: Version) -> Path:
    """Return the file that the version's interpreter runs.

    Raises:
        VersionUnusable: the version's package is missing or damaged.
    """
    with _loading:
        return _file_of(_load(version))[0]


def _file_of(package: Package) -> tuple[Path, str]:
    """Return the file that the package's interpreter runs, and the SHA-256 it must have."""
    if package.answers_with == NETWORK:
        return package.folder / NETWORK_FILE, package.network_sha256
    identifier = package.backbone_identifier
    return current_app.config["PIGEONHOLE"].folder("backbones") / f"{identifier}.tflite", identifier


def _package_folder(version: Version) -> Path:
    return current_app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package"


def _load(version: Version) -> Package:
    """Return the version's package as package.json has it now: its thresholds may have been changed."""
    require_sound(version)
    folder = _package_folder(version)
    try:
        written = (folder / "package.json").stat()
        return _load_package(folder, (written.st_ino, written.st_mtime_ns))
    except OSError as error:
        raise VersionUnusable(DAMAGED) from error


@lru_cache(HEADS_KEPT)
def _load_package(folder: Path, written: tuple[int, int]) -> Package:
    """`written`, an inode and a time, tells one package.json of the folder from the next."""
    return _read_package(folder)


def _read_package(folder: Path) -> Package:
    try:
        return load_package(folder)
    except OtherPixels as error:
        raise VersionUnusable(str(error)) from error
    except (OSError, ValueError, KeyError) as error:
        raise VersionUnusable(DAMAGED) from error


def _new_line(path: Path, sha256: str, places: int) -> Line:
    """Open a network file once its SHA-256 was checked: a damaged one could crash us."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VersionUnusable(f"This version's network file {path.name} is missing. {ADVICE}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VersionUnusable(f"This version's network file {path.name} is damaged. {ADVICE}")
    if path.name == NETWORK_FILE:
        network = Network(path)
        return Line(network.say, places, network.logits_with_map)
    embedder = Embedder(path)
    return Line(embedder.embed, places, embedder.embed_with_map)


_open_line = lru_cache(INTERPRETERS_KEPT)(_new_line)


def forget() -> None:
    """Drop everything loaded. A forked process must, since it may not share its parent's interpreters."""
    global _loading
    _loading = threading.Lock()
    _load_package.cache_clear()
    _open_line.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
