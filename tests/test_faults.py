"""A version whose files are damaged or disagree is marked, answers nobody, and answers again once mended."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest

from jobs import challenges, doctor, faults, leftovers, live, promotion, training
from learning import golden
from models import Version, db
from serving import prediction
from serving.classifier import VersionUnusable
from tests.asking import make_bearer
from tests.trained import as_bytes, make_photo

pytestmark = pytest.mark.trainer
PHOTO = as_bytes(make_photo((50, 160, 60), 3))


@pytest.fixture
def version(app, dataset, trained):
    """The live version of the dataset, trained for real."""
    return trained.install(app, dataset)


def look(version: Version) -> Version:
    faults.look_at(version.id)
    return db.session.get(Version, version.id)


def damage_head(version: Version) -> None:
    """Let the head say something else than the whole network."""
    path = training.package_folder(version) / "head.npz"
    with np.load(path) as head:
        weights, bias = head["weights"], head["bias"]
    np.savez(path, weights=weights, bias=bias + np.array([0.01, 0, 0], dtype=np.float32))


def test_a_sound_version_is_looked_at_and_not_marked(version):
    found = faults.find(version)
    looked_at = look(version)
    assert (found.fault, found.has_originals) == (None, True)
    assert max(found.differences.values()) < 1e-5
    assert (looked_at.fault, looked_at.checked_at is not None) == (None, True)


def test_a_head_that_disagrees_with_its_network_is_marked_and_answers_nobody(version):
    damage_head(version)
    marked = look(version)
    assert "What answers here is off its golden probabilities" in marked.fault
    with pytest.raises(VersionUnusable, match="not served"):
        prediction.predict(marked, PHOTO)


@pytest.mark.parametrize("name", ["model.tflite", "model.keras"])
def test_another_file_than_the_proven_one_is_marked_and_not_offered(version, client, sign_in, alice, name):
    path = training.package_folder(version) / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    marked = look(version)
    owner = sign_in(client, alice)
    wanted = {"model.tflite": "tflite", "model.keras": "keras"}
    statuses = {
        format: owner.get(f"/datasets/flowers/versions/1/package?format={format}").status_code
        for format in ("package", *wanted.values())
    }
    assert name in marked.fault
    assert {format for format, status in statuses.items() if status == 409} == {"package", wanted[name]}


def test_a_mended_version_answers_again(version, trained):
    damage_head(version)
    marked = look(version)
    shutil.copy(trained.package / "head.npz", training.package_folder(marked))
    mended = look(marked)
    assert mended.fault is None
    assert prediction.predict(mended, PHOTO).labels


def test_what_only_keras_has_found_stays_until_keras_is_asked_again(version):
    faults.mark(version.id, faults.Findings("Its model.keras is off.", ("keras",)), was_keras_asked=True)
    db.session.commit()
    assert look(version).fault == "Its model.keras is off."
    faults.mark(version.id, faults.Findings(), was_keras_asked=True)
    assert version.fault is None


@pytest.fixture
def faulty(version):
    """The live version, marked."""
    version.fault, version.failing = "Its model.tflite is off. Train again.", ["litert"]
    db.session.commit()
    return version


def test_every_route_refuses_with_the_reason(faulty, client, alice, sign_in):
    headers = make_bearer(alice, "predict")
    files = {"image": (io.BytesIO(PHOTO), "a.jpg")}
    answer = client.post("/api/v1/datasets/flowers/predict", data=files, headers=headers)
    page = sign_in(client, alice).post(
        "/datasets/flowers/predict", data={"image": (io.BytesIO(PHOTO), "a.jpg")}
    )
    assert (answer.status_code, page.status_code) == (409, 409)
    assert "Its model.tflite is off." in answer.json["error"]["message"]
    assert "Its model.tflite is off." in page.text


def test_every_page_of_the_dataset_and_readyz_say_so(faulty, client, alice, sign_in):
    owner = sign_in(client, alice)
    for page in ("", "versions/", "versions/1", "predict"):
        assert "which is live, does not answer" in owner.get(f"/datasets/flowers/{page}").text, page
    assert client.get("/readyz").json == {"status": "ready", "faulty": 1}


def test_a_faulty_version_is_neither_made_live_nor_challenger_nor_gone_back_to(
    faulty, app, dataset, trained, client, alice, sign_in
):
    trained.install(app, dataset, is_live=False)
    sound = db.session.query(Version).filter_by(number=2).one()
    live.make_live(dataset, sound, alice)
    db.session.commit()
    owner = sign_in(client, alice)
    assert owner.post("/datasets/flowers/versions/1/live").status_code == 409
    assert live.find_previous(dataset) is None
    with pytest.raises(VersionUnusable):
        challenges.start(dataset, faulty, alice)


def test_a_new_version_takes_the_place_of_a_faulty_one(faulty, app, dataset, trained):
    sound = trained.install(app, dataset, is_live=False)
    verdict = promotion.judge(dataset, sound, faulty)
    assert verdict["went_live"] and "faulty" in verdict["sentence"]


def test_the_hourly_sweep_looks_at_what_was_not_looked_at_for_a_day(version):
    damage_head(version)
    leftovers.sweep_when_due()
    assert db.session.get(Version, version.id).fault
    assert faults.look_at_due() == 0


def test_a_version_without_its_golden_images_is_faulty(version):
    path = training.package_folder(version) / "golden" / golden.FILE
    path.write_text(json.dumps({"images": "none"}))
    assert "golden" in look(version).fault


def test_the_doctor_compares_every_route_of_a_version(version):
    (found,) = doctor.check_versions(with_keras=True)
    assert (found.level, version.fault) == ("ok", None)
    routes = {"served", "litert", "keras", "page and API", "command line", "dataset and batches"}
    assert found.differences.keys() == routes
    assert max(found.differences.values()) < 1e-5


def test_the_doctor_marks_what_disagrees_and_unmarks_what_is_mended(version, trained):
    damage_head(version)
    (found,) = doctor.check_versions(with_keras=False)
    assert (found.level, found.differences["litert"] < 1e-5) == ("problem", True)
    assert found.differences["served"] > 1e-4 and version.fault
    shutil.copy(trained.package / "head.npz", training.package_folder(version))
    (found,) = doctor.check_versions(with_keras=False)
    assert (found.level, version.fault) == ("ok", None)


def test_the_doctor_warns_of_a_version_without_originals(version):
    folder = training.package_folder(version)
    written = golden.read_entries(folder)
    del written["originals"]
    (folder / "golden" / golden.FILE).write_text(json.dumps(written))
    (found,) = doctor.check_versions(with_keras=False)
    assert found.level == "warning" and "originals" in found.message
    assert found.differences["page and API"] < 1e-5
