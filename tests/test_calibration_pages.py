"""The page that tells whether a version's probabilities mean what they say, and the same over the API."""

from __future__ import annotations

import json

import pytest

from jobs import training
from tests.teaching import finish, start, teach
from web import calibrated

PAGE = "/datasets/flowers/versions/1/calibration"


@pytest.fixture
def version(dataset):
    """A version that says 90 % of every image, and is wrong about one."""
    teach(dataset)
    return finish(start(dataset))


def test_the_page_says_what_a_probability_means_and_what_chance_would_show(owner, version):
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "When it says" in page.text and "times of 100" in page.text
    assert "Before" in page.text and "After" in page.text
    assert "By chance alone" in page.text


def test_both_kinds_of_judging_are_told_with_and_without_the_temperature(version):
    first, test = calibrated.of(version)
    assert (first.by, test.by) == ("leave_one_out", "test")
    assert first.after.said == pytest.approx(0.9)
    # 0.9 against 0.1 at temperature 0.5 were logits ln(9) / 2 apart: 0.75 at temperature 1.
    assert first.before.said == pytest.approx(0.75)


def test_without_package_json_the_calibration_of_before_is_not_told(owner, version):
    (training.package_folder(version) / "package.json").unlink()
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "Before" not in page.text and "After" in page.text


def test_without_what_was_judged_the_page_says_what_to_do(owner, version):
    (training.folder_of(version.run) / "evaluation.json").unlink()
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "Train again" in page.text


def test_plain_values_of_it_can_be_sent(version):
    told = json.loads(json.dumps(calibrated.as_json(version)))
    assert told["temperature"] == 0.5
    assert set(told["blocks"]) == {"leave_one_out", "test"}
    assert {"error", "interval", "chance", "bins"} <= set(told["blocks"]["test"]["after"])
