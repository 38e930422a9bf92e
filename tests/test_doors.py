"""The doors for scripts written for KerasUI and FastImageClassification: their calls, unchanged."""

from __future__ import annotations

import base64
import io

import pytest
from sqlalchemy import select

from models import Change, Dataset, Item, Label, Member, db
from tests.asking import make_bearer
from tests.photos import photo

RED, BLUE = photo((200, 40, 40), 1), photo((40, 70, 200), 2)


def bearer(user, *scopes):
    return make_bearer(user, *(scopes or ("read", "write")))


@pytest.fixture
def headers(alice):
    """What KerasUI's scripts send: a token that may read and write."""
    return bearer(alice)


def as_text(image: bytes) -> str:
    return base64.encodebytes(image).decode()  # with line breaks, as `base64 photo.jpg` gives it


def add(client, dataset, headers, image=RED, label="rose", **more):
    body = {"image": as_text(image), "label": label, "dataset": dataset.id, **more}
    return client.post("/api/datasetitem/", json=body, headers=headers)


# ---------- datasets ----------


def test_a_dataset_is_made_renamed_and_deleted(client, alice, headers):
    made = client.post("/api/dataset/", json={"name": "Birds", "process": "model = …"}, headers=headers)
    assert made.status_code == 201
    assert made.json == {"id": 1, "url": "http://localhost/api/dataset/1/", "name": "Birds", "process": ""}
    assert made.location == made.json["url"]
    renamed = client.put("/api/dataset/1/", json={"name": "Fowl", "process": ""}, headers=headers)
    assert renamed.json["name"] == "Fowl"
    assert client.get("/api/dataset/1/", headers=headers).json == renamed.json
    assert client.delete("/api/dataset/1/", headers=headers).status_code == 204
    assert db.session.scalar(select(Dataset)) is None


def test_datasets_are_paged_by_limit_and_offset(client, alice, charlie, headers):
    everything = [
        Dataset(slug=f"d{n}", name=f"D{n}", members=[Member(user=alice, role="viewer")]) for n in range(12)
    ]
    db.session.add_all(
        [*everything, Dataset(slug="x", name="X", members=[Member(user=charlie, role="owner")])]
    )
    first = client.get("/api/dataset/", headers=headers).json
    assert (first["count"], len(first["results"]), first["previous"]) == (12, 10, None)
    assert first["next"] == "http://localhost/api/dataset/?limit=10&offset=10"
    second = client.get(first["next"], headers=headers).json
    assert [one["name"] for one in second["results"]] == ["D10", "D11"]
    assert (second["next"], second["previous"]) == (None, "http://localhost/api/dataset/?limit=10")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "offset=-1", "offset=9999999999999999999999", "limit=-5"]
)
def test_a_page_that_is_none_is_the_first_one(client, dataset, headers, query):
    assert client.get(f"/api/dataset/?{query}", headers=headers).json["count"] == 1


# ---------- items ----------


def test_an_image_is_added_by_base64_with_line_breaks(client, dataset, headers):
    added = add(client, dataset, headers)
    assert added.status_code == 201
    assert (added.json["label"], added.json["dataset"]) == ("rose", dataset.id)
    assert client.get(added.json["url"], headers=headers).json == added.json
    assert client.get(added.json["image"], headers=headers).mimetype == "image/jpeg"
    listed = client.get("/api/datasetitem/", headers=headers).json
    assert (listed["count"], listed["results"]) == (1, [added.json])


def test_an_image_is_added_as_a_file_of_a_form(client, dataset, headers):
    form = {"image": (io.BytesIO(RED), "a.jpg"), "label": "rose", "dataset": str(dataset.id)}
    assert client.post("/api/datasetitem/", data=form, headers=headers).status_code == 201
    assert db.session.scalars(select(Item)).one().sent_name == "a.jpg"


def test_an_image_that_is_there_already_is_given_as_it_is(client, dataset, headers):
    first = add(client, dataset, headers)
    again = add(client, dataset, headers)
    assert (again.status_code, again.json) == (200, first.json)


def test_an_image_that_is_there_with_another_label_is_not_relabelled_in_silence(client, dataset, headers):
    add(client, dataset, headers)
    again = add(client, dataset, headers, label="daisy")
    assert again.status_code == 400
    assert "labelled rose" in again.json["image"][0]


def test_a_label_is_changed_by_put_with_the_same_image_and_by_patch_alone(client, dataset, headers):
    url = add(client, dataset, headers).json["url"]
    body = {"image": as_text(RED), "label": "daisy", "dataset": dataset.id}
    assert client.put(url, json=body, headers=headers).json["label"] == "daisy"
    assert client.patch(url, json={"label": "tulip"}, headers=headers).json["label"] == "tulip"
    assert db.session.scalars(select(Item)).one().labels[0].name == "tulip"


def test_another_image_takes_the_place_and_the_old_one_can_be_brought_back(client, dataset, headers):
    old = add(client, dataset, headers).json
    new = client.patch(old["url"], json={"image": as_text(BLUE)}, headers=headers).json
    assert new["id"] != old["id"] and new["label"] == "rose"
    assert client.get(old["url"], headers=headers).status_code == 404
    assert db.session.scalars(select(Change)).one().kind == "delete"


def test_a_deleted_image_is_gone_but_can_be_brought_back(client, dataset, headers):
    url = add(client, dataset, headers).json["url"]
    assert client.delete(url, headers=headers).status_code == 204
    assert client.get("/api/datasetitem/", headers=headers).json["count"] == 0
    assert db.session.scalars(select(Item)).one().deleted_at


def test_several_labels_stand_with_marks_between_them(client, dataset, headers):
    dataset.task = "multi-label"
    assert add(client, dataset, headers, label="sea|ship").json["label"] == "sea|ship"
    assert {label.name for label in db.session.scalars(select(Label))} == {"sea", "ship"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": "???"}, "image"),
        ({"image": ""}, "image"),
        ({"image": 5}, "image"),
        ({"image": base64.b64encode(b"no image").decode()}, "image"),
        ({"label": ""}, "label"),
        ({"label": ["a"]}, "label"),
        ({"label": "\u202e"}, "label"),
        ({"dataset": "one"}, "dataset"),
        ({"dataset": True}, "dataset"),
        ({"dataset": "9" * 19}, "dataset"),
    ],
)
def test_a_wrong_field_is_named_as_the_framework_does(client, dataset, headers, change, field):
    body = {"image": as_text(RED), "label": "rose", "dataset": dataset.id, **change}
    answer = client.post("/api/datasetitem/", json=body, headers=headers)
    assert answer.status_code == 400
    assert list(answer.json) == [field] and isinstance(answer.json[field][0], str)


# ---------- who may ----------


def test_without_a_token_nothing_is_answered(client, dataset):
    for path in ("/api/dataset/", "/api/datasetitem/", "/api/users/", f"/api/dataset/{dataset.id}/"):
        answer = client.get(path)
        assert (answer.status_code, list(answer.json)) == (401, ["detail"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_needs_read_to_read_and_write_to_write(client, dataset, alice):
    assert client.get("/api/dataset/", headers=bearer(alice, "write")).status_code == 403
    answer = client.post("/api/dataset/", json={"name": "X"}, headers=bearer(alice, "read", "predict"))
    assert (answer.status_code, list(answer.json)) == (403, ["detail"])


def test_a_stranger_finds_nothing_and_a_viewer_changes_nothing(client, dataset, headers, bob, charlie):
    db.session.add(Member(dataset=dataset, user=bob, role="viewer"))
    url = add(client, dataset, headers).json["url"]
    for method, body in (("GET", None), ("PATCH", {"label": "x"}), ("DELETE", None)):
        assert client.open(url, method=method, json=body, headers=bearer(charlie)).status_code == 404
    assert client.get(url, headers=bearer(bob)).status_code == 200
    assert client.patch(url, json={"label": "x"}, headers=bearer(bob)).status_code == 403
    assert client.delete(url, headers=bearer(bob)).status_code == 403
    number = f"/api/dataset/{dataset.id}/"
    assert client.delete(number, headers=bearer(bob)).status_code == 403
    assert client.delete(number, headers=bearer(charlie)).status_code == 404
    assert add(client, dataset, bearer(charlie)).status_code == 404


def test_a_session_counts_for_nothing(client, sign_in, alice, dataset):
    assert sign_in(client, alice).get("/api/dataset/").status_code == 401


def test_users_see_themselves_and_an_administrator_of_users_everybody(client, alice, bob, root):
    mine = client.get("/api/users/", headers=bearer(alice)).json
    assert [user["username"] for user in mine["results"]] == ["alice"]
    assert mine["results"][0] == {**mine["results"][0], "email": "", "groups": []}
    assert client.get(mine["results"][0]["url"], headers=bearer(bob)).status_code == 404
    assert client.get("/api/users/", headers=bearer(root)).json["count"] == 1
    assert client.get("/api/users/", headers=bearer(root, "read", "admin")).json["count"] == 3


def test_a_method_that_is_none_is_told_in_the_frameworks_shape(client, headers):
    answer = client.get("/api/test/", headers=headers)
    assert (answer.status_code, list(answer.json)) == (405, ["detail"])


@pytest.mark.parametrize("path", ["/api/test/", "/api/datasetitem/", "/api/dataset/", "/scorefile/"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", "[" * 100_000),
        ("application/json", '["image"]'),
        ("application/json", '{"image": NaN}'),
        ("application/json", '{"image": {"a": []}, "dataset": {}, "label": 1, "name": 2}'),
        ("multipart/form-data", "no boundary"),
        ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="image"\r\n\r\ncut'),
        ("application/x-www-form-urlencoded", "image=%00&dataset=1&label=x"),
        ("text/plain", "hello"),
        ("", ""),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_sender(app, client, dataset, headers, path, kind, body):
    app.config["PIGEONHOLE"].values["SCOREFILE_DATASET"] = dataset.slug
    dataset.is_public = True
    answer = client.post(path, data=body, content_type=kind, headers=headers)
    assert 400 <= answer.status_code < 500
    assert "error" not in answer.json and len(answer.json) == 1
