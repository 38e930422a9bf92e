"""The closed form is what fitting again without each item would give."""

import numpy as np
import pytest

from learning import heads


def make(items, size, labels, seed=0):
    random = np.random.default_rng(seed)
    truth = np.arange(items) % labels
    centres = random.normal(size=(labels, size))
    embeddings = (centres[truth] + 2 * random.normal(size=(items, size))).astype(np.float32)
    return embeddings, np.eye(labels)[truth]


def fit_plainly(embeddings, targets, strength):
    """Ridge with an intercept that is not shrunk, by the normal equations."""
    mean, target_mean = embeddings.mean(axis=0, dtype=np.float64), targets.mean(axis=0)
    centred = embeddings - mean
    gram = centred.T @ centred + strength * np.eye(len(mean))
    weights = np.linalg.solve(gram, centred.T @ (targets - target_mean))
    return weights, target_mean - mean @ weights


SHAPES = [(30, 50, 3), (50, 30, 3)]  # fewer items than numbers, and more: both ways to the axes


@pytest.mark.parametrize(("items", "size", "labels"), SHAPES)
def test_leave_one_out_is_exact(items, size, labels):
    embeddings, targets = make(items, size, labels)
    solution = heads.solve(embeddings, targets)
    for left_out in range(items):
        kept = np.arange(items) != left_out
        weights, bias = fit_plainly(embeddings[kept], targets[kept], solution.head.strength)
        scores = embeddings[left_out] @ weights + bias
        wanted = solution.head.calibration.probabilities(scores)
        assert np.abs(solution.leave_one_out[left_out] - wanted).max() < 1e-8


@pytest.mark.parametrize(("items", "size", "labels"), SHAPES)
def test_the_head_is_ridge_and_solving_again_gives_the_same(items, size, labels):
    embeddings, targets = make(items, size, labels)
    head = heads.solve(embeddings, targets).head
    weights, bias = fit_plainly(embeddings, targets, head.strength)
    again = heads.solve_again(embeddings, targets, head)
    for solved in (head, again):
        assert np.abs(solved.weights - weights).max() < 1e-8
        assert np.abs(solved.bias - bias).max() < 1e-8


def test_chunks_and_samples_change_nothing_that_matters(monkeypatch):
    embeddings, targets = make(300, 20, 4)
    whole = heads.solve(embeddings, targets)
    monkeypatch.setattr(heads, "CHUNK", 7)
    chunked = heads.solve(embeddings, targets)
    assert np.abs(whole.leave_one_out - chunked.leave_one_out).max() < 1e-9
    monkeypatch.setattr(heads, "MOST_ITEMS_TO_CHOOSE_ON", 150)
    sampled = heads.solve(embeddings, targets)
    assert np.abs(whole.leave_one_out - sampled.leave_one_out).max() < 0.1


SPARSE = {
    "two labels of one item": [0, 1],
    "a label of one item": [0, 0, 0, 1],
    "a label without items": [0, 0, 2, 2],
}


@pytest.mark.parametrize("truth", SPARSE.values(), ids=SPARSE)
def test_sparse_labels_give_finite_answers(truth):
    embeddings = np.random.default_rng(0).normal(size=(len(truth), 10)).astype(np.float32)
    solution = heads.solve(embeddings, np.eye(3)[truth])
    assert np.isfinite(solution.leave_one_out).all()
    assert np.abs(solution.leave_one_out.sum(axis=1) - 1).max() < 1e-9


@pytest.mark.parametrize("items", [4, 30])
def test_identical_images_give_each_label_its_share(items):
    truth = np.arange(items) % 2
    solution = heads.solve(np.ones((items, 10), np.float32), np.eye(2)[truth])
    assert np.abs(solution.head.probabilities(np.ones((1, 10), np.float32)) - 0.5).max() < 1e-9
    assert np.isfinite(solution.leave_one_out).all()


def test_the_answer_is_the_same_every_time():
    embeddings, targets = make(100, 40, 3)
    first, second = heads.solve(embeddings, targets, 7), heads.solve(embeddings, targets, 7)
    assert np.array_equal(first.leave_one_out, second.leave_one_out)
    assert np.array_equal(first.head.weights, second.head.weights)


def test_strength_is_chosen_on_the_judged_items_alone():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 60)
    honest = rng.normal(size=(60, 40)) + truth[:, np.newaxis] * 0.3
    flattered = honest.copy()
    flattered[:40, 0] += 50 * truth[:40]  # learnt by heart of the first forty, unknown of the others
    targets = np.eye(2)[truth]
    judged = heads.solve(flattered.astype(np.float32), targets, judged=np.arange(40, 60))
    deceived = heads.solve(flattered.astype(np.float32), targets)
    loss = [-np.log(s.leave_one_out[np.arange(40, 60), truth[40:]]).mean() for s in (judged, deceived)]
    assert loss[0] < loss[1]
