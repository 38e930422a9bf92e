"""The predict page, an answer's page and its JSON twin, and who may see them."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest

from datasets import datasets, intake, storage
from learning.embeddings import Embedder, EmbeddingStore
from learning.package import load_package
from models import Dataset, Label, Member, Prediction, db
from serving import prediction
from tests.trained import COLOURS, as_bytes, make_photo
from utils import center_crop, open_image
from web.pages.predict import describe, name_perhaps

ADDRESS = "/datasets/flowers/predict"
RED = as_bytes(make_photo(COLOURS["red"], seed=7))


@pytest.fixture
def owner(app, client, sign_in, alice, dataset, trained):
    trained.install(app, dataset)
    return sign_in(client, alice)


@pytest.fixture
def stranger(app):
    return app.test_client()


def send(browser, image: bytes = RED, name: str = "photo.jpg"):
    return browser.post(ADDRESS, data={"image": (io.BytesIO(image), name)})


def ask(owner) -> str:
    """Send a photo; return the address of its answer."""
    answer = send(owner)
    assert answer.status_code == 303
    return answer.location


@pytest.mark.trainer
def test_a_photo_leads_to_its_answer(owner):
    page = owner.get(ask(owner)).text
    assert "<em>red</em>" in page
    assert page.count("<h1") == 1


@pytest.mark.trainer
def test_the_answer_shows_a_chart_a_table_and_the_command(owner):
    page = owner.get(ask(owner)).text
    assert 'class="chart"' in page
    assert all(f">{label}</th>" in page for label in COLOURS)
    assert "Authorization: Bearer $PIGEONHOLE_TOKEN" in page
    assert "-F image=@photo.jpg" in page and "http://localhost/api/v1/datasets/flowers/predict" in page


@pytest.mark.trainer
def test_a_sent_name_is_kept_inert(owner):
    send(owner, name="a\u202egpj.exe")
    assert db.session.query(Prediction).one().sent_name == "a\ufffdgpj.exe"
    assert "\u202e" not in send(owner, image=b"none", name="a\u202egpj.exe").text


@pytest.mark.trainer
def test_the_twin_is_the_json_of_the_same_call(owner):
    address = ask(owner)
    shown = re.search(r'<code id="json">(.*?)</code>', owner.get(address).text, re.DOTALL).group(1)
    twin = owner.get(f"{address}.json")
    assert json.loads(shown.replace("&#34;", '"')) == twin.json
    assert twin.json["label"] == "red"


@pytest.mark.trainer
def test_a_public_dataset_shows_a_command_without_a_token(owner, dataset):
    dataset.is_public = True
    assert "PIGEONHOLE_TOKEN" not in owner.get(ask(owner)).text


@pytest.mark.trainer
@pytest.mark.parametrize("image", [b"", b"<html>", RED[:500]])
def test_a_damaged_image_is_refused_by_name(owner, image):
    answer = send(owner, image, "broken.jpg")
    assert answer.status_code == 422
    assert "broken.jpg: " in answer.text


@pytest.mark.trainer
def test_a_form_without_an_image_asks_for_one(owner):
    answer = owner.post(ADDRESS, data={})
    assert answer.status_code == 422
    assert "Choose an image first" in answer.text


@pytest.mark.trainer
def test_an_answer_is_its_members_alone(owner, app, stranger, sign_in, charlie, bob, dataset):
    address = ask(owner)
    assert stranger.get(address).status_code == 302  # to sign in
    assert sign_in(stranger, charlie).get(address).status_code == 404
    db.session.add(Member(dataset=dataset, user=bob, role="viewer"))
    assert sign_in(stranger, bob).get(address).status_code == 200


@pytest.mark.trainer
def test_a_public_predict_page_needs_no_account(owner, app, stranger, dataset):
    dataset.is_public = True
    page = stranger.get(ADDRESS)
    assert page.status_code == 200
    assert "Settings" not in page.text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)
    sent = {"image": (io.BytesIO(RED), "a.jpg"), "csrf_token": token}
    answer = stranger.post(ADDRESS, data=sent)
    assert answer.status_code == 303
    assert stranger.get(answer.location).status_code == 200
    kept = db.session.scalar(db.select(Prediction))
    assert stranger.get(f"/images/{kept.filename}").status_code == 200


@pytest.mark.trainer
def test_a_hostile_name_is_only_text(owner):
    answer = send(owner, name='<script>alert(1)</script>".jpg')
    assert "<script>alert" not in owner.get(answer.location).text


@pytest.mark.trainer
def test_an_answer_is_not_kept_once_its_dataset_is_deleted(app, owner, monkeypatch):
    answer = prediction.predict

    def answer_and_lose(version, content):
        answered = answer(version, content)
        with app.app_context():
            datasets.delete(db.session.get(Dataset, version.dataset_id))
            db.session.commit()
        return answered

    monkeypatch.setattr(prediction, "predict", answer_and_lose)
    assert send(owner).status_code == 404


def test_a_dataset_without_a_version_leads_to_training(client, sign_in, alice, dataset):
    page = sign_in(client, alice).get(ADDRESS)
    assert "No version can answer yet" in page.text


def test_sending_to_a_dataset_without_a_version_is_a_conflict(client, sign_in, alice, dataset):
    assert send(sign_in(client, alice)).status_code == 409


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"glass": 0.93, "metal": 0.07}, ("This is ", ["glass"], " — 93.0 %")),
        ({"glass": 0.6, "metal": 0.4}, ("Probably ", ["glass"], " — 60.0 %")),
        ({"glass": 0.45, "plastic": 0.4, "metal": 0.15}, ("Not sure: ", ["glass", "plastic"], "?")),
    ],
)
def test_words_say_how_sure_it_is(shares, words):
    label = next(iter(shares))
    pairs = [{"label": name, "probability": share} for name, share in shares.items()]
    assert describe({"label": label, "labels": [label], "probabilities": pairs}) == words


def tags(said: list[str], **entries: tuple[float, float]) -> dict:
    """An answer of several labels: label=(probability, threshold)."""
    listed = [{"label": name, "probability": p, "threshold": t} for name, (p, t) in entries.items()]
    return {"label": said[0] if said else None, "labels": said, "probabilities": listed}


def test_several_labels_are_said_together_and_what_nearly_fits_as_a_perhaps():
    answer = tags(["beach", "sea"], beach=(0.9, 0.5), sea=(0.7, 0.4), ship=(0.3, 0.5), dock=(0.1, 0.5))
    assert describe(answer) == ("This shows ", ["beach", "sea"], ".")
    assert [entry["label"] for entry in name_perhaps(answer)] == ["ship"]


def test_none_of_several_labels_is_said_in_words():
    answer = tags([], ship=(0.1, 0.5), dock=(0.01, 0.5))
    assert describe(answer)[1] == []
    assert name_perhaps(answer) == []


def test_an_answer_of_one_label_has_no_perhaps():
    pairs = [{"label": "a", "probability": 0.9}, {"label": "b", "probability": 0.1}]
    assert name_perhaps({"label": "a", "labels": ["a"], "probabilities": pairs}) == []


@pytest.mark.trainer
def test_a_multi_label_answer_shows_the_threshold_of_each_label(
    app, client, sign_in, alice, dataset, trained, tmp_path
):
    trained.as_tags(tmp_path / "package").install(app, dataset)
    browser = sign_in(client, alice)
    page = browser.get(ask(browser)).text
    assert "None of the labels fits well enough" in page
    assert "Said from" in page
    assert "99.9 %" in page


@pytest.mark.trainer
def test_an_answer_is_called_right_or_told_what_it_is(owner, dataset):
    db.session.add(Label(dataset_id=dataset.id, name="green"))
    address = ask(owner)
    assert "Is that right?" in owner.get(address).text
    page = owner.post(f"{address}/feedback", data={"correct": "yes"}, follow_redirects=True).text
    assert "You said that it is right" in page
    wrong = {"correct": "no", "label": "green"}
    page = owner.post(f"{address}/feedback", data=wrong, follow_redirects=True).text
    assert "You said that it is green" in page
    assert (
        "no label “gold”"
        in owner.post(f"{address}/feedback", data=wrong | {"label": "gold"}, follow_redirects=True).text
    )
    assert owner.post(f"{address}/feedback").status_code == 400


@pytest.mark.trainer
def test_only_who_sees_an_answer_speaks_of_it(owner, app, sign_in, charlie, stranger, dataset):
    address = ask(owner)
    sign_in(stranger, charlie)
    assert stranger.post(f"{address}/feedback", data={"correct": "yes"}).status_code == 404


@pytest.mark.trainer
def test_why_shows_what_mattered_in_the_image_and_in_words(owner):
    address = ask(owner)
    assert "Show what mattered" in owner.get(address).text
    page = owner.get(f"{address}?explain=true&label=blue").text
    assert 'class="why-heat" src="data:image/png;base64,' in page
    assert "against it: the" in page
    assert re.search(r"<option selected>blue</option>", page)


@pytest.mark.trainer
def test_the_twin_of_an_answer_tells_why_too(owner):
    address = ask(owner)
    twin = owner.get(f"{address}.json?explain=true").json
    assert twin["explanation"]["label"] == "red"
    assert twin["similar"] == []
    assert "explanation" not in owner.get(f"{address}.json").json


@pytest.mark.trainer
def test_a_label_that_nobody_taught_is_not_explained(owner):
    assert owner.get(f"{ask(owner)}?explain=true&label=mauve").status_code == 404


@pytest.fixture
def taught(app, owner, dataset, trained):
    """A red image that the version was taught, in the dataset since before."""
    content = (trained.package.parent / "colours" / "red" / "0.jpg").read_bytes()
    item = intake.take(dataset, "red/0.jpg", content, ["red"]).item
    item.created_at = datetime(2026, 1, 1, tzinfo=UTC)
    db.session.commit()
    package = load_package(trained.package)
    embedder = Embedder(trained.backbones / f"{package.backbone_identifier}.tflite")
    embedding = embedder.embed(center_crop(open_image(content), package.input_size))
    folder = app.config["PIGEONHOLE"].folder("embeddings")
    EmbeddingStore(folder, package.backbone_identifier).put({item.sha256: embedding})
    return item


@pytest.mark.trainer
def test_strangers_see_what_mattered_but_no_taught_image(owner, stranger, dataset, taught):
    dataset.is_public = True
    db.session.commit()
    address = f"{ask(owner)}?explain=true"
    assert f"/thumbnails/{taught.filename}" in owner.get(address).text
    theirs = stranger.get(address).text
    assert "why-heat" in theirs
    assert taught.filename not in theirs


@pytest.mark.trainer
def test_an_answer_whose_image_is_gone_says_so(owner):
    address = ask(owner)
    storage.delete(address.rsplit("/", 1)[1])
    answer = owner.get(f"{address}?explain=true")
    assert answer.status_code == 404
    assert "not kept" in answer.text
