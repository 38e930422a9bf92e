"""Sample images, varied as a form's settings say: asked for, drawn by a process of its own, and shown."""

from __future__ import annotations

import io
import json
import os

import pytest
from PIL import Image

from jobs import leftovers, local, previews
from models import Job, Member, db
from tests.teaching import teach

SAMPLES = "/datasets/flowers/runs/samples"
FORM = {"recipe": "fine-tune", "minutes": "7", "rotate": "45"}
AS_JSON = {"Accept": "application/json"}


@pytest.fixture
def owner(client, sign_in, alice, dataset):
    """A browser in which alice is signed in; the dataset has photos."""
    teach(dataset)
    return sign_in(client, alice)


def ask(owner, **form) -> dict:
    return owner.post(SAMPLES, data={**FORM, **form}, headers=AS_JSON).json


def count_jobs() -> int:
    db.session.expire_all()
    return db.session.query(Job).filter_by(kind="preview").count()


@pytest.fixture
def drawn(owner, dataset):
    """The facts of samples whose picture lies there as if it had been drawn."""
    facts = ask(owner)
    key = facts["address"].rpartition("/")[2].removesuffix(".json")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "WEBP")
    (previews.folder_of(dataset.id, key) / previews.PICTURE).write_bytes(buffer.getvalue())
    return facts


@pytest.mark.trainer
def test_samples_are_drawn_as_a_training_would_vary_them(app, owner, dataset):
    facts = ask(owner)
    assert not facts["is_over"]
    assert local.work_once(local.Shift(app, "w1"), ("preview",))
    facts = owner.get(facts["address"]).json
    assert facts["is_over"], facts
    with Image.open(io.BytesIO(owner.get(facts["picture"]).data)) as picture:
        assert picture.format == "WEBP"
        assert picture.width > 3 * previews.SIDE
    assert db.session.query(Job).filter_by(kind="preview").one().state == "finished"


def test_the_same_settings_are_asked_for_once_and_others_anew(owner):
    first = ask(owner)
    assert ask(owner)["address"] == first["address"]
    assert ask(owner, minutes="9")["address"] == first["address"]  # nothing that varies an image
    assert ask(owner, rotate="0")["address"] != first["address"]
    assert count_jobs() == 1  # which draws all that is lacking


def test_what_is_drawn_already_is_shown_at_once(owner, drawn):
    facts = ask(owner)
    assert facts["is_over"]
    assert owner.get(facts["picture"]).mimetype == "image/webp"
    assert facts["settings"]["rotate"] == 45


def test_without_scripts_the_page_comes_back_with_what_was_typed(owner):
    page = owner.post(SAMPLES, data=FORM)
    assert page.status_code == 200
    assert 'value="45"' in page.text
    assert "Press the button again" in page.text


def test_a_wrong_setting_is_told_at_its_field(owner):
    answer = owner.post(SAMPLES, data={**FORM, "rotate": "999"})
    assert answer.status_code == 422
    assert "Must be a number from 0 to 180" in answer.text


def test_a_dataset_without_images_has_nothing_to_show(client, sign_in, alice, dataset):
    sign_in(client, alice)
    assert client.post(SAMPLES, data=FORM).status_code == 409


def test_samples_that_can_not_be_drawn_are_said_to_be_and_may_be_asked_for_again(owner, dataset, app):
    facts = ask(owner)
    key = facts["address"].rpartition("/")[2].removesuffix(".json")
    folder = previews.folder_of(dataset.id, key)
    (folder / "squares.npy").write_bytes(b"none")
    assert local.work_once(local.Shift(app, "w1"), ("preview",))
    facts = owner.get(facts["address"]).json
    assert (facts["is_over"], facts["picture"]) == (True, None)
    assert "could not be drawn" in facts["words"]
    assert not ask(owner)["is_over"]


@pytest.mark.parametrize("key", ["nothing", "..%2f..%2fpigeonhole", "%2e%2e"])
def test_no_other_file_is_given(owner, key):
    assert owner.get(f"{SAMPLES}/{key}.webp").status_code == 404
    assert owner.get(f"{SAMPLES}/{key}.json").status_code == 404


def test_samples_are_only_for_those_who_may_see_the_dataset(client, sign_in, bob, charlie, dataset, drawn):
    address = drawn["address"]
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    assert client.post(SAMPLES, data=FORM).status_code == 403
    assert client.get(address).status_code == 200
    sign_in(client, charlie)
    assert client.get(address).status_code == 404
    assert client.get(address.replace(".json", ".webp")).status_code == 404


def test_samples_are_swept_after_a_day(owner, dataset, drawn, settings):
    [folder] = [path.parent for path in settings.folder("previews").glob("*/*/settings.json")]
    leftovers.sweep()
    assert folder.exists()
    os.utime(folder, (0, 0))
    leftovers.sweep()
    assert not folder.exists()
    assert json.loads(owner.get(drawn["address"]).text)["error"]["code"] == "not_found"
