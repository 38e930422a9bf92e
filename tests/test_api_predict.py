"""POST …/predict: every way to send an image, and every way to send a wrong one."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from datasets import intake
from models import Member, Prediction, db
from tests.asking import make_bearer
from tests.trained import COLOURS, as_bytes, make_photo

pytestmark = pytest.mark.trainer
ADDRESS = "/api/v1/datasets/flowers/predict"
RED = as_bytes(make_photo(COLOURS["red"], seed=7))
BLUE = as_bytes(make_photo(COLOURS["blue"], seed=8))


@pytest.fixture
def bearer(app, alice, dataset, trained):
    trained.install(app, dataset)
    return make_bearer(alice, "predict")


def form(*images: bytes, name: str = "image") -> dict:
    return {name: [(io.BytesIO(image), f"{place}.jpg") for place, image in enumerate(images)]}


def test_a_form_with_one_image_gets_one_answer(client, bearer):
    answer = client.post(ADDRESS, data=form(RED), headers=bearer)
    assert answer.status_code == 200
    assert answer.json["label"] == "red"
    assert answer.json["dataset"] == "flowers" and answer.json["version"] == 1
    assert answer.json["rejected"] is False and answer.json["reason"] is None


def test_the_answer_has_exactly_the_fields_of_the_contract(client, bearer):
    answer = client.post(ADDRESS, data=form(RED), headers=bearer).json
    assert set(answer) == {
        *("prediction", "dataset", "version", "label", "labels", "rejected", "reason"),
        *("probabilities", "image", "milliseconds"),
    }
    assert set(answer["image"]) == {"url", "width", "height"}
    assert set(answer["milliseconds"]) == {"decode", "network", "total"}
    assert set(answer["probabilities"][0]) == {"label", "probability"}


def test_bare_bytes_base64_and_a_data_address_say_the_same(client, bearer):
    encoded = base64.encodebytes(RED).decode()
    answers = [
        client.post(ADDRESS, data=RED, content_type="image/jpeg", headers=bearer),
        client.post(ADDRESS, json={"image": encoded}, headers=bearer),
        client.post(ADDRESS, json={"image": f"data:image/jpeg;base64,{encoded}"}, headers=bearer),
    ]
    assert len({str(answer.json["probabilities"]) for answer in answers}) == 1


def test_an_explanation_says_what_each_part_did_and_adds_up(client, bearer):
    answer = client.post(f"{ADDRESS}?explain=true", data=form(RED), headers=bearer).json
    found = answer["explanation"]
    assert (found["label"], found["method"], found["box"]) == ("red", "exact", [40, 0, 280, 240])
    weights = np.array(found["heatmap"])
    assert np.abs(weights).max() == 1
    assert abs(weights.mean() * found["scale"] - found["score"]) < 1e-4


def test_taught_images_are_shown_only_to_those_who_may_read(app, client, bearer, alice, dataset):
    intake.take(dataset, "red/0.jpg", as_bytes(make_photo(COLOURS["red"], seed=1)), ["red"])
    dataset.is_public = True
    db.session.commit()
    answers = [
        client.post(f"{ADDRESS}?explain=true", data=form(RED), headers=headers).json
        for headers in ({}, bearer, make_bearer(alice, "predict", "read"))
    ]
    assert ["similar" in answer for answer in answers] == [False, False, True]
    assert all("explanation" in answer for answer in answers)


def test_only_sixteen_images_are_explained_at_once(client, bearer):
    answer = client.post(f"{ADDRESS}?explain=true", data=form(*[b"x"] * 17), headers=bearer)
    assert answer.status_code == 422
    assert "16 images" in answer.json["error"]["message"]


def test_a_refused_image_among_explained_ones_stays_a_refusal(client, bearer):
    answer = client.post(f"{ADDRESS}?explain=true", data=form(b"no image", RED), headers=bearer).json
    assert list(answer["predictions"][0]) == ["error"]
    assert answer["predictions"][1]["explanation"]["label"] == "red"


def test_many_images_are_answered_in_order_and_a_bad_one_keeps_its_place(client, bearer):
    answer = client.post(ADDRESS, data=form(RED, b"no image", BLUE), headers=bearer)
    first, second, third = answer.json["predictions"]
    assert (first["label"], third["label"]) == ("red", "blue")
    assert second["error"]["code"] == "not_an_image" and second["error"]["file"] == "1.jpg"


def test_a_list_of_base64_with_a_broken_one_keeps_its_place(client, bearer):
    body = {"images": ["???", base64.b64encode(BLUE).decode()]}
    first, second = client.post(ADDRESS, json=body, headers=bearer).json["predictions"]
    assert first["error"]["code"] == "not_base64"
    assert second["label"] == "blue"


def test_a_damaged_image_is_refused_by_name(client, bearer):
    answer = client.post(ADDRESS, data=form(RED[: len(RED) // 2]), headers=bearer)
    assert answer.status_code == 422
    assert answer.json["error"]["file"] == "0.jpg"
    assert answer.json["error"]["code"] == "image_damaged"


def test_the_image_and_the_row_are_kept(client, bearer, alice):
    answer = client.post(ADDRESS, data=form(RED), headers=bearer).json
    kept = db.session.scalar(db.select(Prediction))
    assert kept.public_id == answer["prediction"]
    assert kept.answer["label"] == "red" and kept.user_id == alice.id
    assert answer["image"]["url"] == f"/images/{kept.filename}"


def test_a_refused_image_leaves_nothing_behind(app, client, bearer):
    client.post(ADDRESS, data=form(b"no image"), headers=bearer)
    assert db.session.scalar(db.select(Prediction)) is None
    storage = app.config["PIGEONHOLE"].instance / "storage" / "images"
    assert not storage.exists() or not list(storage.iterdir())


def test_top_shortens_the_list(client, bearer):
    answer = client.post(f"{ADDRESS}?top=1", data=form(RED), headers=bearer)
    assert [entry["label"] for entry in answer.json["probabilities"]] == ["red"]


@pytest.mark.parametrize(
    "body",
    [
        {"data": RED, "content_type": "image/jpeg"},
        {"data": RED, "content_type": "application/octet-stream"},
        {"json": {"image": base64.b64encode(RED).decode()}},
        {"json": {"image": f"data:image/jpeg;base64,{base64.b64encode(RED).decode()}"}},
        {"json": {"images": [base64.b64encode(RED).decode()] * 2}},
    ],
)
def test_top_and_version_hold_for_every_way_to_send(app, client, bearer, dataset, trained, body):
    trained.install(app, dataset)
    answer = client.post(f"{ADDRESS}?top=2&version=1", headers=bearer, **body).json
    for one in answer.get("predictions", [answer]):
        assert (one["version"], one["label"], len(one["probabilities"])) == (1, "red", 2)


def test_top_and_version_hold_for_every_image_of_a_form(client, bearer):
    answer = client.post(f"{ADDRESS}?top=1&version=1", data=form(RED, BLUE), headers=bearer).json
    assert [[entry["label"] for entry in one["probabilities"]] for one in answer["predictions"]] == [
        ["red"],
        ["blue"],
    ]


def test_an_older_version_may_be_asked_by_number(app, client, bearer, dataset, trained):
    trained.install(app, dataset)
    assert client.post(ADDRESS, data=form(RED), headers=bearer).json["version"] == 2
    assert client.post(f"{ADDRESS}?version=1", data=form(RED), headers=bearer).json["version"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [("?version=9", 404), ("?version=x", 400), ("?top=0", 400), ("?bogus=1", 400), ("?explain=perhaps", 400)],
)
def test_a_wrong_parameter_is_refused(client, bearer, query, status):
    answer = client.post(ADDRESS + query, data=form(RED), headers=bearer)
    assert answer.status_code == status
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"json": {}}, 422),
        ({"json": {"image": 5}}, 422),
        ({"json": {"images": "abc"}}, 422),
        ({"json": {"picture": "abc"}}, 400),
        ({"data": form(RED, name="file")}, 400),
        ({"data": {"image": "text"}, "content_type": "multipart/form-data"}, 422),
        ({"data": b"", "content_type": "image/jpeg"}, 422),
        ({"data": b"hello", "content_type": "text/plain"}, 415),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"json": {"images": []}}, 422),
        ({"json": {"images": ["a"] * 257}}, 422),
    ],
)
def test_a_wrong_body_is_refused(client, bearer, body, status):
    answer = client.post(ADDRESS, headers=bearer, **body)
    assert answer.status_code == status
    assert answer.json["error"]["message"]


def test_more_than_the_limit_is_too_large(client, bearer):
    answer = client.post(ADDRESS, data=b"x" * (17 * 1024 * 1024), content_type="image/jpeg", headers=bearer)
    assert answer.status_code == 413


def test_without_a_token_nothing_is_answered(client, bearer):
    assert client.post(ADDRESS, data=form(RED)).status_code == 401


def test_a_token_needs_the_predict_scope(client, bearer, alice):
    assert client.post(ADDRESS, data=form(RED), headers=make_bearer(alice, "read")).status_code == 403


def test_a_strangers_token_finds_nothing(client, bearer, charlie):
    assert client.post(ADDRESS, data=form(RED), headers=make_bearer(charlie, "predict")).status_code == 404


def test_a_viewer_may_predict(client, bearer, bob, dataset):
    db.session.add(Member(dataset=dataset, user=bob, role="viewer"))
    assert client.post(ADDRESS, data=form(RED), headers=make_bearer(bob, "predict")).status_code == 200


def test_a_public_dataset_needs_no_token_but_refuses_a_wrong_one(client, bearer, dataset):
    dataset.is_public = True
    assert client.post(ADDRESS, data=form(RED)).status_code == 200
    wrong = {"Authorization": "Bearer pgh_wrong"}
    assert client.post(ADDRESS, data=form(RED), headers=wrong).status_code == 401


def test_a_dataset_without_a_version_says_train_first(client, bearer, dataset):
    dataset.live_version = None
    answer = client.post(ADDRESS, data=form(RED), headers=bearer)
    assert answer.status_code == 409
    assert "Train one first" in answer.json["error"]["message"]


def test_a_version_whose_files_are_gone_is_a_conflict(app, client, alice, dataset, trained):
    version = trained.install(app, dataset)
    (app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package" / "package.json").unlink()
    answer = client.post(ADDRESS, data=form(RED), headers=make_bearer(alice, "predict"))
    assert answer.status_code == 409
    assert "train again" in answer.json["error"]["message"]
