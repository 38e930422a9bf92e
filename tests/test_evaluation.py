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


def make_tags(items=400, labels=6):
    """Made-up multi-label predictions, rounded so that some are equal."""
    random = np.random.default_rng(0)
    targets = (random.random((items, labels)) < 0.3).astype(float)
    return np.clip(0.3 * targets + 0.5 * random.random(targets.shape), 0, 1).round(2), targets


def test_multi_label_measures_agree_with_scikit_learn():
    probabilities, targets = make_tags()
    measured = evaluation.measure("multi-label", probabilities, targets, list("abcdef"), [0.4] * 6)
    said = probabilities >= 0.4
    assert measured["micro_f1"] == pytest.approx(metrics.f1_score(targets, said, average="micro"))
    assert measured["macro_f1"] == pytest.approx(metrics.f1_score(targets, said, average="macro"))
    assert measured["exact_accuracy"] == metrics.accuracy_score(targets, said)
    assert measured["binary_accuracy"] == pytest.approx(1 - metrics.hamming_loss(targets, said))
    precisions = metrics.average_precision_score(targets, probabilities, average=None)
    assert [row["average_precision"] for row in measured["labels"]] == pytest.approx(precisions.tolist())
    assert measured["mean_average_precision"] == pytest.approx(precisions.mean())


def test_a_label_that_no_item_has_counts_for_nothing():
    probabilities, targets = make_tags()
    targets[:, 2] = 0
    measured = evaluation.measure("multi-label", probabilities, targets, list("abcdef"))
    kept = [0, 1, 3, 4, 5]
    wanted = metrics.average_precision_score(targets[:, kept], probabilities[:, kept], average="macro")
    assert measured["mean_average_precision"] == pytest.approx(wanted)
    assert measured["labels"][2]["average_precision"] is None


def test_the_interval_of_micro_f1_is_that_of_drawing_items_anew():
    probabilities, targets = make_tags()
    measured = evaluation.measure("multi-label", probabilities, targets, list("abcdef"), [0.4] * 6)
    random, said = np.random.default_rng(1), probabilities >= 0.4
    draws = [random.integers(0, len(targets), len(targets)) for _ in range(300)]
    values = [metrics.f1_score(targets[drawn], said[drawn], average="micro") for drawn in draws]
    assert measured["interval"] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.006)


def test_the_score_is_by_what_saw_the_most_items():
    probabilities, targets = make_tags()
    block = evaluation.measure("multi-label", probabilities, targets, list("abcdef"))
    measured = evaluation.summarise("multi-label", validation=block, test=block)
    assert measured["score"] == {
        "name": "micro_f1",
        "value": block["micro_f1"],
        "interval": block["interval"],
        "by": "test",
    }
    assert measured["leave_one_out"] is None
    assert "accuracy" not in measured
