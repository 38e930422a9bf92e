"""Whether an image is like anything a version was taught: one number from its embedding and probabilities.

Three signs of a foreign image are set against what held-out images show, and added up: the head hesitates
between two labels; no taught image of the label it says is near; and the embedding has a part that the taught
images' main axes cannot make up. None alone is enough. Maximum softmax (Hendrycks & Gimpel 2017) and energy
(Liu et al. 2020) find new kinds of what was taught, but are certain of anything else; nearest neighbours (Sun
et al. 2022), Mahalanobis distance (Lee et al. 2018) and what the main axes leave over (as in ViM, Wang et al.
2022) find anything else, but not new kinds. AUROC of new kinds and of anything else, worst of three data
sets: maximum softmax 0.75 and 0.68, nearest neighbour 0.58 and 0.989, the three signs 0.83 and 0.9999.
`python -m benchmarks.unknown` prints the whole table; docs/benchmarks.md, section Unknown, keeps it.

Each sign is standardised by the honest values and passed through `log(1 + exp(1.8 z))`, the logarithm of a
logistic tail, so that the sum is Fisher's method: nothing ordinary makes up for something strange.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from learning import strangeness
from learning.calibration import MULTI, SINGLE
from utils import open_atomically

FILE = "rejection.npz"
# Of the references: 3,276 images where the last layer has 1,280 numbers.
REFERENCE_BYTES = 4 << 20
MOST_TO_SPAN = 1_000
MOST_JUDGED = 5_000  # two digits of a threshold need no more
# Cosine similarity from which on two images are copies: who leaves one out leaves out the other.
COPY = 0.9995
LARGEST_FILE = 64 << 20
WORDS = (
    "An image is unknown when its score is over the threshold: the classifier hesitates, no taught image of "
    "the label it says is near, and the taught images together do not explain it."
)
SOURCES = tuple(f"https://arxiv.org/abs/{paper}" for paper in ("1610.02136", "2204.06507", "2203.10807"))
KINDS = {"references": np.int8, "bears": np.uint8, "hashes": np.uint8}
KINDS |= dict.fromkeys(("scales", "mean", "axes"), np.float32)
KINDS |= dict.fromkeys(("centres", "spreads", "limits"), np.float64)


class RejectionDamaged(ValueError):
    """The file is no rejection of ours, or not whole; the message names it."""


@dataclass(frozen=True)
class Rejection:
    """What was taught, as far as it takes to tell what is not like it.

    Attributes:
        references: int8 (references, width), the last layer's numbers of taught images, rounded.
        scales: float32 (references,), one over the length of each of these.
        bears: uint8 (references, labels), 1 where the image has the label.
        hashes: uint8 (references, 32), SHA-256 of their images.
        mean: float32 (embedding size,); axes: float32 (axes, embedding size), each of length 1.
        centres, spreads: float64 (3,), of the three signs on honest items.
        limits: float64 (3,): threshold, share of the honest items kept, how many these were.
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
        """An image with a score over it is unknown."""
        return float(self.limits[0])

    @property
    def kept(self) -> float:
        """The share of the honest items that are not rejected, 0 to 1."""
        return float(self.limits[1])

    def fits(self, embedding_size: int, labels: int) -> bool:
        """Whether it is of embeddings of this size and of so many labels."""
        return (embedding_size, labels) == (len(self.mean), self.bears.shape[1])

    def score(self, embedding: np.ndarray, probabilities: np.ndarray) -> float:
        """Return how foreign an image is: about 3 for an ordinary one, without upper limit.

        Args:
            embedding: float32 (embedding size,); probabilities: float64 (labels,), calibrated.
        """
        return float(self.scores(embedding[np.newaxis], probabilities[np.newaxis])[0])

    def scores(self, embeddings: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return the scores, float64 (items,), of many images at once."""
        signs = self.find_signs(embeddings, probabilities)
        return strangeness.add_up((signs - self.centres) / self.spreads)

    def is_unknown(self, embedding: np.ndarray, probabilities: np.ndarray) -> bool:
        """Whether the image is like nothing that was taught; arguments as `score`'s.

        So is one of which the network says something without limit, as it did of no taught image.
        """
        if not np.isfinite(embedding).all():
            return True
        return not self.score(embedding, probabilities) <= self.threshold  # so written, no number is unknown

    def nearest(self, embedding: np.ndarray, count: int = 6) -> list[tuple[str, float]]:
        """Return SHA-256 of the taught images most like this one and their cosine similarity, best first."""
        similar = self._compare(embedding[np.newaxis], np.arange(len(self.references)))[0]
        order = np.argsort(-similar, kind="stable")[:count]
        return [(self.hashes[place].tobytes().hex(), float(similar[place])) for place in order]

    def find_signs(
        self, embeddings: np.ndarray, probabilities: np.ndarray, hashes: np.ndarray | None = None
    ) -> np.ndarray:
        """Return how doubtful, distant and left over each item is, float64 (items, 3), not standardised.

        Args:
            embeddings: float32 (items, embedding size); probabilities: float64 (items, labels).
            hashes: uint8 (items, 32); where given, neither the item itself nor a copy of it is near it.
        """
        distances = np.empty(len(embeddings))
        said = probabilities.argmax(axis=1)
        for label in np.unique(said):
            rows = np.flatnonzero(said == label)
            for part in (rows[chunk] for chunk in strangeness.chunks(len(rows))):
                own = None if hashes is None else hashes[part]
                distances[part] = 1 - self._find_nearest(embeddings[part], int(label), own)
        doubts = strangeness.find_doubts(probabilities, self.task)
        return np.column_stack([doubts, distances, strangeness.leave_over(embeddings, self.mean, self.axes)])

    def to_spec(self) -> dict[str, Any]:
        """Return what package.json tells of it."""
        return {
            "file": FILE,
            "score": "doubt, distance and left-over",
            "threshold": round(self.threshold, 6),
            "keeps": round(self.kept, 4),
            "measured_on": int(self.limits[2]),
            "references": len(self.references),
            "words": WORDS,
            "sources": list(SOURCES),
        }

    def save(self, path: str | Path) -> None:
        """Write one `.npz`, not compressed, whole or not at all."""
        with open_atomically(path) as file:
            np.savez(file, task=np.array(self.task), **{name: getattr(self, name) for name in KINDS})

    def _find_nearest(self, embeddings: np.ndarray, label: int, hashes: np.ndarray | None) -> np.ndarray:
        """Return the cosine similarity, 0 to 1, to the nearest reference that has the label."""
        places = self._places[label]
        similar = self._compare(embeddings, places)
        if hashes is not None:
            is_own = strangeness.shorten(hashes)[:, np.newaxis] == strangeness.shorten(self.hashes[places])
            similar[is_own | (similar > COPY)] = 0
        return similar.max(axis=1, initial=0)

    def _compare(self, embeddings: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return cosine similarities, float32 (items, places), a few references at a time."""
        asked = strangeness.normalise(embeddings[:, : self.references.shape[1]])
        parts = [places[rows] for rows in strangeness.chunks(len(places))]
        similar = [asked @ self.references[part].astype(np.float32).T for part in parts]
        return np.concatenate(similar, axis=1) * self.scales[places]

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

    Time and memory are bounded by 5,000 items to measure on, 1,000 for the axes and 4 MiB of references.

    Args:
        embeddings: float32 (items, embedding size) of everything that was taught; may be memory-mapped.
        probabilities: float64 (items, labels), each by something that never saw the item (leave-one-out).
        targets: float (items, labels), 1 where the item has the label, else 0.
        hashes: SHA-256 of every item's image, in hex.
        judged: places of the items to measure on, where the network learnt from the others, so that these
            are flattered (their probabilities are not read); all items unless given.

    Raises:
        NotMeasurable: an embedding or a probability is no finite number, or there is no item to measure on.
    """
    rng = np.random.default_rng(seed)
    judged = np.arange(len(embeddings)) if judged is None else np.sort(judged)
    if not len(judged):
        raise strangeness.NotMeasurable("There is no image to measure on.")
    judged = strangeness.draw(rng, judged, MOST_JUDGED)
    width = strangeness.find_width(embeddings)
    drawn = strangeness.draw_evenly(rng, targets, max(REFERENCE_BYTES // width, 1))
    others = np.setdiff1d(drawn, judged)  # axes that never saw a judged item need no putting right
    spanning = strangeness.draw(rng, others if 2 * len(others) >= len(drawn) else drawn, MOST_TO_SPAN)
    mean, axes, leverage = strangeness.find_axes(strangeness.check_finite(embeddings[spanning]))
    numbers = strangeness.check_finite(embeddings[drawn, :width])
    references = strangeness.round_off(strangeness.normalise(numbers))
    known = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), 32)
    bears = (targets[drawn] > 0).astype(np.uint8)
    nothing = np.zeros(3)
    found = Rejection(*references, bears, known[drawn], mean, axes, nothing, nothing + 1, nothing, task)
    signs = found.find_signs(embeddings[judged], probabilities[judged], known[judged])
    strangeness.check_finite(signs)[:, 2] /= (1 - strangeness.look_up(judged, spanning, leverage)) ** 2
    centres, spreads = strangeness.standardise(signs)
    scores = strangeness.add_up((signs - centres) / spreads)
    threshold = strangeness.find_threshold(scores)
    limits = np.array([threshold, np.mean(scores <= threshold), len(scores)])
    return replace(found, centres=centres, spreads=spreads, limits=limits)


def load(path: str | Path) -> Rejection:
    """Read what `save` wrote; it may come from a stranger.

    Raises:
        RejectionDamaged: it is missing, damaged, too large, or its parts do not fit each other.
    """
    try:
        _check_container(Path(path))
        with np.load(path, allow_pickle=False) as file:
            found = Rejection(**{name: file[name] for name in KINDS}, task=str(file["task"]))
        _check(found)
    except Exception as error:  # a damaged zip raises BadZipFile, zlib.error, struct.error and others
        raise RejectionDamaged(f"{path} is missing or damaged.") from error
    return found


def _check_container(path: Path) -> None:
    """Raise ValueError where more could come out than lies there."""
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
    is_plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not is_plain or len(members) != len(KINDS) + 1 or path.stat().st_size > LARGEST_FILE:
        raise ValueError("not the parts it should have")


def _check(found: Rejection) -> None:
    """Raise ValueError unless all arrays are of their kind, finite, and fit each other."""
    (count, width), (_, labels) = found.references.shape, found.bears.shape
    size, three = len(found.mean), (3,)
    shapes = [(count, width), (count, labels), (count, 32), (count,), (size,), (len(found.axes), size)]
    for (name, kind), shape in zip(KINDS.items(), [*shapes, three, three, three], strict=True):
        array = getattr(found, name)
        if array.dtype != kind or array.shape != shape:
            raise ValueError(name)
        strangeness.check_finite(array)
    if not count or not 0 < width <= size or (found.spreads <= 0).any() or found.task not in (SINGLE, MULTI):
        raise ValueError("out of range")
