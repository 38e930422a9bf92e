"""Predicting through the doors: KerasUI's documented sequence, FastImageClassification's documented line."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess

import pytest
import requests
from sqlalchemy import select

from models import Client, Prediction, db
from tests.house import listening
from tests.test_doors import as_text, bearer
from tests.trained import as_bytes, make_photo
from web import auth, tokens

pytestmark = pytest.mark.trainer
RED, BLUE = as_bytes(make_photo((200, 50, 40), 1)), as_bytes(make_photo((40, 70, 200), 2))


@pytest.fixture
def headers(alice):
    """What KerasUI's scripts send: a token that may read and write."""
    return bearer(alice)


def open_scorefile(app, dataset):
    app.config["PIGEONHOLE"].values["SCOREFILE_DATASET"] = dataset.slug
    dataset.is_public = True
    db.session.commit()


def make_client(user) -> tuple[str, str]:
    """A program of the user's that may read and write, by password; returns its id and secret."""
    facts = {"grants": ["password", "refresh_token"], "scopes": ["read", "write"]}
    db.session.add(
        Client(public_id="script", user=user, name="Script", secret_hash=tokens.digest("s3"), **facts)
    )
    db.session.commit()
    return "script", "s3"


@pytest.fixture
def live(app, dataset, trained):
    trained.install(app, dataset)
    return dataset


def test_json_and_form_give_the_label(client, live, headers):
    body = {"image": as_text(RED), "dataset": live.id}
    form = {"image": (io.BytesIO(BLUE), "b.jpg"), "dataset": str(live.id)}
    assert client.post("/api/test/", json=body, headers=headers).json == {"result": "red"}
    assert client.post("/api/test/", data=form, headers=headers).json == {"result": "blue"}
    assert len(db.session.scalars(select(Prediction)).all()) == 2


def test_a_public_dataset_needs_no_token_and_others_do(client, live, alice):
    body = {"image": as_text(RED), "dataset": live.id}
    assert client.post("/api/test/", json=body).status_code == 401
    assert client.post("/api/test/", json=body, headers=bearer(alice, "read")).status_code == 403
    assert client.post("/api/test/", json=body, headers=bearer(alice, "predict")).status_code == 200
    live.is_public = True
    assert client.post("/api/test/", json=body).json == {"result": "red"}


def test_what_is_no_image_is_told_by_field(client, live, headers):
    body = {"image": base64.b64encode(b"no image").decode(), "dataset": live.id}
    answer = client.post("/api/test/", json=body, headers=headers)
    assert (answer.status_code, list(answer.json)) == (400, ["image"])


def test_a_dataset_without_a_version_says_train_first(client, live, headers):
    live.live_version = None
    answer = client.post("/api/test/", json={"image": as_text(RED), "dataset": live.id}, headers=headers)
    assert answer.status_code == 409 and "Train one first" in answer.json["detail"]


def test_kerasuis_documented_calls_work_over_a_real_connection(app, live, alice):
    app.config["PIGEONHOLE"].values["OAUTH_PASSWORD_GRANT"] = True
    alice.password_hash = auth.hash_password("admin2019! and more")
    client, secret = make_client(alice)
    with listening(app) as address:
        form = {"grant_type": "password", "username": "alice", "password": "admin2019! and more"}
        token = requests.post(f"{address}/o/token/", data=form, auth=(client, secret)).json()
        assert token["token_type"] == "Bearer" and token["scope"] == "read write"
        assert token["expires_in"] > 0 and token["refresh_token"]
        headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"}
        listed = requests.get(f"{address}/api/dataset/", headers=headers).json()
        assert [one["name"] for one in listed["results"]] == ["Flowers"]
        image = base64.b64encode(RED).decode()
        item = {"label": "red", "image": image, "dataset": 1}
        added = requests.post(f"{address}/api/datasetitem/", json=item, headers=headers)
        assert (added.status_code, added.json()["label"]) == (201, "red")
        asked = requests.post(f"{address}/api/test/", json={"image": image, "dataset": 1}, headers=headers)
        assert asked.json() == {"result": "red"}


@pytest.mark.skipif(
    shutil.which("curl") is None, reason="curl is NOT installed: its documented line is untried"
)
def test_fastimageclassifications_documented_line_works(app, live, tmp_path):
    open_scorefile(app, live)
    (tmp_path / "337px-Majestic_Twilight.jpg").write_bytes(RED)
    with listening(app) as address:
        line = ["-X", "POST", f"{address}/scorefile/", "-H", "accept: application/json"]
        line += ["-H", "Content-Type: multipart/form-data", "-F", "file=@337px-Majestic_Twilight.jpg"]
        done = subprocess.run(["curl", "-sS", *line], cwd=tmp_path, capture_output=True, check=True)
    scores = json.loads(done.stdout)
    assert set(scores) == {"blue", "green", "red"} and scores["red"] > 0.5
    assert all(share == round(share, 3) for share in scores.values())


def test_scores_are_refused_by_sentence_where_they_are_not_to_be_had(app, client, live):
    def ask(**files):
        form = {name: (io.BytesIO(content), "a.jpg") for name, content in files.items()}
        answer = client.post("/scorefile/", data=form)
        assert list(answer.json) == ["detail"]
        return answer.status_code, answer.json["detail"]

    assert ask(file=RED) == (
        404,
        "This address is closed: the setting scorefile_dataset names no dataset.",
    )
    open_scorefile(app, live)
    assert ask(image=RED)[0] == 422 and "-F file=@photo.jpg" in ask(image=RED)[1]
    assert ask(file=b"no image")[0] == 422
    live.is_public = False
    assert ask(file=RED) == (
        404,
        "No token is sent here. An owner of flowers must open its predict page to everybody first.",
    )
    app.config["PIGEONHOLE"].values["SCOREFILE_DATASET"] = "gone"
    assert "no dataset gone" in ask(file=RED)[1]
