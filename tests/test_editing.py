"""Editing: what is changed can be undone, and the counts are right after every step."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest

from datasets import editing, intake, labels, sweep
from datasets.counts import recount
from datasets.editing import ChangeRefused, NameRefused
from models import Label, db, now
from tests import corpus


@pytest.fixture
def items(dataset):
    """Three cats, two dogs, one without a label."""
    names = [["cat"], ["cat"], ["cat"], ["dog"], ["dog"], []]
    return [intake.take(dataset, f"{n}.jpg", corpus.photo(n), own).item for n, own in enumerate(names)]


def names_of(items) -> list[list[str]]:
    return [sorted(label.name for label in item.labels) for item in items]


def count(dataset) -> dict[str, int]:
    """Items by label as the dataset's counts have them, which must be what counting anew gives."""
    kept = copy.deepcopy(dataset.counts)
    recount(dataset)
    assert kept == dataset.counts
    return {found.name: found.count for found in labels.count_labels(dataset)}


def test_relabelling_a_selection_and_undoing_it(dataset, items, alice):
    change = editing.relabel(items[1:4], "bird", alice)
    assert names_of(items) == [["cat"], ["bird"], ["bird"], ["bird"], ["dog"], []]
    assert count(dataset) == {"bird": 3, "cat": 1, "dog": 1}
    assert (change.kind, change.summary, change.user_id) == ("relabel", "3 images labelled bird", alice.id)
    editing.undo(change)
    assert names_of(items) == [["cat"], ["cat"], ["cat"], ["dog"], ["dog"], []]
    assert count(dataset) == {"bird": 0, "cat": 3, "dog": 2}


def test_splits_stay_when_labels_change(dataset, items, alice):
    before = [item.split for item in items]
    editing.relabel(items, "bird", alice)
    assert [item.split for item in items] == before


def test_labels_can_be_taken_away(dataset, items, alice):
    editing.relabel(items[:1], None, alice)
    assert names_of(items)[0] == []
    assert dataset.counts["unlabelled"] == 2


def test_deleting_and_undoing_it(dataset, items, alice):
    change = editing.delete_items(items[:2], alice)
    assert dataset.counts["items"] == 4
    assert count(dataset) == {"cat": 1, "dog": 2}
    editing.undo(change)
    assert dataset.counts["items"] == 6
    assert names_of(items)[:2] == [["cat"], ["cat"]]


def test_nothing_is_undone_twice(dataset, items, alice):
    change = editing.delete_items(items[:1], alice)
    editing.undo(change)
    with pytest.raises(ChangeRefused, match="already"):
        editing.undo(change)


def test_undoing_passes_over_items_swept_since(dataset, items, alice):
    change = editing.relabel(items[:2], "bird", alice)
    db.session.delete(items[0])
    db.session.flush()
    assert editing.undo(change) == 1
    assert names_of(items[1:2]) == [["cat"]]


def test_undoing_follows_a_label_that_was_renamed_since(dataset, items, alice):
    change = editing.relabel(items[:1], "bird", alice)
    labels.rename(labels.find(dataset, "cat"), "kitten")
    labels.create(dataset, "cat")  # another label of the old name
    editing.undo(change)
    assert names_of(items[:2]) == [["kitten"], ["kitten"]]
    assert count(dataset) == {"bird": 0, "cat": 0, "dog": 2, "kitten": 3}


def test_undoing_makes_a_label_anew_that_was_deleted_since(dataset, items, alice):
    change = editing.relabel(items[:1], "bird", alice)
    labels.delete(labels.find(dataset, "cat"), alice)
    editing.undo(change)
    assert names_of(items[:2]) == [["cat"], []]


def test_a_deletion_whose_items_were_swept_cannot_be_undone_any_more(dataset, items, alice):
    change = editing.delete_items(items[:2], alice)
    sweep.sweep_rows(now() + timedelta(days=365))
    with pytest.raises(ChangeRefused, match="for good"):
        editing.undo(change)
    assert change.undone_at is None


def test_an_empty_selection_and_a_bad_name_are_refused(dataset, items, alice):
    with pytest.raises(ChangeRefused):
        editing.relabel([], "cat", alice)
    with pytest.raises(ChangeRefused):
        editing.delete_items([], alice)
    with pytest.raises(NameRefused):
        editing.relabel(items, "a\u202eb", alice)
    with pytest.raises(ChangeRefused, match="one label"):
        editing.relabel(items, ["cat", "dog"], alice)


def test_a_multi_label_item_takes_several(dataset, items, alice):
    dataset.task = "multi-label"
    editing.relabel(items[:1], ["dog", "cat", "dog"], alice)
    assert names_of(items)[0] == ["cat", "dog"]


def test_renaming_a_label_keeps_its_items(dataset, items):
    labels.rename(labels.find(dataset, "cat"), "  kitten ")
    assert names_of(items)[0] == ["kitten"]


def test_a_label_cannot_take_anothers_name(dataset, items):
    with pytest.raises(NameRefused, match="Merge"):
        labels.rename(labels.find(dataset, "cat"), "dog")


def test_merging_moves_all_items_and_can_be_undone(dataset, items, alice):
    change = labels.merge(labels.find(dataset, "cat"), labels.find(dataset, "dog"), alice)
    assert names_of(items) == [["dog"]] * 5 + [[]]
    assert count(dataset) == {"dog": 5}
    editing.undo(change)
    assert count(dataset) == {"cat": 3, "dog": 2}


def test_merging_two_labels_of_one_item_leaves_one(dataset, items, alice):
    dataset.task = "multi-label"
    editing.relabel(items[:1], ["cat", "dog"], alice)
    labels.merge(labels.find(dataset, "cat"), labels.find(dataset, "dog"), alice)
    assert names_of(items)[0] == ["dog"]


def test_deleting_a_label_keeps_its_items(dataset, items, alice):
    change = labels.delete(labels.find(dataset, "cat"), alice)
    assert db.session.query(Label).filter_by(name="cat").count() == 0
    assert (count(dataset), dataset.counts["unlabelled"]) == ({"dog": 2}, 4)
    editing.undo(change)
    assert (count(dataset), dataset.counts["unlabelled"]) == ({"cat": 3, "dog": 2}, 1)


def test_counts_kept_batch_by_batch_are_those_of_counting_anew(dataset, items):
    assert count(dataset) == {"cat": 3, "dog": 2}
