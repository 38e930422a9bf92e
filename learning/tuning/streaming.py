"""Images streamed into a training: decoded by the one pixel path on all cores, kept a while in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learning.embeddings import count_cores
from learning.inputs import read_image
from utils import center_crop, open_image

# Decoded squares are kept on disk up to this size, never in memory: 7,000 squares of 224 pixels.
MOST_CACHED_BYTES = 2**30


class Squares:
    """The squares of a run's items by their place; decoded once where the file of them has room.

    The file has no name, so that it is gone with the process whatever ends it.
    """

    def __init__(self, items: Sequence[dict[str, Any]], size: int, folder: str | Path):
        self.items, self.size, self.folder = items, size, Path(folder)
        self._bytes = size * size * 3
        self._known = np.zeros(min(len(items), MOST_CACHED_BYTES // self._bytes), bool)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __len__(self) -> int:
        return len(self.items)

    def read(self, place: int) -> np.ndarray:
        """Return uint8 (size, size, 3); safe from any thread.

        Raises:
            ImageRefused: the file is no longer what it was.
            OSError: it cannot be read.
        """
        if place < len(self._known) and self._known[place]:
            return self._recall(place)
        square = center_crop(open_image(read_image(self.items[place])), self.size)
        if place < len(self._known):
            self._keep(place, square)
        return square

    def _recall(self, place: int) -> np.ndarray:
        content = os.pread(self._file.fileno(), self._bytes, place * self._bytes)
        return np.frombuffer(content, np.uint8).reshape(self.size, self.size, 3)

    def _keep(self, place: int, square: np.ndarray) -> None:
        try:
            os.pwrite(self._file.fileno(), square.tobytes(), place * self._bytes)
        except OSError:  # the disk is full: it is decoded again the next time
            return
        self._known[place] = True


def stream(squares: Squares, places: np.ndarray, batch: int) -> Any:
    """Return a tf.data.Dataset of uint8 (batch, size, size, 3), in the order of `places`.

    A few batches are decoded ahead, and no more; the last may be smaller.
    """
    import tensorflow as tf

    shape = (squares.size, squares.size, 3)

    def load(place):
        square = tf.numpy_function(lambda at: squares.read(int(at)), [place], tf.uint8)
        return tf.ensure_shape(square, shape)

    threads = max(2, count_cores())
    loaded = tf.data.Dataset.from_tensor_slices(np.asarray(places)).map(load, threads, deterministic=True)
    return run_ahead(loaded.batch(batch))


def run_ahead(batches: Any) -> Any:
    """Return a tf.data.Dataset that has two batches ready and ends at once.

    One that tunes itself waits at its end for the tuner's next look, which comes ever later: 1, 3, 5, 10 s.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
