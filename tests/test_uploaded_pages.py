"""The pages of recipe uploaded: a model sent, looked at, asked about and given to a run."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from datasets import intake
from jobs import leftovers, local, runs, sandbox, training, uploaded
from jobs.enclosing import enclose
from learning import options
from learning.uploads import gate
from learning.uploads.facts import ModelRefused
from models import Member, Run, db
from serving import prediction
from tests import model_corpus
from tests.trained import COLOURS, as_bytes, make_photo
from web import tokens


@pytest.fixture
def taught(dataset):
    """A dataset with three discs of each colour."""
    for place, (label, colour) in enumerate(COLOURS.items()):
        for seed in range(3):
            content = as_bytes(make_photo(colour, 100 * place + seed))
            intake.take(dataset, f"{label}/{seed}.jpg", content, [label])
    db.session.commit()
    return dataset


def upload(browser, content, name="colours.keras"):
    """Send a model as a script does."""
    form = {"file": (io.BytesIO(content), name)}
    return browser.post("/datasets/flowers/models/", data=form, headers={"Accept": "application/json"})


def uploads(app):
    return list(app.config["PIGEONHOLE"].folder("uploads").iterdir())


@pytest.mark.parametrize(
    "case", ["57 Lambda in .keras", "71 external link in .h5", "78 asset bomb", "82 a page of HTML"]
)
def test_a_hostile_model_is_refused_by_name_and_nothing_is_kept(app, owner, taught, tmp_path, case):
    marker = tmp_path / "marker"
    answer = upload(owner, model_corpus.hostile(marker)[case], "evil.keras")
    assert answer.status_code == 422
    assert "evil.keras" in answer.json["error"]["message"]
    assert not uploads(app)
    assert not marker.exists()


def test_what_does_not_work_is_refused_by_the_probe(app, owner, taught):
    answer = upload(owner, model_corpus.refused_by_the_probe()["84 answers with a square"])
    assert answer.status_code == 422
    assert "shape" in answer.json["error"]["message"]
    assert not uploads(app)


def test_a_good_model_is_asked_about_and_becomes_a_run(app, owner, taught):
    answer = upload(owner, model_corpus.good()["colours.keras"], "colours.h5")
    assert answer.status_code == 201, answer.json
    page = owner.get(answer.json["url"]).text
    assert "16 × 16 pixels" in page
    assert "blue\ngreen\nred" in page  # in alphabetical order, until somebody says otherwise
    name = answer.json["url"].rsplit("=", 1)[1]
    form = {"recipe": "uploaded", "model": name, "model_labels": "red\r\ngreen\r\nblue"}
    wrong = owner.post("/datasets/flowers/runs/", data=form)
    assert wrong.status_code == 422
    assert "how pixels were scaled" in wrong.text
    assert owner.post("/datasets/flowers/runs/", data={**form, "scaling": "0-1"}).status_code == 303
    run = db.session.query(Run).one()
    folder = training.folder_of(run)
    assert runs.read_labels(folder) == ["red", "green", "blue"]
    assert (folder / "model.keras").exists()
    assert json.loads((folder / "facts.json").read_text())["sent_name"] == "colours.h5"
    assert (run.recipe, run.backbone, run.settings["scaling"]) == ("uploaded", "colours.h5", "0-1")


@pytest.fixture
def post(app, client, alice, taught):
    """`post(content, **fields)`: sends a model over the API, with a token of alice's that may train."""
    _, text = tokens.make_token(alice, "test", ["train"])
    db.session.commit()

    def post(content=None, **fields):
        if content is not None:
            fields["model"] = (io.BytesIO(content), "colours.keras")
        header = {"Authorization": f"Bearer {text}"}
        return client.post("/api/v1/datasets/flowers/versions", data=fields, headers=header)

    return post


def test_a_model_sent_over_the_api_becomes_a_run_and_leaves_nothing_else(app, post):
    content = model_corpus.good()["colours.keras"]
    answer = post(content, labels="red,green,blue", settings='{"scaling": "0-1"}')
    assert answer.status_code == 202, answer.json
    assert answer.location == f"/api/v1/runs/{answer.json['id']}"
    run = db.session.query(Run).one()
    assert runs.read_labels(training.folder_of(run)) == ["red", "green", "blue"]
    assert (run.recipe, run.backbone, run.job.state) == ("uploaded", "colours.keras", "queued")
    assert not uploads(app)


def test_what_the_api_is_not_told_of_a_model_is_refused_by_its_field(app, post):
    answer = post(model_corpus.good()["colours.keras"])
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "settings")
    assert (db.session.query(Run).count(), uploads(app)) == (0, [])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"content": b"x", "colour": "red"}, 400),
        ({"content": b"x", "settings": "{"}, 400),
        ({"content": b"x", "settings": '{"model": "x"}'}, 400),
        ({"content": b"x", "settings": '{"scaling": "loud"}'}, 422),
        ({"content": b"x", "settings": '{"seed": 1e999}'}, 400),
        ({"content": b"not a model"}, 422),
    ],
)
def test_a_wrong_wish_over_the_api_is_refused_and_leaves_nothing(app, post, fields, status):
    assert post(**fields).status_code == status
    assert (db.session.query(Run).count(), uploads(app)) == (0, [])


def test_an_upload_is_its_dataset_s_alone(app, owner, taught, alice, tmp_path):
    folder = uploaded.make_folder()
    (folder / uploaded.FACTS).write_text(json.dumps({"dataset": taught.id + 1, "facts": {}}))
    assert uploaded.find(taught, folder.name) is None
    assert uploaded.find(taught, "../../pigeonhole.db") is None


def test_a_run_without_a_model_says_to_choose_one(owner, taught):
    answer = owner.post("/datasets/flowers/runs/", data={"recipe": "uploaded", "scaling": "0-1"})
    assert answer.status_code == 422
    assert "Choose a model" in answer.text


def test_viewers_may_not_upload(client, taught, bob, sign_in):
    db.session.add(Member(dataset_id=taught.id, user_id=bob.id, role="viewer"))
    assert upload(sign_in(client, bob), b"").status_code == 403


def test_an_administrator_can_switch_it_off(app, owner, taught):
    app.config["PIGEONHOLE"].values["MODEL_UPLOADS"] = "never"
    assert upload(owner, model_corpus.good()["colours.keras"]).status_code == 409
    assert "switched off" in owner.get("/datasets/flowers/runs/?recipe=uploaded").text


def test_too_large_a_model_is_refused_before_it_is_read(app, owner, taught):
    app.config["PIGEONHOLE"].values["MAX_MODEL"] = 1000
    assert upload(owner, bytes(5000)).status_code == 413


def test_it_is_looked_at_in_a_sandbox_where_there_is_one(app):
    words, _ = enclose(["-m", "learning.uploads.gate"], uploaded.make_folder(), [], 1024**3)
    assert ("jobs.confined" in words) == (sandbox.probe() is not None)


@pytest.mark.skipif(sandbox.probe() is None, reason="This machine has no sandbox.")
def test_a_folder_that_every_sandbox_shows_is_refused_with_the_remedy(app):
    with pytest.raises(ModelRefused, match="PIGEONHOLE_INSTANCE"):
        enclose(["-m", "learning.uploads.gate"], Path(sys.prefix) / "instance", [], 1024**3)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    """A Teachable Machine model that passed the gate."""
    folder = tmp_path_factory.mktemp("looked_at")
    (folder / "sent").write_bytes(model_corpus.good()["converted_keras.zip"])
    return folder, gate.take(folder / "sent", "converted_keras.zip", folder)


def start(looked_at, dataset, alice):
    """A run of the model, as the page starts it."""
    folder, found = looked_at
    kept = uploaded.make_folder()
    shutil.copy(folder / found.file, kept)
    (kept / uploaded.FACTS).write_text(json.dumps({"dataset": dataset.id, "facts": found.as_json()}))
    chosen = options.check("uploaded", {"model": kept.name})
    run = training.start_run(dataset, alice, "uploaded", found.sent_name, chosen)
    db.session.commit()
    return run


def test_the_worker_makes_a_live_version_of_it_that_answers(app, owner, taught, alice, looked_at):
    run = start(looked_at, taught, alice)
    local.work_once(local.Shift(app, "w1"), ("run",))
    db.session.expire_all()
    assert run.job.state == "finished", (run.job.message, training.log(run))
    assert (run.version.number, taught.live_version, run.version.proven) == (1, 1, ["litert", "keras"])
    photo = as_bytes(make_photo(COLOURS["green"], 990))
    answer = prediction.predict(run.version, photo)
    assert answer.labels == ("green",)
    pages = ("versions/", "versions/1", "versions/1/mistakes/wrong")
    for page in ("runs/", f"runs/{run.folder}", *pages, "predict"):
        assert owner.get(f"/datasets/flowers/{page}").status_code == 200, page


def test_a_run_of_a_model_that_was_swept_is_refused_with_the_reason(taught, alice):
    with pytest.raises(training.NotTrainable, match="sent again"):
        training.start_run(taught, alice, "uploaded", "x", options.check("uploaded", {"model": "x.keras"}))


def test_an_upload_is_swept_when_nobody_used_it_for_an_hour(taught, looked_at):
    folder = uploaded.make_folder()
    found = looked_at[1].as_json()
    (folder / uploaded.FACTS).write_text(json.dumps({"dataset": taught.id, "facts": found}))
    long_ago = time.time() - 2 * leftovers.YOUNG_SECONDS
    os.utime(folder, (long_ago, long_ago))
    assert folder in leftovers.find()
    assert uploaded.find(taught, folder.name) is not None
    assert folder not in leftovers.find()
