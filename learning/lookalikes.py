"""Images that look alike, by the distance of their embeddings beside that of other images thereabouts.

How near a copy's embedding lies depends on the images: of photos of waste a copy cropped by 3 % has a cosine
of 0.95 and strangers rarely one above 0.8, of aerial photos two different fields may have 0.98. So two images
are alike when their distance is small beside the distance to the NEIGHBOURS-th nearest image of both (a ratio
test as in Lowe 2004, "Distinctive Image Features from Scale-Invariant Keypoints"), when they are all but the
same, or when they are near and their fingerprints are near-duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 10
# Measured on copies that we made: cropped by 3 % or turned by 3 degrees, 90 % of those of two sets are
# nearer, and half of those cropped by 8 %. Of the sets' own images 0.2 to 5 % have so near a neighbour.
NEAR_RATIO = 0.25  # of the distance to the NEIGHBOURS-th
SAME_COSINE = 0.97
EXACT_ITEMS = 5_000  # with more, neighbours are looked for along the AXES in which embeddings differ most
AXES = 128
BLOCK_NUMBERS = 16_000_000  # similarities held at once: 64 MB


@dataclass(frozen=True)
class Pairs:
    """Items that look alike: int (pairs, 2), their places; and float32 (pairs,), cosines, the highest first.

    A cosine is that of the centred embeddings, -1 to 1.
    """

    places: np.ndarray
    cosines: np.ndarray


def find(
    embeddings: np.ndarray,
    fingerprints: np.ndarray,
    max_bits: int,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Pairs:
    """Return the pairs of items that look alike; of each item its NEIGHBOURS nearest at most.

    Args:
        embeddings: float32 (items, embedding size), may be memory-mapped.
        fingerprints: uint64 (items,), difference hashes; 0 where there is nothing to compare.
        max_bits: by how many bits fingerprints of near-duplicates differ at most.
        tell: called with (done, total) block by block; may raise to end it.
    """
    count = min(NEIGHBOURS, len(embeddings) - 1)
    if count < 1:
        return Pairs(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    mean = _mean(embeddings)
    neighbours, cosines = _find_neighbours(_lay_out(embeddings, mean), count, tell)
    firsts, seconds, near = np.repeat(np.arange(len(neighbours)), count), neighbours.ravel(), cosines.ravel()
    prints = fingerprints[firsts], fingerprints[seconds]
    is_copy = (prints[0] != 0) & (prints[1] != 0) & (np.bitwise_count(prints[0] ^ prints[1]) <= max_bits)
    is_candidate = _is_near(near, cosines[firsts, -1], cosines[seconds, -1], count) | is_copy
    places = np.sort(np.stack([firsts[is_candidate], seconds[is_candidate]], axis=1), axis=1)
    places, rows = np.unique(places, axis=0, return_index=True)
    exact = _compare(embeddings, mean, *places.T)
    reach = [_compare(embeddings, mean, side, neighbours[side, -1]) for side in places.T]
    chosen = np.flatnonzero(_is_near(exact, *reach, count) | is_copy[is_candidate][rows])
    chosen = chosen[np.argsort(-exact[chosen], kind="stable")]
    return Pairs(places[chosen], exact[chosen])


def _is_near(near: np.ndarray, first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Whether pairs are alike by cosines: their own, and those to the last neighbour of either (pairs,)."""
    ratio = NEAR_RATIO if count == NEIGHBOURS else 0.0
    return (1 - near <= ratio * np.minimum(1 - first, 1 - second)) | (near >= SAME_COSINE)


def _mean(embeddings: np.ndarray) -> np.ndarray:
    """The mean embedding, of many items that of a sample."""
    sample = embeddings[:: max(1, len(embeddings) // EXACT_ITEMS)]
    return sample.mean(axis=0, dtype=np.float64).astype(np.float32)


def _compare(embeddings: np.ndarray, mean: np.ndarray, firsts: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the cosines, float32 (pairs,), of whole embeddings, which AXES alone make too high."""
    cosines = np.empty(len(firsts), np.float32)
    for rows in _blocks(len(firsts), 2_000):
        sides = (_normalise(embeddings[side[rows]] - mean) for side in (firsts, seconds))
        cosines[rows] = np.multiply(*sides).sum(axis=1)
    return cosines


def _lay_out(embeddings: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return float32 (items, axes), rows of length 1: centred embeddings, of many items their chief axes."""
    axes = None if len(embeddings) <= EXACT_ITEMS else _find_axes(embeddings, mean)
    width = embeddings.shape[1] if axes is None else AXES
    laid_out = np.empty((len(embeddings), width), np.float32)
    for rows in _blocks(len(embeddings), EXACT_ITEMS):
        centred = embeddings[rows] - mean
        laid_out[rows] = _normalise(centred if axes is None else centred @ axes)
    return laid_out


def _find_axes(embeddings: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the directions (embedding size, AXES) in which a sample differs most."""
    sample = embeddings[:: len(embeddings) // EXACT_ITEMS] - mean
    return np.linalg.eigh(sample.T @ sample)[1][:, -AXES:].astype(np.float32)


def _normalise(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _find_neighbours(
    rows: np.ndarray, count: int, tell: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return places, int, and cosines, float32, (items, count) each, of the nearest others, nearest first."""
    places = np.empty((len(rows), count), np.int64)
    cosines = np.empty((len(rows), count), np.float32)
    for block in _blocks(len(rows), max(1, BLOCK_NUMBERS // len(rows))):
        similar = rows[block] @ rows.T
        similar[np.arange(len(similar)), np.arange(block.start, block.stop)] = -2  # not to itself
        near = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(similar, near, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        places[block] = np.take_along_axis(near, order, axis=1)
        cosines[block] = np.take_along_axis(found, order, axis=1)
        tell(block.stop, len(rows))
    return places, cosines


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
