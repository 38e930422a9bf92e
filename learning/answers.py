"""What a whole network file answers to many images: one interpreter a core, memory flat in their number."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from learning import inputs
from learning.embeddings import Refusal, as_refusal
from learning.litert import Network
from utils import ImageRefused, center_crop, open_image

BATCH = 64  # images between two looks at whether to stop


class NoNumbers(RuntimeError):
    """What a network says of some images is no number; the message says of how many."""


def check(logits: np.ndarray) -> np.ndarray:
    """Return the logits, float (items, labels), by which a network is to be measured.

    Raises:
        NoNumbers: some are no finite numbers.
    """
    wrong = int((~np.isfinite(logits)).any(axis=1).sum())
    if wrong:
        told = f"The network gives no number for {wrong:,} of {len(logits):,} images"
        raise NoNumbers(f"{told}. Look for a division by zero or a logarithm of zero in it.")
    return logits


def ask_all(
    path: Path,
    items: Iterable[dict[str, Any]],
    size: int,
    on_progress: Callable[[int], None] = lambda done: None,
    ask_one: Callable[[Network, np.ndarray], np.ndarray] = Network.logits,
) -> tuple[np.ndarray, list[Refusal]]:
    """Return the logits of every readable item in order, float32 (items, labels), and the refused.

    Args:
        path: a LiteRT file that takes float32 (1, size, size, 3) of 0 to 255.
        items: manifest lines.
        on_progress: told after each batch how many are done; it may raise to stop.
        ask_one: what is asked of the network for each image's pixels, if not its logits: a vector.
    """
    own = threading.local()

    def ask(item: dict[str, Any]) -> np.ndarray | Refusal:
        try:
            pixels = center_crop(open_image(inputs.read_image(item)), size)
        except (ImageRefused, OSError) as error:
            return as_refusal(item["sha256"], error)
        if not hasattr(own, "network"):
            own.network = Network(path)
        return ask_one(own.network, pixels).copy()

    answers, done = [], 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch in _batches(items):
            answers += threads.map(ask, batch)
            done += len(batch)
            on_progress(done)
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    logits = [answer for answer in answers if not isinstance(answer, Refusal)]
    return np.stack(logits) if logits else np.empty((0, 0), np.float32), refused


def _batches(items: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch
