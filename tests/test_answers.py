"""What a network says of many images must be numbers before it is measured."""

import numpy as np
import pytest

from learning import answers


def test_logits_that_are_numbers_are_measured_by():
    logits = np.zeros((3, 2), np.float32)
    assert answers.check(logits) is logits
    assert len(answers.check(np.empty((0, 0), np.float32))) == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_network_that_gives_no_number_for_some_images_says_for_how_many(wrong):
    logits = np.zeros((90, 2), np.float32)
    logits[[3, 5], 0] = wrong
    with pytest.raises(answers.NoNumbers, match="for 2 of 90 images"):
        answers.check(logits)
