"""Scores of foreign images, each as its paper has it: what benchmarks/unknown.py compares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from learning import heads, strangeness
from learning.rejection import Rejection

NEIGHBOURS = 10  # of NNGuide
SHRINKAGE = 0.1  # of covariances, towards a round one
OURS = "all three signs"


@dataclass(frozen=True)
class Case:
    """A head taught with some of a set's labels, and images to tell apart.

    Attributes:
        taught, truth: embeddings and places of labels.
        asked: embeddings, the first `known` of them not foreign.
    """

    taught: np.ndarray
    truth: np.ndarray
    solution: heads.Solution
    asked: np.ndarray
    known: int
    rejection: Rejection

    @cached_property
    def logits(self) -> np.ndarray:
        """Of the images asked about, at the head's temperature."""
        return self._answer(self.asked)

    @cached_property
    def taught_logits(self) -> np.ndarray:
        """Of the images that were taught, which flatters them, as in the papers."""
        return self._answer(self.taught)

    @cached_property
    def similarities(self) -> np.ndarray:
        """Between the images asked about and those taught, cosine."""
        return strangeness.normalise(self.asked) @ strangeness.normalise(self.taught).T

    def _answer(self, asked: np.ndarray) -> np.ndarray:
        head = self.solution.head
        return (asked @ head.weights + head.bias) / head.calibration.temperature


def find_scores(case: Case) -> dict[str, np.ndarray]:
    """Return every score of the images asked about, higher where more foreign."""
    probabilities = case.solution.head.probabilities(case.asked)
    signs = case.rejection.find_signs(case.asked, probabilities)
    nearest = -np.sort(-case.similarities, axis=1)
    energy = _add_exponentials(case.logits)
    return {
        "maximum softmax (Hendrycks & Gimpel 2017)": -probabilities.max(axis=1),
        "maximum logit (Hendrycks et al. 2022)": -case.logits.max(axis=1),
        "energy (Liu et al. 2020)": -energy,
        "nearest neighbour (Sun et al. 2022)": -nearest[:, 0],
        "5th nearest neighbour": -nearest[:, 4],
        **find_mahalanobis(case),
        "ridge leverage": find_leverage(case),
        "ViM (Wang et al. 2022)": find_vim(case, energy),
        "NNGuide (Park et al. 2023)": find_guided(case, energy),
        "doubt: second label beside first": signs[:, 0],
        "distance: nearest of the label said": signs[:, 1],
        "left over by the main axes": signs[:, 2],
        OURS: case.rejection.scores(case.asked, probabilities),
    }


def find_mahalanobis(case: Case) -> dict[str, np.ndarray]:
    """Lee et al. 2018, one covariance for all labels; relative to one label for all, Ren et al. 2021."""
    means = np.stack([case.taught[case.truth == label].mean(axis=0) for label in np.unique(case.truth)])
    own = _measure_from(case.asked, means, case.taught - means[case.truth])
    middle = case.taught.mean(axis=0, keepdims=True)
    every = _measure_from(case.asked, middle, case.taught - middle)
    return {"Mahalanobis (Lee et al. 2018)": own, "relative Mahalanobis (Ren et al. 2021)": own - every}


def _measure_from(asked: np.ndarray, means: np.ndarray, centred: np.ndarray) -> np.ndarray:
    covariance = centred.T @ centred / len(centred)
    round_one = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
    root = np.linalg.cholesky(np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * round_one))
    turned, centres = asked @ root, means @ root
    squared = (turned**2).sum(axis=1)[:, np.newaxis] + (centres**2).sum(axis=1) - 2 * turned @ centres.T
    return squared.min(axis=1)


def find_leverage(case: Case) -> np.ndarray:
    """x'(X'X + λ)⁻¹x with the head's λ."""
    mean = case.taught.mean(axis=0)
    centred, asked = case.taught - mean, case.asked - mean
    gram = centred.T @ centred + case.solution.head.strength * np.eye(len(mean))
    return (asked * np.linalg.solve(gram, asked.T).T).sum(axis=1)


def find_vim(case: Case, energy: np.ndarray) -> np.ndarray:
    """Add what the main axes leave over, as a logit of its own."""
    mean, axes = case.rejection.mean, case.rejection.axes
    taught, asked = (np.sqrt(strangeness.leave_over(some, mean, axes)) for some in (case.taught, case.asked))
    return asked * case.taught_logits.max(axis=1).mean() / taught.mean() - energy


def find_guided(case: Case, energy: np.ndarray) -> np.ndarray:
    """Energy times the similarity to the nearest taught images, each weighed by its own energy."""
    weighed = case.similarities * _add_exponentials(case.taught_logits)
    return -energy * -np.sort(-weighed, axis=1)[:, :NEIGHBOURS].mean(axis=1)


def _add_exponentials(logits: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(logits, axis=1)
