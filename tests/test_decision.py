"""What is made of probabilities: labels that are said, or a reason to say none; and who may change that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from learning.calibration import Calibration
from learning.package import (
    FORMAT,
    FORMAT_VERSION,
    NoAnswer,
    PackageDamaged,
    decide,
    read_spec,
    require_numbers,
    update_spec,
    write_spec,
)

LABELS = ["cat", "dog", "cow"]
SAID = np.array([0.2, 0.7, 0.1])
ALWAYS = Calibration("single-label")
SURE_DOGS = Calibration("single-label", thresholds=(0.1, 0.8, 0.1))
SEVERAL = Calibration("multi-label", 1.0, (1.0,) * 3, (0.0,) * 3, (0.1, 0.7, 0.5))


def test_without_thresholds_the_likeliest_label_is_always_said():
    found = decide(LABELS, ALWAYS, SAID)
    assert (found.labels, found.reason, found.rejected) == (("dog",), None, False)
    assert found.pairs == (("dog", 0.7), ("cat", 0.2), ("cow", 0.1))


def test_below_its_threshold_the_likeliest_label_is_uncertain_and_no_other_is_said():
    found = decide(LABELS, SURE_DOGS, SAID)
    assert (found.labels, found.reason) == ((), "uncertain")
    assert found.pairs[0] == ("dog", 0.7)


def test_at_its_threshold_a_label_is_said():
    assert decide(LABELS, SURE_DOGS, np.array([0.1, 0.8, 0.1])).labels == ("dog",)


def test_of_several_labels_those_at_their_thresholds_are_said_likeliest_first():
    assert decide(LABELS, SEVERAL, SAID).labels == ("dog", "cat")


def test_that_none_of_several_labels_fits_is_an_answer():
    found = decide(LABELS, SEVERAL, np.array([0.05, 0.1, 0.1]))
    assert (found.labels, found.rejected) == ((), False)


@pytest.mark.parametrize("calibrated", [ALWAYS, SURE_DOGS, SEVERAL])
def test_unknown_wins_over_everything(calibrated):
    found = decide(LABELS, calibrated, SAID, is_unknown=True)
    assert (found.labels, found.reason) == ((), "unknown")


def test_what_is_no_number_is_no_answer():
    with pytest.raises(NoAnswer):
        require_numbers(np.array([np.nan, 0.5, 0.5]))


@pytest.mark.parametrize("version", [None, "1", [1]])
def test_a_package_that_names_no_version_of_its_format_is_damaged(tmp_path, version):
    write_spec(tmp_path, {"format": FORMAT, "format_version": version})
    with pytest.raises(PackageDamaged):
        read_spec(tmp_path)


def test_changes_of_many_writers_are_all_kept(tmp_path):
    write_spec(tmp_path, {"format": FORMAT, "format_version": FORMAT_VERSION})
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda place: update_spec(tmp_path, lambda s: s | {f"{place}": 1}), range(40)))
    assert {str(place) for place in range(40)} <= set(read_spec(tmp_path))
