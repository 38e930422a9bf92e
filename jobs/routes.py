"""The routes an answer may take: asked about the five awkward images, and compared with the package alone."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from jobs import sandbox, training
from jobs.enclosing import enclose
from learning import awkward
from learning.litert import NetworkClassifier
from learning.uploads import throwaway
from models import Version
from serving import batches, prediction
from utils import center_crop, open_image

KERAS_SECONDS = 300
OF_STRANGERS = ("custom", "uploaded")  # recipes whose Keras file is opened in a sandbox or not at all

Shares = dict[str, float]  # label -> probability


class KerasSilent(RuntimeError):
    """Keras could not be asked here; that says nothing of the file. The message says why."""


def compare(version: Version) -> dict[str, float]:
    """Return how far each route is from the package's whole network in LiteRT at most, in any probability.

    Nothing is stored. Routes: `page and API`, `command line` with a package, `dataset and batches` (the
    command line with a dataset's name, and zips in the background).

    Raises:
        VersionUnusable, PackageDamaged: a file is missing or damaged, or the version is marked as faulty.
    """
    folder, files = training.package_folder(version), awkward.draw_all()
    wanted = _by_network(folder, files)
    routes: dict[str, Callable[[], list[Shares]]] = {
        "page and API": lambda: [
            dict(prediction.predict(version, content).probabilities) for content in files.values()
        ],
        "command line": lambda: _by_answerer(batches.by_package(folder), files),
        "dataset and batches": lambda: _by_answerer(batches.by_version(version), files),
    }
    return {name: max(map(_distance, ask(), wanted)) for name, ask in routes.items()}


def _by_network(folder: Path, files: dict[str, bytes]) -> list[Shares]:
    network = NetworkClassifier(folder)
    labels, size = network.package.labels, network.package.input_size
    squares = [center_crop(open_image(content), size) for content in files.values()]
    return [dict(zip(labels, network.probabilities(square).tolist(), strict=True)) for square in squares]


def _by_answerer(answerer: batches.Answerer, files: dict[str, bytes]) -> list[Shares]:
    images = [batches.ImageFile(name, partial(bytes, content)) for name, content in files.items()]
    return [dict(answer.pairs) for answer in batches.answer_all(answerer, images)]


def _distance(said: Shares, wanted: Shares) -> float:
    """Return the largest difference; infinite where other labels, or none, were said."""
    if said.keys() != wanted.keys():
        return np.inf
    return max(abs(said[label] - wanted[label]) for label in wanted)


def ask_keras(recipe: str, folder: Path) -> dict[str, np.ndarray]:
    """Return what a package's model.keras says of its golden images, float64 (labels,) by their names.

    It is asked in a throwaway process, in the sandbox where there is one.

    Raises:
        KerasSilent: it could not be asked.
    """
    if recipe in OF_STRANGERS and sandbox.probe() is None:
        raise KerasSilent("it is somebody's own, and there is no sandbox to open it in")
    with tempfile.TemporaryDirectory() as scratch:
        words = ["-m", "learning.keras_answers", str(folder)]
        command, environment = enclose(words, Path(scratch), [folder], throwaway.PROBE_MEMORY)
        try:
            ended = subprocess.run(
                command,
                cwd=throwaway.ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=KERAS_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise KerasSilent(f"it took longer than {KERAS_SECONDS} seconds") from None
    return _read(ended.stdout)


def _read(output: bytes) -> dict[str, np.ndarray]:
    """Return the last line's answers; a stranger's model may have written anything."""
    lines = output.strip().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else None
        return {name: np.array(row, dtype=np.float64) for name, row in said.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise KerasSilent("its process ended without an answer, perhaps of memory") from error
