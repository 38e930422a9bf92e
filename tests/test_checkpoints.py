"""Checkpoints: whole or not there, the newest whole one counts."""

from __future__ import annotations

import numpy as np

from learning.tuning import checkpoints


def save(folder, step):
    checkpoints.save(folder, step, {"weights": [np.full(3, step), np.eye(2)], "none": []}, {"step": step})


def test_what_was_saved_comes_back(tmp_path):
    save(tmp_path / "checkpoint", 7)
    groups, state = checkpoints.load(tmp_path / "checkpoint")
    assert state == {"step": 7}
    assert groups["none"] == []
    assert groups["weights"][0].tolist() == [7, 7, 7]
    assert groups["weights"][1].tolist() == [[1, 0], [0, 1]]


def test_two_are_kept(tmp_path):
    for step in (1, 2, 10):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000002.npz", "000000010.npz"]


def test_a_cut_off_one_gives_way_to_the_one_before(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    newest = tmp_path / "000000002.npz"
    newest.write_bytes(newest.read_bytes()[:200])
    assert checkpoints.load(tmp_path)[1] == {"step": 1}


def test_those_of_a_try_given_up_give_way_to_new_ones(tmp_path):
    for step in (8, 9, 1, 2):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000001.npz", "000000002.npz"]


def test_without_any_there_is_nothing(tmp_path):
    assert checkpoints.load(tmp_path / "never") is None


def test_a_checkpoint_of_another_version_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "VERSION", 1)
    save(tmp_path, 1)
    monkeypatch.undo()
    assert checkpoints.load(tmp_path) is None
