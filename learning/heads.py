"""The head of the quick recipe: ridge regression in closed form, with every leave-one-out prediction exact.

Hoerl & Kennard 1970, "Ridge Regression"; the leave-one-out identity is in Golub, Heath & Wahba 1979,
"Generalized Cross-Validation". What makes probabilities of its scores is in learning/calibration.py.

Everything is written in principal axes. With P the centred embeddings turned onto the axes and s their
eigenvalues, ridge of strength λ fits mean(Y) + P (P'Y / (s + λ)), and an item's leverage is
h = 1/n + Σ P² / (s + λ): one decomposition serves every λ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from learning import calibration
from learning.calibration import MULTI, SINGLE, Calibration, fit_sharpness, fit_sigmoids, smooth

# Times the mean squared length of a centred embedding; strongest first, so that ties go to the stronger.
STRENGTHS = np.logspace(1.5, -3, 13)
# Two numbers are chosen, so a sample of this many items is plenty, and memory stays flat.
MOST_ITEMS_TO_CHOOSE_ON = 5_000
CHUNK = 4_096
# Ridge's scores lie around 0 to 1: beyond these limits sharpness only says how few items there are.
SHARPNESS_RANGE = (1.0, 100.0)


@dataclass(frozen=True)
class Head:
    """Scores are `embedding @ weights + bias`, of which `calibration` makes probabilities."""

    weights: np.ndarray  # float64 (embedding size, labels)
    bias: np.ndarray  # float64 (labels,)
    strength: float
    calibration: Calibration

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Return float64 (items, labels), calibrated, for embeddings (items, embedding size)."""
        scores = [embeddings[rows].astype(np.float64) @ self.weights for rows in _chunks(len(embeddings))]
        return self.calibration.probabilities(np.concatenate(scores) + self.bias)


@dataclass(frozen=True)
class Solution:
    """A head, and what it would have said of each item had it never seen that item."""

    head: Head
    leave_one_out: np.ndarray  # float64 (items, labels), probabilities


@dataclass(frozen=True)
class _Axes:
    """The principal axes of n centred embeddings: turn rows onto them, or coordinates back into weights."""

    eigenvalues: np.ndarray  # (axes,)
    project: Callable[[slice | np.ndarray], np.ndarray]  # rows -> (rows, axes)
    expand: Callable[[np.ndarray], np.ndarray]  # (axes, labels) -> (embedding size, labels)


def solve(
    embeddings: np.ndarray,
    targets: np.ndarray,
    seed: int = 0,
    kernel: np.ndarray | None = None,
    task: str = SINGLE,
    judged: np.ndarray | None = None,
) -> Solution:
    """Solve the head, choosing its strength and calibration on leave-one-out log-loss.

    Args:
        embeddings: float32 (items, embedding size), two items or more; may be memory-mapped.
        targets: float (items, labels), 1 where the item has the label, else 0.
        seed: of the sample chosen on, where there are more than 5,000 items.
        kernel: what `find_kernel` gave for these items, to save computing it.
        task: `single-label` (one 1 in each row of the targets) or `multi-label`.
        judged: places of the items to choose on, where the others' embeddings are flattered because what
            embeds them learnt from them; all items unless given.

    Returns:
        The head and its leave-one-out probabilities.
    """
    count, mean, target_mean = len(embeddings), _mean(embeddings), targets.mean(axis=0)
    axes = _find_axes(embeddings, mean, find_kernel(embeddings) if kernel is None else kernel)
    coefficients = _correlate(axes, targets - target_mean)
    strengths = STRENGTHS * max(axes.eigenvalues.sum() / count, 1e-12)
    judged = np.arange(count) if judged is None else judged
    chosen_on = judged[_sample(len(judged), seed)]
    strength, calibrated = _choose(axes, coefficients, targets, chosen_on, strengths, task)
    scores = [next(_leave_one_out(axes, coefficients, targets, rows, [strength])) for rows in _chunks(count)]
    left_out = np.concatenate(scores)
    calibrated = calibrated or calibration.fit(left_out[judged], targets[judged], MULTI)
    weights = axes.expand(coefficients / (axes.eigenvalues + strength)[:, np.newaxis])
    head = Head(weights, target_mean - mean @ weights, float(strength), calibrated)
    return Solution(head, calibrated.probabilities(left_out))


def solve_again(
    embeddings: np.ndarray, targets: np.ndarray, chosen: Head, kernel: np.ndarray | None = None
) -> Head:
    """Solve for other items (all of them, for what goes live) with the strength and calibration `chosen`."""
    mean, target_mean = _mean(embeddings), targets.mean(axis=0)
    kernel = find_kernel(embeddings) if kernel is None else kernel
    if kernel is not None:
        kernel = _center_twice(kernel)
        kernel[np.diag_indices_from(kernel)] += chosen.strength
        weights = _transpose_times(embeddings, mean, np.linalg.solve(kernel, targets - target_mean))
    else:
        gram = _gram(embeddings, mean)
        gram[np.diag_indices_from(gram)] += chosen.strength
        weights = np.linalg.solve(gram, _transpose_times(embeddings, mean, targets - target_mean))
    return Head(weights, target_mean - mean @ weights, chosen.strength, chosen.calibration)


def find_kernel(embeddings: np.ndarray) -> np.ndarray | None:
    """Return all inner products, float64 (items, items), or None where the Gram matrix is the smaller one."""
    if len(embeddings) > embeddings.shape[1]:
        return None
    exact = embeddings.astype(np.float64)
    return exact @ exact.T


def _find_axes(embeddings: np.ndarray, mean: np.ndarray, kernel: np.ndarray | None) -> _Axes:
    """Decompose the items' kernel (n × n), or where that would be larger the Gram matrix (d × d)."""
    if kernel is None:
        eigenvalues, axes = np.linalg.eigh(_gram(embeddings, mean))
        kept = _is_real(eigenvalues)
        axes = axes[:, kept]
        return _Axes(eigenvalues[kept], lambda rows: (embeddings[rows] - mean) @ axes, lambda b: axes @ b)
    eigenvalues, vectors = np.linalg.eigh(_center_twice(kernel))
    kept = _is_real(eigenvalues)
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    lengths = np.sqrt(eigenvalues)
    projected = vectors * lengths
    return _Axes(
        eigenvalues,
        lambda rows: projected[rows],
        lambda b: _transpose_times(embeddings, mean, (vectors / lengths) @ b),
    )


def _is_real(eigenvalues: np.ndarray) -> np.ndarray:
    """Which eigenvalues are more than rounding; none of them when all images are the same."""
    return eigenvalues > max(eigenvalues.max() * 1e-10, 1e-12)


def _leave_one_out(
    axes: _Axes, coefficients: np.ndarray, targets: np.ndarray, rows: slice | np.ndarray, strengths
) -> Iterator[np.ndarray]:
    """Yield for each strength the scores (rows, labels) that each item gets from a head without it."""
    projected, own = axes.project(rows), targets[rows]
    squared = projected**2
    target_mean = targets.mean(axis=0)
    for strength in strengths:
        shrunk = 1 / (axes.eigenvalues + strength)
        fitted = target_mean + projected @ (coefficients * shrunk[:, np.newaxis])
        leverage = 1 / len(targets) + squared @ shrunk
        yield own - (own - fitted) / np.maximum(1 - leverage, 1e-9)[:, np.newaxis]


def _sample(count: int, seed: int) -> slice | np.ndarray:
    """Which items to choose on: all of them, or as many as are plenty."""
    if count <= MOST_ITEMS_TO_CHOOSE_ON:
        return slice(None)
    drawn = np.random.default_rng(seed).choice(count, MOST_ITEMS_TO_CHOOSE_ON, replace=False)
    return np.sort(drawn)


def _choose(
    axes: _Axes,
    coefficients: np.ndarray,
    targets: np.ndarray,
    sample: slice | np.ndarray,
    strengths: np.ndarray,
    task: str,
) -> tuple[float, Calibration | None]:
    """Return the strength with the least leave-one-out log-loss over the sample, and the temperature then.

    The several numbers of a multi-label calibration are fitted on every item afterwards.
    """
    measure = _try_softmax if task == SINGLE else _try_sigmoids
    best = (np.inf, 0.0, None)
    scored = _leave_one_out(axes, coefficients, targets, sample, strengths)
    for strength, scores in zip(strengths, scored, strict=True):
        loss, calibrated = measure(scores, targets[sample])
        if loss < best[0] - 1e-12:
            best = (loss, strength, calibrated)
    return best[1], best[2]


def _try_softmax(scores: np.ndarray, targets: np.ndarray) -> tuple[float, Calibration]:
    sharpness, loss = fit_sharpness(scores, smooth(targets), SHARPNESS_RANGE, start=10.0)
    return loss, Calibration(SINGLE, temperature=1 / sharpness)


def _try_sigmoids(scores: np.ndarray, targets: np.ndarray) -> tuple[float, None]:
    return fit_sigmoids(scores, targets)[2], None


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def _mean(embeddings: np.ndarray) -> np.ndarray:
    """Return the mean embedding in float64, also where a float32 sum would lose digits."""
    sums = [embeddings[rows].sum(axis=0, dtype=np.float64) for rows in _chunks(len(embeddings))]
    return np.sum(sums, axis=0) / len(embeddings)


def _center_twice(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel of embeddings with their mean taken away."""
    means = kernel.mean(axis=0)
    return kernel - means - means[:, np.newaxis] + means.mean()


def _gram(embeddings: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Add up the centred Gram matrix (d × d) chunk by chunk."""
    gram = np.zeros((len(mean), len(mean)))
    for rows in _chunks(len(embeddings)):
        centred = embeddings[rows] - mean
        gram += centred.T @ centred
    return gram


def _transpose_times(embeddings: np.ndarray, mean: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return `(embeddings - mean)' @ values` chunk by chunk."""
    total = np.zeros((len(mean), values.shape[1]))
    for rows in _chunks(len(embeddings)):
        total += (embeddings[rows] - mean).T @ values[rows]
    return total


def _correlate(axes: _Axes, targets: np.ndarray) -> np.ndarray:
    """Return P'Y, (axes, labels), chunk by chunk."""
    return sum(axes.project(rows).T @ targets[rows] for rows in _chunks(len(targets)))
