"""Logits become probabilities that mean what they say, also where hardly anything was learnt."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from learning import calibration


def make(items=600, labels=5):
    random = np.random.default_rng(0)
    targets = (random.random((items, labels)) < 0.25).astype(float)
    return 0.5 * targets + 0.3 * random.normal(size=targets.shape), targets


def test_scale_and_offset_are_those_of_logistic_regression():
    scores, targets = make()
    fitted = calibration.fit(scores, targets, "multi-label")
    for label in range(5):
        wanted = LogisticRegression(C=1e9, tol=1e-8).fit(scores[:, [label]], targets[:, label])
        assert fitted.scales[label] == pytest.approx(wanted.coef_[0, 0], rel=0.05)  # targets are smoothed
        assert fitted.offsets[label] == pytest.approx(wanted.intercept_[0], rel=0.05)


def test_the_threshold_has_the_greatest_f1():
    scores, targets = make()
    fitted = calibration.fit(scores, targets, "multi-label")
    said = fitted.probabilities(scores)
    for label, threshold in enumerate(fitted.thresholds):
        best = max(f1_score(targets[:, label], said[:, label] >= limit) for limit in said[:, label])
        assert f1_score(targets[:, label], said[:, label] >= threshold) == pytest.approx(best)


HARD = {
    "no item has it": lambda scores: (scores, np.zeros_like(scores)),
    "every item has it": lambda scores: (scores, np.ones_like(scores)),
    "one item has it": lambda scores: (scores, np.eye(len(scores))[:, :5]),
    "its scores are all the same": lambda scores: (np.zeros_like(scores), (scores > 0.5).astype(float)),
    "its scores say the opposite": lambda scores: (-scores, (scores > 0.5).astype(float)),
    "its scores say all": lambda scores: (1e3 * scores, (scores > 0.5).astype(float)),
}


@pytest.mark.parametrize("make_hard", HARD.values(), ids=HARD)
def test_a_label_of_which_little_can_be_learnt_gets_finite_numbers(make_hard):
    scores, targets = make_hard(make()[0])
    fitted = calibration.fit(scores, targets, "multi-label")
    said = fitted.probabilities(scores)
    assert np.isfinite(said).all()
    assert min(fitted.scales) >= 0
    assert said.mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=0.02)


def test_nothing_is_said_where_no_score_tells_a_rare_label():
    fitted = calibration.fit(np.zeros((100, 1)), np.eye(100)[:, :1], "multi-label")
    assert not fitted.decide(fitted.probabilities(np.zeros((1, 1)))).any()


def test_a_networks_temperature_is_found():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4_000, 4))
    drawn = [random.choice(4, p=row) for row in calibration.softmax(logits)]
    fitted = calibration.fit(3 * logits, np.eye(4)[drawn], "single-label")
    assert fitted.temperature == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("factor", [0.1, 30.0, 3e3])
def test_logits_of_any_scale_become_the_same_probabilities(factor):
    """Networks of others may give logits of thousands, as those that were trained without scaling."""
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=(500, 4))
    targets = np.eye(4)[[random.choice(4, p=row) for row in calibration.softmax(logits / 2)]]
    fitted = calibration.fit(factor * logits, targets, "single-label")
    wanted = calibration.fit(logits, targets, "single-label")
    said = fitted.probabilities(factor * logits)
    assert np.abs(said - wanted.probabilities(logits)).max() < 1e-3


@pytest.mark.parametrize(("task", "said"), [("single-label", [0.75, 0.25]), ("multi-label", [0.75, 0.5])])
def test_without_an_item_the_logits_say_by_themselves(task, said):
    fitted = calibration.fit(np.zeros((0, 2)), np.zeros((0, 2)), task)
    assert fitted.probabilities(np.array([np.log(3), 0])) == pytest.approx(said)
    assert fitted.decide(np.array(said)).tolist() == [True, task == "multi-label"]


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_what_package_json_says_gives_the_same_back(task):
    fitted = calibration.fit(*make(), task)
    spec = {"task": task, "labels": list("abcde"), **fitted.to_spec()}
    assert calibration.from_spec(spec) == fitted


def test_thresholds_of_one_label_an_image_are_read_where_they_were_set():
    spec = {"task": "single-label", "labels": ["a", "b"], "temperature": 1.0}
    assert calibration.from_spec(spec | {"thresholds": []}).thresholds == ()
    assert calibration.from_spec(spec | {"thresholds": [0.7, 0.8]}).thresholds == (0.7, 0.8)
    with pytest.raises(ValueError):
        calibration.from_spec(spec | {"thresholds": [0.7]})


@pytest.mark.parametrize("scales", [None, 1.0, [1.0], [1.0, None], [1.0, float("nan")], ["a", "b"]])
def test_a_damaged_calibration_is_refused(scales):
    spec = {"task": "multi-label", "labels": ["a", "b"], "scales": scales, "offsets": [0, 0]}
    with pytest.raises(ValueError):
        calibration.from_spec(spec | {"thresholds": [0.5, 0.5]})


def test_the_temperature_has_the_least_log_loss():
    random = np.random.default_rng(0)
    targets = np.eye(3)[random.integers(0, 3, 200)]
    scores = 0.5 * targets + 0.2 * random.normal(size=targets.shape)
    sharpness, loss = calibration.fit_sharpness(scores, targets, (1, 100), start=10.0)

    def loss_at(value):
        return -(targets * np.log(calibration.softmax(value * scores))).sum(axis=1).mean()

    assert loss == pytest.approx(loss_at(sharpness))
    assert all(loss <= loss_at(sharpness * factor) for factor in (0.9, 0.99, 1.01, 1.1))
