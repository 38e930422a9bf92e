"""Splits: shares per label, decided once, the same for the same items, near-duplicates together."""

from __future__ import annotations

import io
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import utils
from datasets import intake
from datasets.duplicates import MAX_DISTANCE, Neighbours, fingerprint
from datasets.splits import Shares, Splitter
from tests import corpus


def decide(items, shares=None) -> list[str]:
    splitter = Splitter(shares or Shares())
    return [splitter.decide(sha256, print_, labels) for sha256, print_, labels in items]


def make_items(count: int, labels: list[str], seed: int = 1) -> list[tuple]:
    source = random.Random(seed)
    return [
        (f"{source.getrandbits(256):064x}", source.getrandbits(64), [labels[n % len(labels)]])
        for n in range(count)
    ]


def fingerprint_of(image: Image.Image, quality: int = 90) -> int:
    content = corpus.encode(image, "JPEG", quality=quality)
    return fingerprint(utils.center_crop(utils.open_image(content), 256))


def scene(seed: int) -> Image.Image:
    greys = np.random.default_rng(seed).integers(0, 256, (7, 9), np.uint8)
    return Image.fromarray(greys).resize((320, 240), Image.Resampling.BICUBIC).convert("RGB")


@pytest.mark.parametrize("count", [20, 100, 333])
def test_every_label_gets_its_shares(count):
    items = make_items(3 * count, ["a", "b", "c"])
    splits = Counter((item[2][0], split) for item, split in zip(items, decide(items), strict=True))
    for label in "abc":
        assert abs(splits[label, "train"] - 0.7 * count) <= 2
        assert abs(splits[label, "test"] - 0.15 * count) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_handful_of_items_has_some_to_train_on_and_some_held_back(seed):
    splits = Counter(decide(make_items(8, ["a"], seed)))
    assert splits["train"] >= 4
    assert splits["validation"] and splits["test"]


def test_the_first_item_of_a_label_trains():
    assert decide(make_items(3, ["a", "b", "c"])) == ["train"] * 3


def test_the_same_items_in_the_same_order_get_the_same_splits():
    assert decide(make_items(200, ["a", "b"])) == decide(make_items(200, ["a", "b"]))


def test_splits_do_not_follow_the_order_alone():
    assert decide(make_items(50, ["a"], seed=1)) != decide(make_items(50, ["a"], seed=2))


def test_no_share_held_back_means_all_trains():
    assert set(decide(make_items(30, ["a"]), Shares(0, 0))) == {"train"}


def test_items_keep_their_split_when_more_come_in(dataset):
    def splits():
        return {item.sha256: item.split for item in items}

    items = [intake.take(dataset, f"{n}.jpg", corpus.photo(n), ["cat"]).item for n in range(12)]
    before = splits()
    for n in range(12, 24):
        intake.take(dataset, f"{n}.jpg", corpus.photo(n), ["cat"])
    assert splits() == before


def test_a_near_duplicate_goes_where_the_first_one_is():
    items = make_items(100, ["a"])
    for near in (1, 0b111, 1 << 63):
        copies = [(f"{n:064x}", print_ ^ near, labels) for n, (_, print_, labels) in enumerate(items)]
        splits = decide(items + copies)
        assert splits[:100] == splits[100:]


@pytest.mark.parametrize("seed", range(5))
def test_copies_saved_anew_or_smaller_are_near_duplicates(seed):
    original = fingerprint_of(scene(seed))
    small = scene(seed).resize((160, 120))
    for copy in (fingerprint_of(scene(seed), quality=40), fingerprint_of(small)):
        assert (original ^ copy).bit_count() <= MAX_DISTANCE


def test_different_scenes_are_not_near_duplicates():
    prints = [fingerprint_of(scene(seed)) for seed in range(20)]
    distances = [(a ^ b).bit_count() for n, a in enumerate(prints) for b in prints[:n]]
    assert min(distances) > MAX_DISTANCE


def test_flat_images_are_nobodys_near_duplicates():
    neighbours = Neighbours()
    neighbours.add(0, "test")
    flat = fingerprint(np.full((256, 256, 3), 200, np.uint8))
    assert neighbours.find_split(flat) is None


def test_the_nearest_neighbour_decides():
    neighbours = Neighbours()
    neighbours.add(0xFF00FF00FF00FF00 ^ 0b11, "train")
    neighbours.add(0xFF00FF00FF00FF00 ^ 0b1, "test")
    assert neighbours.find_split(0xFF00FF00FF00FF00) == "test"


def test_a_near_duplicate_sent_later_joins_the_one_in_the_dataset(dataset):
    for seed in range(10):
        original = intake.take(dataset, "a.jpg", corpus.encode(scene(seed), "JPEG"), ["cat"]).item
        buffer = io.BytesIO()
        scene(seed).save(buffer, "PNG")
        copy = intake.take(dataset, "b.png", buffer.getvalue(), ["cat"]).item
        assert copy.split == original.split
