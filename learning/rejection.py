"""Whether an image is like anything a version was taught: one number from its embedding and probabilities.

Three signs of a foreign image are set against what held-out images show, and added up: the head hesitates
between two labels; no taught image of the label it says is near; and the embedding has a part that the taught
images' main axes cannot make up. None alone is enough. Maximum softmax (Hendrycks & Gimpel 2017) and energy
(Liu et al. 2020) find new kinds of what was taught, but are certain of anything else; nearest neighbours (Sun
et al. 2022), Mahalanobis distance (Lee et al. 2018) and what the main axes leave over (as in ViM, Wang et al.
2022) find anything else, but not new kinds. docs/benchmarks.md, section Unknown, compares them.

Each sign is standardised by the honest values and passed through `log(1 + exp(1.8 z))`, the logarithm of a
logistic tail, so that the sum is Fisher's method: nothing ordinary makes up for something strange.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from utils import open_atomically

SINGLE = "single-label"
TASKS = (SINGLE, "multi-label")
KEEPS = 0.95  # of held-out images, by the threshold
REFERENCE_BYTES = 4 << 20
MOST_TO_SPAN, MOST_AXES = 1_000, 64
MOST_JUDGED = 5_000  # two digits of a threshold need no more
CHUNK = 1_024
# Cosine similarity from which two images are copies: leaving one out means leaving out the other.
COPY = 0.9995
STEEPNESS = 1.8  # π / √3, of the logistic distribution with spread 1
# What is left over of the main axes tells of wholly other images; only what is far out counts.
SHIFTS = np.array([0.0, 0.0, 2.0])
LEAST_SPREADS = np.array([1e-2, 1e-3, 1e-3])
LEAST_PROBABILITY = 1e-6
LEAST_THRESHOLD = 10.0  # where there are too few to tell
LARGEST_FILE = 64 << 20
FIELDS = {
    "references": "int8",
    "scales": "float32",
    "bears": "uint8",
    "hashes": "uint8",
    "mean": "float32",
    "axes": "float32",
    "centres": "float64",
    "spreads": "float64",
    "limits": "float64",
}


class RejectionDamaged(ValueError):
    """The file is no rejection of ours, or not whole; the message names it."""


@dataclass(frozen=True)
class Rejection:
    """What was taught, as far as it takes to tell what is not like it.

    Attributes:
        references: int8 (references, width), the taught images' first `width` numbers over `scales`, float32.
        bears: uint8 (references, labels), 1 where the image has the label.
        hashes: uint8 (references, 32), SHA-256 of their images.
        mean: float32 (embedding size,), axes: float32 (axes, embedding size), of length 1.
        centres, spreads: float64 (3,), of the three signs on honest items.
        limits: float64 (threshold, share of honest items kept, how many there were).
        task: `single-label` or `multi-label`.
    """

    references: np.ndarray
    scales: np.ndarray
    bears: np.ndarray
    hashes: np.ndarray
    mean: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray
    limits: np.ndarray
    task: str

    @property
    def threshold(self) -> float:
        """The score from which on an image is unknown."""
        return float(self.limits[0])

    @property
    def kept(self) -> float:
        """The share of the honest items that are not rejected, 0 to 1."""
        return float(self.limits[1])

    def score(self, embedding: np.ndarray, probabilities: np.ndarray) -> float:
        """Return how foreign an image is, 0 to some hundred; ordinary ones have about 3.

        Args:
            embedding: float32 (embedding size,); probabilities: float64 (labels,), calibrated.
        """
        signs = self.find_signs(embedding[np.newaxis], probabilities[np.newaxis])
        return float(add_up((signs - self.centres) / self.spreads)[0])

    def is_unknown(self, embedding: np.ndarray, probabilities: np.ndarray) -> bool:
        """Whether the image is like nothing that was taught; arguments as `score`'s."""
        return self.score(embedding, probabilities) > self.threshold

    def nearest(self, embedding: np.ndarray, count: int = 6) -> list[tuple[str, float]]:
        """Return SHA-256 of the taught images most like this one and their cosine similarity, best first."""
        asked = _normalise(embedding[np.newaxis, : self.references.shape[1]])[0]
        similar = np.concatenate([self.references[rows] @ asked for rows in _chunks(len(self.references))])
        similar *= self.scales
        order = np.argsort(-similar, kind="stable")[:count]
        return [(self.hashes[place].tobytes().hex(), float(similar[place])) for place in order]

    def to_spec(self) -> dict[str, Any]:
        """Return what package.json tells of it."""
        return {
            "score": "doubt, distance and left-over",
            "threshold": round(self.threshold, 6),
            "keeps": round(self.kept, 4),
            "measured_on": int(self.limits[2]),
            "references": len(self.references),
            "words": (
                "An image is unknown when its score is over the threshold. The score adds up how much the "
                "classifier hesitates, how far the nearest taught image of its label is, and how much of the "
                "image's embedding the taught images' main axes leave over."
            ),
            "sources": [
                "Hendrycks & Gimpel 2017, https://arxiv.org/abs/1610.02136",
                "Sun et al. 2022, https://arxiv.org/abs/2204.06507",
                "Wang et al. 2022, https://arxiv.org/abs/2203.10807",
            ],
        }

    def save(self, path: str | Path) -> None:
        """Write one `.npz`, not compressed, whole or not at all."""
        arrays = {name: getattr(self, name) for name in FIELDS}
        with open_atomically(path) as file:
            np.savez(file, task=np.array(self.task), **arrays)

    def find_signs(
        self, embeddings: np.ndarray, probabilities: np.ndarray, hashes: np.ndarray | None = None
    ) -> np.ndarray:
        """Return how doubtful, distant and left over each item is, float64 (items, 3), not yet standardised.

        Args:
            embeddings: float32 (items, embedding size); probabilities: float64 (items, labels).
            hashes: uint8 (items, 32); where given, neither the item itself nor a copy of it is near it.
        """
        distances = np.ones(len(embeddings))
        said = probabilities.argmax(axis=1)
        for label in np.unique(said):
            rows = np.flatnonzero(said == label)
            for part in np.array_split(rows, 1 + len(rows) // CHUNK):
                own = None if hashes is None else hashes[part]
                distances[part] = 1 - self._find_nearest(embeddings[part], int(label), own)
        doubts = _find_doubts(probabilities, self.task)
        return np.column_stack([doubts, distances, _leave_over(embeddings, self.mean, self.axes)])

    def _find_nearest(self, embeddings: np.ndarray, label: int, hashes: np.ndarray | None) -> np.ndarray:
        """Return the cosine similarity, 0 to 1, to the nearest reference that has the label."""
        places = self._places[label]
        asked = _normalise(embeddings[:, : self.references.shape[1]])
        similar = asked @ self.references[places].astype(np.float32).T * self.scales[places]
        if hashes is not None:
            is_own = (hashes[:, np.newaxis, :8] == self.hashes[places, :8]).all(axis=2)
            similar[is_own | (similar > COPY)] = 0
        return similar.max(axis=1, initial=0)

    @cached_property
    def _places(self) -> list[np.ndarray]:
        """Where each label's references are; of a label that has none, all."""
        every = np.arange(len(self.bears))
        found = (np.flatnonzero(column) for column in self.bears.T)
        return [places if len(places) else every for places in found]


def fit(
    embeddings: np.ndarray,
    probabilities: np.ndarray,
    targets: np.ndarray,
    hashes: list[str],
    *,
    task: str = SINGLE,
    seed: int = 0,
    judged: np.ndarray | None = None,
) -> Rejection:
    """Learn what held-out images of the taught kinds look like, so that 95 % of them are kept.

    Args:
        embeddings: float32 (items, embedding size) of everything that was taught; may be memory-mapped.
        probabilities: float64 (items, labels), each by a head that never saw the item (leave-one-out).
        targets: float (items, labels), 1 where the item has the label, else 0.
        hashes: SHA-256 of every item's image, in hex.
        judged: places of the items to measure on, where the network learnt from the others, so that their
            embeddings and probabilities (then not read) are flattered; all items unless given.
    """
    rng = np.random.default_rng(seed)
    judged = np.arange(len(embeddings)) if judged is None else np.asarray(judged)
    judged = np.sort(_draw(rng, judged, MOST_JUDGED))
    drawn = _draw_evenly(rng, targets, _first_width(embeddings))
    spanning = np.sort(_draw(rng, drawn, MOST_TO_SPAN))
    mean, axes, leverage = _find_axes(embeddings[spanning])
    width = _first_width(embeddings)
    references, scales = _round(_normalise(embeddings[drawn, :width]))
    known = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), 32)
    neutral = np.zeros(3), np.ones(3), np.zeros(3)
    bears = (targets[drawn] > 0).astype(np.uint8)
    found = Rejection(references, scales, bears, known[drawn], mean, axes, *neutral, task)
    signs = found.find_signs(embeddings[judged], probabilities[judged], known[judged])
    signs[:, 2] /= (1 - _look_up(spanning, leverage, judged)) ** 2
    centres, spreads = signs.mean(axis=0), np.maximum(signs.std(axis=0), LEAST_SPREADS)
    scores = add_up((signs - centres) / spreads)
    threshold = _find_threshold(scores)
    limits = np.array([threshold, np.mean(scores <= threshold), len(scores)])
    return replace(found, centres=centres, spreads=spreads, limits=limits)


def add_up(standardised: np.ndarray) -> np.ndarray:
    """Return the score, float64 (items,), of the signs, float64 (items, 3), in spreads from their mean."""
    return np.logaddexp(0, STEEPNESS * (standardised - SHIFTS)).sum(axis=1)


def load(path: str | Path) -> Rejection:
    """Read what `save` wrote; it may come from a stranger.

    Raises:
        RejectionDamaged: it is missing, damaged, too large, or its parts do not fit each other.
    """
    try:
        _check_container(Path(path))
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in FIELDS}
            found = Rejection(**arrays, task=str(file["task"]))
        _check(found)
    except Exception as error:  # a damaged zip raises BadZipFile, zlib.error, struct.error and others
        raise RejectionDamaged(f"{path} is missing or damaged.") from error
    return found


def _check_container(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
    names = {f"{name}.npy" for name in (*FIELDS, "task")}
    is_plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not is_plain or {m.filename for m in members} != names or path.stat().st_size > LARGEST_FILE:
        raise ValueError("not the parts it should have")


def _check(found: Rejection) -> None:
    """Raise ValueError unless all arrays are of their kind, finite, and fit each other."""
    count, size = len(found.references), len(found.mean)
    width = found.references.shape[1]
    shapes = {
        "references": (count, width),
        "scales": (count,),
        "bears": (count, found.bears.shape[1]),
        "hashes": (count, 32),
        "mean": (size,),
        "axes": (len(found.axes), size),
        "centres": (3,),
        "spreads": (3,),
        "limits": (3,),
    }
    for name, dtype in FIELDS.items():
        array = getattr(found, name)
        if array.dtype != dtype or array.shape != shapes[name] or not np.isfinite(array).all():
            raise ValueError(name)
    if not count or width > size or (found.spreads <= 0).any() or found.task not in TASKS:
        raise ValueError("out of range")


def _find_doubts(probabilities: np.ndarray, task: str) -> np.ndarray:
    """Return how much the head hesitates, float64 (items,).

    That is the logarithm of how likely the second label is beside the first; of several labels an image, the
    mean entropy of their answers in nats.
    """
    bounded = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if task == SINGLE:
        two = np.log(np.sort(bounded, axis=1)[:, -2:])
        return two[:, 0] - two[:, -1]
    return -(bounded * np.log(bounded) + (1 - bounded) * np.log1p(-bounded)).mean(axis=1)


def _leave_over(embeddings: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the squared length, float64 (items,), of what the axes cannot make up of each embedding."""
    left = []
    for rows in _chunks(len(embeddings)):
        centred = embeddings[rows] - mean
        left.append((centred**2).sum(axis=1) - ((centred @ axes.T) ** 2).sum(axis=1))
    return np.maximum(np.concatenate(left), 0).astype(np.float64)


def _find_axes(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, main axes, and how much each item bent them to itself (its leverage, 0 to 1).

    What is left over of an item is by 1 / (1 - leverage)² more where the axes never saw it.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    count = min(MOST_AXES, len(embeddings) // 4)
    places = np.argsort(-values)[:count]
    places = places[values[places] > max(values.max() * 1e-9, 1e-9)]
    vectors = vectors[:, places]
    axes = (centred.T @ vectors / np.sqrt(values[places])).T
    leverage = 1 / len(embeddings) + (vectors**2).sum(axis=1)
    return mean.astype(np.float32), axes.astype(np.float32), np.minimum(leverage, 0.9)


def _find_threshold(scores: np.ndarray) -> float:
    """Return the score that 95 % of images like these stay under (split conformal, Vovk et al. 2005).

    Under 20 items can't tell: then it is twice the highest of them, so that only what is wholly other goes.
    """
    place = int(np.ceil((len(scores) + 1) * KEEPS))
    if place > len(scores):
        return float(max(2 * scores.max(initial=0), LEAST_THRESHOLD))
    return float(np.sort(scores)[place - 1])


def _draw_evenly(rng: np.random.Generator, targets: np.ndarray, width: int) -> np.ndarray:
    """Return places of as many items as may be kept, as many of each item's rarest label."""
    most = max(REFERENCE_BYTES // width, 1)
    order = rng.permutation(len(targets))
    rarest = np.where(targets > 0, targets.sum(axis=0), np.inf).argmin(axis=1)[order]
    turn = np.empty(len(order), dtype=int)
    for label in np.unique(rarest):
        places = np.flatnonzero(rarest == label)
        turn[places] = np.arange(len(places))
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def _draw(rng: np.random.Generator, places: np.ndarray, most: int) -> np.ndarray:
    return places if len(places) <= most else rng.choice(places, most, replace=False)


def _look_up(spanning: np.ndarray, leverage: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Return the leverage of each judged item, 0 of those that the axes never saw."""
    at = np.minimum(np.searchsorted(spanning, judged), len(spanning) - 1)
    return np.where(spanning[at] == judged, leverage[at], 0.0)


def _first_width(embeddings: np.ndarray) -> int:
    """Return how many numbers the last layer has, which comes first and has length 1; else all of them."""
    squared = np.cumsum(embeddings[:100].astype(np.float64) ** 2, axis=1)
    is_one = np.abs(squared - 1).max(axis=0) < 1e-4
    return int(is_one.argmax()) + 1 if is_one.any() else embeddings.shape[1]


def _normalise(embeddings: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return (embeddings / np.maximum(lengths, 1e-12)).astype(np.float32)


def _round(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 rows and the float32 scale of each: 127 steps to the largest number."""
    scales = np.maximum(np.abs(numbers).max(axis=1), 1e-12) / 127
    return np.rint(numbers / scales[:, np.newaxis]).astype(np.int8), scales.astype(np.float32)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))
