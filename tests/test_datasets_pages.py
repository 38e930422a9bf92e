"""Pages of datasets: made, looked through, set, shared, and deleted by name."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from datasets.counts import recount
from models import Dataset, Import, Item, ItemLabel, Label, Member, db

LABELS = ("daisy", "rose")


def add_items(dataset, count, label=None, split="train"):
    """Add rows of items (without bytes) that bear `label`, and return them."""
    first = db.session.query(Item).count()
    found = label and (
        db.session.scalar(select(Label).filter_by(dataset_id=dataset.id, name=label))
        or Label(dataset_id=dataset.id, name=label)
    )
    items = [
        Item(
            dataset_id=dataset.id,
            sha256=f"{first + number:064x}",
            filename=f"f{first + number}.png",
            sent_name=f"IMG_{first + number}.png",
            format="PNG",
            width=8,
            height=8,
            size=100,
            fingerprint="0" * 16,
            split=split,
            label_links=[ItemLabel(label=found)] if found else [],
        )
        for number in range(count)
    ]
    db.session.add_all(items)
    db.session.flush()
    recount(dataset)
    db.session.commit()
    return items


def shown(page: str) -> list[str]:
    """The names of the images that a page shows."""
    return re.findall(r'alt="(IMG_\d+\.png)"', page)


def make_member(dataset, user, role):
    db.session.add(Member(dataset_id=dataset.id, user_id=user.id, role=role))
    db.session.commit()


# Home


def test_somebody_new_is_told_what_to_do_first(client, sign_in, alice):
    page = sign_in(client, alice).get("/").text
    assert "Make a dataset" in page
    assert "Try it with 1,797 handwritten digits" in page


def test_home_shows_ones_own_datasets_and_no_others(client, sign_in, app, dataset, alice, bob):
    add_items(dataset, 3, "rose")
    page = sign_in(client, alice).get("/").text
    assert "Flowers" in page
    assert "3 images, 1 label" in page
    assert "Flowers" not in sign_in(app.test_client(), bob).get("/").text


def test_a_stranger_is_told_what_this_is(client):
    assert "Teach your own images to sort themselves" in client.get("/").text


def test_the_digits_are_one_click_away(client, sign_in, alice):
    answer = sign_in(client, alice).post("/datasets/digits")
    import_ = db.session.scalar(select(Import))
    assert import_.kind == "digits"
    assert answer.location == f"/datasets/handwritten-digits/imports/{import_.id}"


# Making and looking


def test_a_new_dataset_leads_on_to_adding_images(client, sign_in, alice):
    data = {"name": "My Flowers!", "task": "multi-label"}
    answer = sign_in(client, alice).post("/datasets/new", data=data)
    assert answer.location == "/datasets/my-flowers/imports/"
    assert db.session.scalar(select(Dataset)).task == "multi-label"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\u202eb"])
def test_a_bad_name_is_refused_with_the_reason(client, sign_in, alice, name):
    answer = sign_in(client, alice).post("/datasets/new", data={"name": name, "task": "single-label"})
    assert answer.status_code == 422
    assert "invalid-feedback" in answer.text
    assert db.session.scalar(select(Dataset)) is None


def test_an_unknown_task_is_refused(client, sign_in, alice):
    answer = sign_in(client, alice).post("/datasets/new", data={"name": "a", "task": "guess"})
    assert answer.status_code == 422


def test_an_empty_dataset_says_what_to_do(client, sign_in, dataset, alice):
    assert "No images yet" in sign_in(client, alice).get("/datasets/flowers/").text


def test_every_item_is_shown_once_going_forward_and_back(client, sign_in, dataset, alice):
    add_items(dataset, 150, "rose")
    sign_in(client, alice)
    first = client.get("/datasets/flowers/").text
    second = client.get(follow(first, "next")).text
    third = client.get(follow(second, "next")).text
    names = shown(first) + shown(second) + shown(third)
    assert len(names) == len(set(names)) == 150
    assert 'rel="next"' not in third
    assert shown(client.get(follow(third, "prev")).text) == shown(second)


def follow(page: str, rel: str) -> str:
    return re.search(rf'rel="{rel}" href="([^"]+)"', page).group(1).replace("&amp;", "&")


def test_a_label_and_a_split_narrow_what_is_shown(client, sign_in, dataset, alice):
    add_items(dataset, 2, "rose")
    roses = add_items(dataset, 3, "rose", "test")
    add_items(dataset, 4, "daisy", "test")
    page = sign_in(client, alice).get("/datasets/flowers/?label=rose&split=test").text
    assert sorted(shown(page)) == [item.sent_name for item in roses]


def test_items_without_a_label_can_be_found(client, sign_in, dataset, alice):
    add_items(dataset, 2, "rose")
    bare = add_items(dataset, 1)
    assert shown(sign_in(client, alice).get("/datasets/flowers/?label=").text) == [bare[0].sent_name]


def test_a_label_that_is_not_there_shows_nothing(client, sign_in, dataset, alice):
    add_items(dataset, 2, "rose")
    answer = sign_in(client, alice).get("/datasets/flowers/?label=tulip")
    assert answer.status_code == 200
    assert shown(answer.text) == []


@pytest.mark.parametrize(
    "query", ["split=other", "after=x", "after=-1", "after=" + "9" * 30, "before=1e3", "after=%00"]
)
def test_a_bad_query_is_not_taken(client, sign_in, dataset, alice, query):
    assert sign_in(client, alice).get(f"/datasets/flowers/?{query}").status_code in (400, 404)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", 'a&b "c"'])
def test_a_hostile_label_is_inert(client, sign_in, dataset, alice, name):
    add_items(dataset, 1, name)
    sign_in(client, alice)
    for address in ("/datasets/flowers/", "/datasets/flowers/labels"):
        page = client.get(address).text
        assert "<script>alert" not in page
        assert 'b "c"' not in page


def test_a_viewer_sees_no_buttons_that_change(client, sign_in, dataset, bob):
    add_items(dataset, 1, "rose")
    make_member(dataset, bob, "viewer")
    page = sign_in(client, bob).get("/datasets/flowers/").text
    assert shown(page)
    assert "Relabel" not in page
    assert "Edit labels" not in page
    assert "Add images" not in page


# Settings and members


def test_the_owner_renames_and_opens_the_predict_page(client, sign_in, dataset, alice):
    data = {"name": "Garden", "description": "Ours", "is_public": "y", "prediction_days": "3"}
    answer = sign_in(client, alice).post("/datasets/flowers/settings", data=data)
    assert answer.status_code == 302
    db.session.refresh(dataset)
    found = (dataset.name, dataset.description, dataset.is_public, dataset.prediction_days)
    assert found == ("Garden", "Ours", True, 3)


def test_an_editor_may_not_change_settings(client, sign_in, dataset, bob):
    make_member(dataset, bob, "editor")
    assert sign_in(client, bob).post("/datasets/flowers/settings", data={"name": "x"}).status_code == 403


def test_a_member_is_added_by_name_and_may_then_look(client, sign_in, app, dataset, alice, bob):
    sign_in(client, alice).post("/datasets/flowers/members", data={"name": "bob", "role": "viewer"})
    assert sign_in(app.test_client(), bob).get("/datasets/flowers/").status_code == 200


def test_a_name_nobody_has_is_said_to_be_unknown(client, sign_in, dataset, alice):
    data = {"name": "nobody", "role": "viewer"}
    answer = sign_in(client, alice).post("/datasets/flowers/members", data=data)
    assert answer.status_code == 422
    assert "Nobody of that name" in answer.text


def test_a_removed_member_no_longer_finds_the_dataset(client, sign_in, app, dataset, alice, bob):
    make_member(dataset, bob, "editor")
    sign_in(client, alice).post(f"/datasets/flowers/members/{bob.id}/remove")
    assert sign_in(app.test_client(), bob).get("/datasets/flowers/").status_code == 404


def test_a_member_may_leave(client, sign_in, dataset, bob):
    make_member(dataset, bob, "viewer")
    sign_in(client, bob).post(f"/datasets/flowers/members/{bob.id}/remove")
    assert client.get("/datasets/flowers/").status_code == 404


def test_an_editor_may_not_remove_others(client, sign_in, dataset, alice, bob):
    make_member(dataset, bob, "editor")
    assert sign_in(client, bob).post(f"/datasets/flowers/members/{alice.id}/remove").status_code == 403


def test_the_last_owner_cannot_leave(client, sign_in, dataset, alice):
    answer = sign_in(client, alice).post(f"/datasets/flowers/members/{alice.id}/remove")
    assert answer.status_code == 409
    assert "last owner" in answer.text


def test_the_last_owner_cannot_become_less(client, sign_in, dataset, alice):
    data = {"name": "alice", "role": "viewer"}
    assert sign_in(client, alice).post("/datasets/flowers/members", data=data).status_code == 409


def test_a_dataset_is_deleted_once_its_name_is_typed(client, sign_in, dataset, alice):
    add_items(dataset, 3, "rose")
    sign_in(client, alice)
    client.post("/datasets/flowers/delete", data={"confirm": "flowers?"})
    assert db.session.scalar(select(Dataset.id))
    client.post("/datasets/flowers/delete", data={"confirm": "Flowers"})
    db.session.rollback()
    assert db.session.scalar(select(Dataset.id)) is None
    assert db.session.scalar(select(Item.id)) is None


# Labels


def label_of(dataset, name):
    return db.session.scalar(select(Label).filter_by(dataset_id=dataset.id, name=name))


def test_a_label_is_renamed(client, sign_in, dataset, alice):
    add_items(dataset, 1, "rosee")
    number = label_of(dataset, "rosee").id
    sign_in(client, alice).post(f"/datasets/flowers/labels/{number}/rename", data={"name": "rose"})
    assert label_of(dataset, "rose").id == number


def test_a_label_is_merged_and_the_merge_undone(client, sign_in, dataset, alice):
    add_items(dataset, 2, "rose")
    add_items(dataset, 3, "roses")
    rose, roses = label_of(dataset, "rose"), label_of(dataset, "roses")
    sign_in(client, alice)
    client.post(f"/datasets/flowers/labels/{roses.id}/merge", data={"into": rose.id})
    assert shown_count(client, "rose") == 5
    undo_last(client)
    assert (shown_count(client, "rose"), shown_count(client, "roses")) == (2, 3)


def test_a_deleted_label_leaves_its_images_and_comes_back(client, sign_in, dataset, alice):
    add_items(dataset, 2, "rose")
    sign_in(client, alice)
    client.post(f"/datasets/flowers/labels/{label_of(dataset, 'rose').id}/delete")
    assert shown_count(client, "") == 2
    undo_last(client)
    assert shown_count(client, "rose") == 2


def shown_count(client, label):
    return len(shown(client.get("/datasets/flowers/", query_string={"label": label}).text))


def undo_last(client):
    """Press the newest Undo button that has been offered and not shown yet."""
    number = db.session.execute(db.text("SELECT max(id) FROM changes")).scalar()
    client.post(f"/datasets/flowers/changes/{number}/undo")


def test_labels_of_another_dataset_are_out_of_reach(client, sign_in, dataset, alice):
    other = Dataset(slug="other", name="Other", labels=[Label(name="secret")])
    db.session.add(other)
    db.session.commit()
    number = label_of(other, "secret").id
    answer = sign_in(client, alice).post(f"/datasets/flowers/labels/{number}/delete")
    assert answer.status_code == 404
