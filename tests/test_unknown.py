"""An image that is like nothing a version was taught gets no label, on every way to an answer."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from datasets import intake
from learning.package import REJECTION_FILE, NoAnswer, PackageDamaged, load_package, update_spec
from models import db
from serving import batches, prediction
from tests.trained import COLOURS, as_bytes, make_photo
from web import tokens

pytestmark = pytest.mark.trainer
STRANGE = as_bytes(Image.linear_gradient("L").resize((320, 240)))
KNOWN = as_bytes(make_photo(COLOURS["red"], seed=42))


@pytest.fixture(params=["a head", "a whole network"])
def packed(request, trained, tmp_path):
    """A version that answers with the backbone's file, and one with its own."""
    return trained if request.param == "a head" else trained.as_network(tmp_path / "package")


@pytest.fixture
def version(app, dataset, packed):
    """The version in an instance, live."""
    return packed.install(app, dataset)


def package_of(app, version):
    return app.config["PIGEONHOLE"].folder("runs") / version.run.folder / "package"


def teach(dataset, trained):
    """Put the images of the training into the dataset."""
    for label in COLOURS:
        path = trained.package.parent / "colours" / label / "0.jpg"
        intake.take(dataset, path.name, path.read_bytes(), [label])
    db.session.commit()


def test_what_is_like_nothing_taught_is_unknown_and_keeps_its_probabilities(version):
    answer = prediction.predict(version, STRANGE).as_json()
    assert (answer["rejected"], answer["reason"]) == (True, "unknown")
    assert (answer["label"], answer["labels"]) == (None, [])
    assert len(answer["probabilities"]) == len(COLOURS)


def test_what_is_like_the_taught_is_not(version):
    assert prediction.predict(version, KNOWN).labels == ("red",)


def test_an_editor_may_turn_it_off(app, version):
    update_spec(
        package_of(app, version), lambda spec: spec | {"rejection": spec["rejection"] | {"is_on": False}}
    )
    assert not prediction.predict(version, STRANGE).rejected


def test_the_page_says_so_in_words(client, sign_in, alice, version):
    browser = sign_in(client, alice)
    sent = browser.post("/datasets/flowers/predict", data={"image": (io.BytesIO(STRANGE), "a.jpg")})
    page = browser.get(sent.location).text
    assert "not like anything I was taught" in page and "comes nearest" in page


def test_a_package_by_itself_says_so_too(packed):
    answerer = batches.by_package(packed.package)
    files = [batches.ImageFile(name, lambda c=content: c) for name, content in (("s", STRANGE), ("k", KNOWN))]
    assert [answer.reason for answer in batches.answer_all(answerer, files)] == ["unknown", None]


def test_a_package_without_the_file_it_names_is_damaged(trained, tmp_path):
    package = trained.as_network(tmp_path / "package").package
    (package / REJECTION_FILE).unlink()
    with pytest.raises(PackageDamaged, match=r"rejection\.npz"):
        load_package(package)


def test_what_tells_the_unknown_of_another_network_answers_nothing(trained):
    package = load_package(trained.package)
    strange = package.say(np.zeros(package.weights.shape[0], np.float32))
    object.__setattr__(package.rejection, "mean", package.rejection.mean[:-1])
    with pytest.raises(NoAnswer, match="Train again"):
        package.answer(strange)


def test_an_editor_turns_it_off_and_on_by_page(client, sign_in, alice, version):
    browser = sign_in(client, alice)
    address = "/datasets/flowers/versions/1"
    page = browser.post(f"{address}/unknown", data={"watch": "off"}, follow_redirects=True).text
    assert "gives every image a label" in page and not prediction.predict(version, STRANGE).rejected
    page = browser.post(f"{address}/unknown", data={"watch": "on"}, follow_redirects=True).text
    assert "gets no label" in page and prediction.predict(version, STRANGE).rejected


def test_an_editor_turns_it_off_over_the_api(client, alice, version):
    _, text = tokens.make_token(alice, "test", ["train"])
    db.session.commit()
    answer = client.patch(
        "/api/v1/datasets/flowers/versions/1",
        json={"tells_unknown": False},
        headers={"Authorization": f"Bearer {text}"},
    )
    assert answer.status_code == 200 and answer.json["tells_unknown"] is False
    assert not prediction.predict(version, STRANGE).rejected


def test_a_version_that_cannot_tell_is_not_turned_on(app, client, sign_in, alice, version):
    update_spec(package_of(app, version), lambda spec: spec | {"rejection": None})
    sent = sign_in(client, alice).post("/datasets/flowers/versions/1/unknown", data={"watch": "on"})
    assert sent.status_code == 409 and "Train again" in sent.text


def test_its_members_see_the_nearest_taught_images(client, sign_in, alice, dataset, trained):
    teach(dataset, trained)
    trained.install(client.application, dataset)
    browser = sign_in(client, alice)
    sent = browser.post("/datasets/flowers/predict", data={"image": (io.BytesIO(STRANGE), "a.jpg")})
    assert "comes nearest</h2>" in browser.get(sent.location).text


def test_strangers_see_none_of_them(client, dataset, trained):
    teach(dataset, trained)
    trained.install(client.application, dataset)
    dataset.is_public = True
    db.session.commit()
    sent = client.post("/datasets/flowers/predict", data={"image": (io.BytesIO(STRANGE), "a.jpg")})
    page = client.get(sent.location).text
    assert "not like anything I was taught" in page and "comes nearest</h2>" not in page


@pytest.mark.parametrize(("content", "is_said"), [(STRANGE, True), (KNOWN, False)])
def test_the_model_card_s_own_code_says_so_too(trained, tmp_path, content, is_said):
    for name in ("model.tflite", "package.json", REJECTION_FILE):
        shutil.copy(trained.package / name, tmp_path)
    card = (trained.package / "README.md").read_text()
    (tmp_path / "use.py").write_text(card.split("```python\n")[1].split("```")[0])
    (tmp_path / "sent.jpg").write_bytes(content)
    command = [sys.executable, "use.py", "sent.jpg"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ("like nothing that was taught" in told) is is_said
