"""What goes live by itself, what does not, and what was live before."""

from __future__ import annotations

import json

import pytest

from jobs import live, removal, training
from models import LiveChange, db
from tests.teaching import finish, start, teach


@pytest.fixture
def first(dataset):
    """The first version of a dataset of twenty blue and twenty red photos, six of them for testing."""
    teach(dataset, 20)
    return finish(start(dataset))


def another(dataset, **more):
    return finish(start(dataset), **more)


def rewrite(version, change):
    """Let `change` alter each judged item of the version's evaluation.json."""
    path = training.folder_of(version.run) / "evaluation.json"
    items = json.loads(path.read_text())["items"]
    for item in items:
        change(item)
    path.write_text(json.dumps({"items": items}))


def test_the_first_version_goes_live(dataset, first):
    assert dataset.live_version == 1
    assert first.promotion == {"went_live": True, "sentence": "Version 1 went live: there was no other."}


def test_one_that_is_as_good_goes_live(dataset, first):
    version = another(dataset)
    assert dataset.live_version == 2
    sentence = "Version 2 went live: right on 6 of 6 test images, version 1 on as many."
    assert version.promotion["sentence"] == sentence


def test_one_that_is_better_goes_live_and_says_on_how_many(dataset):
    teach(dataset, 20)
    finish(start(dataset), wrong_tests=2)
    version = another(dataset, wrong_tests=1)
    assert dataset.live_version == 2
    sentence = "Version 2 went live: right on 5 of 6 test images, version 1 on 4."
    assert version.promotion["sentence"] == sentence


def test_one_that_is_worse_on_the_same_test_items_stays_a_candidate(dataset, first):
    version = another(dataset, wrong_tests=1)
    assert dataset.live_version == 1
    assert version.promotion == {
        "went_live": False,
        "sentence": "Version 2 did not go live: right on 5 of 6 test images, version 1 on 6.",
        **{"compared_with": 1, "items": 6, "by": "test", "right": 5, "compared_right": 6},
    }


def test_where_no_test_item_is_shared_those_that_neither_had_learnt_from_count(dataset, first):
    rewrite(first, lambda item: item.update(split="train"))
    version = another(dataset)
    assert version.promotion["by"] == "out-of-sample"
    assert (
        "39 of 40 images that neither had learnt from, version 1 on as many" in version.promotion["sentence"]
    )
    assert dataset.live_version == 2


def test_where_all_labels_are_others_it_stays_a_candidate_and_says_why(dataset, first):
    rewrite(first, lambda item: item.update(labels=["green"]))
    version = another(dataset)
    assert dataset.live_version == 1
    assert "have judged no image with the same labels" in version.promotion["sentence"]
    assert version.promotion["items"] == 0


def test_where_the_owner_wants_it_so_nothing_but_the_first_goes_live_by_itself(dataset):
    dataset.is_promoting = False
    teach(dataset, 20)
    finish(start(dataset))
    version = another(dataset)
    assert dataset.live_version == 1
    assert version.promotion["sentence"].startswith("Version 2 did not go live: in this dataset somebody")
    assert "right on 6 of 6 test images" in version.promotion["sentence"]


def test_what_a_person_went_back_to_stays_when_the_run_is_settled_again(dataset, first, alice):
    version = another(dataset)
    assert live.roll_back(dataset, alice) == 1
    training.settle_run(version.run)
    assert dataset.live_version == 1
    assert version.promotion["went_live"]


def test_every_change_is_remembered_with_who_and_why(dataset, first, alice):
    version = another(dataset)
    live.make_live(dataset, first, alice)
    newest, second, oldest = live.list_changes(dataset)
    assert (newest.previous, newest.version, newest.user.name, newest.why) == (2, 1, "alice", None)
    assert (second.user, second.why) == (None, version.promotion["sentence"])
    assert oldest.previous is None


def test_making_the_live_one_live_again_is_no_change(dataset, first, alice):
    assert live.make_live(dataset, first, alice) is False
    assert db.session.query(LiveChange).count() == 1


def test_going_back_twice_leads_further_back(dataset, first, alice):
    for _ in range(2):
        another(dataset)
    assert [live.roll_back(dataset, alice) for _ in range(2)] == [2, 1]
    with pytest.raises(live.NothingBefore):
        live.roll_back(dataset, alice)


def test_what_was_left_and_made_live_again_leads_back_as_before(dataset, first, alice):
    version = another(dataset)
    live.roll_back(dataset, alice)
    live.make_live(dataset, version, alice)
    assert live.find_previous(dataset) == 1


def test_going_back_passes_over_what_was_deleted(dataset, first, alice):
    removed = another(dataset)
    another(dataset)
    removal.delete_version(removed)
    assert live.roll_back(dataset, alice) == 1


def test_going_back_from_what_is_not_live_changes_nothing(dataset, first, alice):
    another(dataset)
    with pytest.raises(live.NothingBefore, match="Version 1 is not live"):
        live.roll_back(dataset, alice, leaving=1)
    assert dataset.live_version == 2
