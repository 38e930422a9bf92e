"""The measures agree with scikit-learn and with worked examples."""

import numpy as np
import pytest
from sklearn import metrics

from learning import evaluation


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_the_published_intervals(correct, count, low, high):
    # 81 of 263: Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
    assert evaluation.wilson_interval(correct, count) == pytest.approx((low, high), abs=5e-5)


def test_the_measures_agree_with_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 500)
    probabilities = random.dirichlet(np.ones(5), 500)  # the fifth label has no items
    probabilities[np.arange(500), truth] += 0.4
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    measured = evaluation.evaluate(probabilities, truth, list("abcde"))
    wanted = metrics.precision_recall_fscore_support(truth, predicted, labels=range(5), zero_division=0)
    ours = [[row[key] for row in measured["labels"]] for key in ("precision", "recall", "f1", "count")]
    assert np.allclose(ours, wanted)
    assert measured["accuracy"] == metrics.accuracy_score(truth, predicted)
    assert measured["log_loss"] == pytest.approx(metrics.log_loss(truth, probabilities, labels=range(5)))
    assert measured["confusion"] == metrics.confusion_matrix(truth, predicted, labels=range(5)).tolist()
