"""Images that look alike, and labels that one plain number gives away."""

from __future__ import annotations

import numpy as np
import pytest

from learning import lookalikes, telltales


@pytest.fixture
def embeddings() -> np.ndarray:
    """60 that are strangers to each other; 50 is nearly 3, and 51 a little like 4."""
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(60, 64)).astype(np.float32) + 3
    rows[50] = rows[3] + 0.1 * rng.normal(size=64)
    rows[51] = rows[4] + 0.9 * rng.normal(size=64)
    return rows


def no_prints(embeddings) -> np.ndarray:
    return np.zeros(len(embeddings), np.uint64)


def test_a_near_copy_is_found_and_strangers_are_not(embeddings):
    found = lookalikes.find(embeddings, no_prints(embeddings), 3)
    assert found.places.tolist() == [[3, 50]]
    assert found.cosines[0] > 0.97


def test_fingerprints_find_what_is_near_in_other_ways_too(embeddings):
    prints = no_prints(embeddings)
    prints[[4, 51]] = 0b10110111, 0b10110100
    assert [4, 51] in lookalikes.find(embeddings, prints, 3).places.tolist()
    assert [4, 51] not in lookalikes.find(embeddings, prints, 1).places.tolist()


def test_many_images_are_compared_along_their_chief_axes_with_the_same_result(embeddings, monkeypatch):
    monkeypatch.setattr(lookalikes, "EXACT_ITEMS", 40)
    monkeypatch.setattr(lookalikes, "AXES", 32)
    monkeypatch.setattr(lookalikes, "BLOCK_NUMBERS", 600)
    found = lookalikes.find(embeddings, no_prints(embeddings), 3)
    assert found.places.tolist() == [[3, 50]]
    assert found.cosines[0] > 0.97


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_images_have_no_pairs(embeddings, count):
    assert len(lookalikes.find(embeddings[:count], no_prints(embeddings[:count]), 3).places) == 0


def test_a_label_of_dark_images_is_given_away_by_brightness():
    rng = np.random.default_rng(8)
    targets = np.eye(3)[np.repeat([0, 1, 2], 40)]
    bright = np.where(targets[:, 2] > 0, 0.2, 0.6) + 0.05 * rng.normal(size=120)
    [found] = telltales.find({"area": rng.random(120), "brightness": bright}, targets)
    assert (found.label, found.number) == (2, "brightness")
    assert found.interval[0] > 0.9
    assert found.own < found.others


def test_a_size_in_the_middle_gives_a_label_away_too():
    targets = np.eye(2)[np.repeat([0, 1], 60)]
    areas = np.concatenate([np.full(60, 500.0), np.tile([100.0, 900.0], 30)])
    assert {found.number for found in telltales.find({"area": areas}, targets)} == {"area"}


def test_chance_gives_nothing_away():
    rng = np.random.default_rng(9)
    targets = np.eye(4)[rng.integers(0, 4, 200)]
    numbers = {name: rng.random(200) for name in ("brightness", "area", "shape", "bytes")}
    assert telltales.find(numbers, targets) == []


def test_so_few_images_give_nothing_away_beyond_doubt():
    targets = np.eye(2)[np.repeat([0, 1], 6)]
    assert telltales.find({"brightness": targets[:, 0]}, targets) == []
