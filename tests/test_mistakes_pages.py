"""A version's mistakes as a place to work: what is shown, what is done about it, and taking that back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from datasets import editing, intake, labels, reviews, sweep
from models import Dataset, Item, Member, Review, db, now
from tests.photos import COLOURS, photo
from tests.teaching import find_alike, finish, start, teach

MISTAKES = "/datasets/flowers/versions/1/mistakes"
WRONG = f"{MISTAKES}/wrong"
JSON = {"Accept": "application/json"}


@pytest.fixture
def mistaken(dataset):
    """The one item that a version took for another: a red photo, called blue."""
    teach(dataset)
    finish(start(dataset))
    return db.session.scalar(select(Item).filter_by(sent_name="red/0.jpg"))


def names(item: Item) -> list[str]:
    db.session.expire_all()
    return [label.name for label in item.labels]


def do(browser, item: Item, headers=None, **form):
    return browser.post(WRONG, data={"item": item.id, **form}, headers=headers)


def is_open(browser, queue: str = "wrong") -> bool:
    return '<li class="mistake"' in browser.get(f"{MISTAKES}/{queue}").text


def test_an_image_is_shown_with_what_was_said_and_what_was_taught(owner, mistaken):
    page = owner.get(WRONG).text
    assert "Taught as <strong>red</strong>" in page
    assert "90.0 %" in page
    assert f"/thumbnails/{mistaken.filename}" in page


def test_the_workplace_opens_at_a_queue_with_something_to_do(owner, mistaken):
    assert owner.get(f"{MISTAKES}/").location == f"{MISTAKES}/suspects"


def test_relabelling_takes_the_item_out_of_the_queue_and_undo_brings_it_back(owner, mistaken):
    answer = do(owner, mistaken, label="blue")
    assert (answer.status_code, names(mistaken)) == (303, ["blue"])
    assert not is_open(owner)
    page = owner.get(f"{WRONG}?done=1").text
    assert "Relabelled</strong>: blue" in page
    undo = do(owner, mistaken, JSON, label="red").json["undo"]
    owner.post(undo)
    assert names(mistaken) == ["blue"]


def test_a_script_is_told_what_was_done_with_the_card_as_it_is_now(owner, mistaken):
    told = do(owner, mistaken, JSON, label="blue").json
    assert (told["words"], told["left"], told["done"], told["put_right"]) == ("labelled blue", 0, 1, 1)
    assert "Relabelled" in told["card"]
    back = owner.post(told["undo"], headers=JSON).json
    assert (back["left"], back["put_right"], names(mistaken)) == (1, 0, ["red"])


def test_an_undo_takes_back_nothing_of_other_images(owner, mistaken, dataset, alice):
    others = list(db.session.scalars(select(Item).where(Item.id != mistaken.id)))
    many = editing.relabel([mistaken, *others], "blue", alice)
    other = editing.relabel(others[:1], "red", alice)
    review = reviews.leave(others[1], alice)
    db.session.commit()
    for what in (f"change={many.id}", f"change={other.id}", f"review={review.id}"):
        assert owner.post(f"{WRONG}/undo?item={mistaken.id}&{what}").status_code == 404
    assert names(others[0]) == ["red"] and names(mistaken) == ["blue"]
    assert db.session.get(Review, review.id)


def test_an_undo_does_not_lose_what_somebody_did_later(owner, mistaken, alice):
    told = do(owner, mistaken, JSON, label="blue").json
    editing.relabel([mistaken], "green", alice)
    db.session.commit()
    assert owner.post(told["undo"], headers=JSON).status_code == 409
    assert "changed again since" in owner.post(told["undo"], follow_redirects=True).text
    assert names(mistaken) == ["green"]


def test_what_was_not_judged_is_refused_before_anything_is_done(owner, mistaken, dataset, alice):
    intake.take(dataset, "new.jpg", photo(COLOURS["red"], 77), ["red"])
    db.session.commit()
    new = db.session.scalar(select(Item).filter_by(sent_name="new.jpg"))
    assert do(owner, new, JSON, label="blue").status_code == 404
    assert names(new) == ["red"]


def test_a_label_with_spaces_around_it_is_the_label(owner, mistaken):
    assert do(owner, mistaken, JSON, label=" red ").json["words"] == "left as it is"


def test_adding_no_label_leaves_nothing_as_it_is(owner, mistaken):
    assert do(owner, mistaken, JSON, do="add", label=" ").status_code == 422
    assert db.session.scalar(select(Review)) is None


def test_a_removed_image_stays_done_when_it_is_swept_for_good(owner, mistaken):
    do(owner, mistaken, do="remove")
    sweep.sweep_rows(now() + timedelta(days=400))
    db.session.commit()
    assert "All done" in owner.get(WRONG).text
    assert "was deleted since" in owner.get(f"{WRONG}?done=1").text


def test_another_queue_takes_no_notice_of_a_cell(owner, mistaken):
    assert "<h1>Most wrong</h1>" in owner.get(f"{WRONG}?true=0&predicted=1").text


def test_what_is_left_as_it_is_comes_back_in_no_queue(owner, mistaken):
    told = do(owner, mistaken, JSON, do="leave").json
    assert (told["words"], told["put_right"]) == ("left as it is", 0)
    assert not is_open(owner)
    assert not is_open(owner, "cell")
    assert "Left as it is" in owner.get(f"{WRONG}?done=1").text
    owner.post(told["undo"])
    assert is_open(owner)


def test_choosing_the_label_that_it_bears_leaves_it_as_it_is(owner, mistaken):
    assert do(owner, mistaken, JSON, label="red").json["words"] == "left as it is"


def test_a_review_counts_only_while_the_labels_are_what_they_were(owner, mistaken, dataset, alice):
    do(owner, mistaken, do="leave")
    editing.relabel([mistaken], "blue", alice)
    made = editing.relabel([mistaken], "red", alice)
    assert not is_open(owner)
    editing.undo(made)
    db.session.commit()
    assert "Relabelled" in owner.get(f"{WRONG}?done=1").text


def test_what_was_left_stays_so_for_the_next_version(owner, mistaken, dataset):
    do(owner, mistaken, do="leave")
    finish(start(dataset))
    page = owner.get(WRONG.replace("/1/", "/2/")).text
    assert "All done" in page


def test_a_label_renamed_since_makes_nothing_relabelled(owner, mistaken, dataset):
    do(owner, mistaken, do="leave")
    labels.rename(labels.find(dataset, "red"), "crimson")
    db.session.commit()
    assert "Left as it is" in owner.get(f"{WRONG}?done=1").text


def test_a_removed_image_is_passed_over_and_undo_brings_it_back(owner, mistaken):
    told = do(owner, mistaken, JSON, do="remove").json
    db.session.expire_all()
    assert mistaken.deleted_at is not None
    assert not is_open(owner)
    assert do(owner, mistaken, JSON, label="blue").status_code == 422
    assert owner.post(told["undo"], headers=JSON).json["words"] == "taken back"
    assert is_open(owner)


def test_what_was_put_right_is_counted_beside_the_button_to_train_again(owner, mistaken, dataset):
    do(owner, mistaken, label="blue")
    page = owner.get(WRONG).text
    assert "data-put-right>1</strong> put right" in page
    assert "/again" in page


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"item": "x"}, 400),
        ({"item": "999"}, 404),
        ({"do": "burn"}, 400),
        ({"label": ""}, 422),
        ({"label": ["red", "blue"]}, 422),
        ({"label": "a" * 101}, 422),
    ],
)
def test_a_form_that_makes_no_sense_is_no_error_of_ours(owner, mistaken, form, status):
    assert owner.post(WRONG, data={"item": mistaken.id} | form, headers=JSON).status_code == status
    assert names(mistaken) == ["red"]


@pytest.mark.parametrize("query", ["", "?review=9", "?change=x", "?change=9"])
def test_an_undo_of_nothing_is_no_error_of_ours(owner, mistaken, query):
    more = f"{query}&item={mistaken.id}" if query else f"?item={mistaken.id}"
    assert owner.post(f"{WRONG}/undo{more}").status_code in (400, 404)


def test_an_unknown_queue_is_not_found(owner, mistaken):
    assert owner.get(f"{MISTAKES}/nonsense").status_code == 404
    assert owner.post(f"{MISTAKES}/nonsense", data={"item": mistaken.id}).status_code == 404


def test_a_viewer_sees_but_changes_nothing(client, sign_in, bob, dataset, mistaken):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    browser = sign_in(client, bob)
    page = browser.get(WRONG).text
    assert "Taught as" in page and "Remove" not in page and "mistakes.js" not in page
    assert do(browser, mistaken, do="leave").status_code == 403
    assert db.session.scalar(select(Review)) is None


def test_an_item_of_another_dataset_is_neither_shown_nor_changed(owner, mistaken, alice):
    other = Dataset(slug="birds", name="Birds", members=[Member(user=alice, role="owner")])
    db.session.add(other)
    db.session.flush()
    mistaken.dataset_id = other.id
    db.session.commit()
    assert f"/thumbnails/{mistaken.filename}" not in owner.get(WRONG).text
    assert do(owner, mistaken, label="blue").status_code == 404


@pytest.fixture
def pair(dataset, mistaken):
    """Two photos that somebody found to look alike: the one mistaken, which is red, and a blue one."""
    blue = db.session.scalar(select(Item).filter_by(sent_name="blue/0.jpg"))
    find_alike(dataset, mistaken, blue)
    return mistaken, blue


def test_look_alikes_of_different_labels_stand_beside_each_other_until_one_is_relabelled(owner, pair):
    page = owner.get(f"{MISTAKES}/alike").text
    assert all(f"item-{item.id}" in page for item in pair)
    assert "Looks like" in page
    do(owner, pair[0], label="blue")
    assert not is_open(owner, "alike")


def test_a_look_alike_that_was_left_as_it_is_is_passed_over(owner, pair):
    do(owner, pair[0], do="leave")
    page = owner.get(f"{MISTAKES}/alike").text
    assert f"item-{pair[0].id}" not in page and f"item-{pair[1].id}" in page


def test_a_script_is_told_how_the_look_alikes_of_an_image_stand_now(owner, pair):
    alike = f"{MISTAKES}/alike"
    told = owner.post(alike, data={"item": pair[0].id, "label": "blue"}, headers=JSON).json
    assert "Nothing left to do here" in told["beside"][f"item-{pair[1].id}"]
    assert (told["left"], told["total"]) == (0, 0)
    back = owner.post(told["undo"], headers=JSON).json
    assert "Looks like" in back["beside"][f"item-{pair[1].id}"]
    assert (back["left"], back["total"]) == (2, 2)
    assert do(owner, pair[0], JSON, label="blue").json["beside"] == {}
