"""One pixel path: page, API, command line, package in LiteRT and package in Keras give the same answer.

The most reported fault of tools of this kind is an export that disagrees with the app.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
import zipfile

import pytest

from jobs import local
from jobs.batches import folder_of, start_batch
from learning import awkward
from learning.litert import NetworkClassifier
from models import db
from serving import batches, results, telling
from tests.asking import make_bearer
from tests.trained import ROOT
from utils import center_crop, open_image
from web import tokens

pytestmark = pytest.mark.trainer
TOLERANCE = 1e-5

BY_KERAS = """
import json, sys
import keras, numpy as np
from learning import calibration
from utils import center_crop, open_image
folder, *paths = sys.argv[1:]
spec = json.load(open(folder + "/package.json"))
model = keras.models.load_model(folder + "/model.keras", compile=False)
answers = {}
for path in paths:
    pixels = center_crop(open_image(path), spec["input_size"])[np.newaxis].astype(np.float32)
    logits = np.asarray(model(pixels, training=False))[0]
    said = calibration.from_spec(spec).probabilities(logits)
    answers[path] = dict(zip(spec["labels"], said.tolist()))
print(json.dumps(answers))
"""


@pytest.fixture
def kinds(tmp_path):
    """The five awkward images as files: {path: bytes}."""
    files = {tmp_path / name: content for name, content in awkward.draw_all().items()}
    for path, content in files.items():
        path.write_bytes(content)
    return files


@pytest.fixture(params=["a head", "a whole network", "several labels"])
def packed(request, trained, tmp_path):
    """Every kind of version: what answers, and how many labels an image may have.

    Of another name than the version it is made from: pytest would train that anew for every parameter.
    """
    if request.param == "a head":
        return trained
    make = trained.as_network if request.param == "a whole network" else trained.as_tags
    return make(tmp_path / "package")


@pytest.fixture
def by_package(packed, kinds):
    """What the whole network in the package says, with nothing else beside it."""
    network = NetworkClassifier(packed.package)
    answers = {}
    for path, content in kinds.items():
        found = network.probabilities(center_crop(open_image(content), network.package.input_size))
        answers[path] = dict(zip(network.package.labels, found.tolist(), strict=True))
    return answers


def as_shares(answer: dict) -> dict[str, float]:
    return {entry["label"]: entry["probability"] for entry in answer["probabilities"]}


def assert_same(answers: dict, by_package: dict) -> None:
    for path, shares in by_package.items():
        assert answers[path] == pytest.approx(shares, abs=TOLERANCE), path.name


def ask(*arguments) -> dict:
    """Run Python with these arguments in a process of its own; return the JSON of its last line."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_page_says_what_the_package_says(app, client, sign_in, alice, dataset, packed, kinds, by_package):
    packed.install(app, dataset)
    browser, answers = sign_in(client, alice), {}
    for path, content in kinds.items():
        sent = browser.post("/datasets/flowers/predict", data={"image": (io.BytesIO(content), path.name)})
        answers[path] = as_shares(browser.get(f"{sent.location}.json").json)
    assert_same(answers, by_package)


def test_the_api_says_what_the_package_says(app, client, alice, dataset, packed, kinds, by_package):
    packed.install(app, dataset)
    _, text = tokens.make_token(alice, "test", ["predict"])
    db.session.commit()
    body = {"images": [base64.b64encode(content).decode() for content in kinds.values()]}
    headers = {"Authorization": f"Bearer {text}"}
    answer = client.post("/api/v1/datasets/flowers/predict", json=body, headers=headers)
    shares = [as_shares(one) for one in answer.json["predictions"]]
    assert_same(dict(zip(kinds, shares, strict=True)), by_package)


def test_keras_says_what_the_package_says(packed, kinds, by_package):
    said = ask("-c", BY_KERAS, packed.package, *kinds)
    assert_same({path: said[str(path)] for path in kinds}, by_package)


def test_the_command_line_says_what_the_package_says(packed, kinds, by_package):
    said = ask("server.py", "predict", "--package", packed.package, "--json", *kinds)["predictions"]
    assert_same({path: as_shares(one) for path, one in zip(kinds, said, strict=True)}, by_package)


def test_a_table_filled_by_the_command_line_says_what_the_package_says(
    app, dataset, packed, kinds, by_package, tmp_path
):
    answerer = batches.by_version(packed.install(app, dataset))
    images = [batches.ImageFile(path.name, path.read_bytes) for path in kinds]
    telling.fill(tmp_path / "out.csv", False, answerer, images, None)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    shares = {path: {label: float(rows[path.name][label]) for label in answerer.labels} for path in kinds}
    assert_same(shares, by_package)


def test_a_batch_says_what_the_package_says(app, alice, dataset, packed, kinds, by_package):
    version = packed.install(app, dataset)
    path = app.config["PIGEONHOLE"].folder("uploads") / "kinds.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for kind, content in kinds.items():
            archive.writestr(kind.name, content)
    batch = start_batch(version, alice, "kinds.zip", path)
    db.session.commit()
    local.work_once(local.Shift(app, "w1"), ("predict",))
    _, answers = results.read(results.find(folder_of(batch)))
    shares = {answer.name: dict(answer.pairs) for answer in answers}
    assert_same({path: shares[path.name] for path in kinds}, by_package)


def test_the_door_for_fastimageclassification_says_what_the_package_says(
    app, client, dataset, packed, kinds, by_package
):
    packed.install(app, dataset)
    dataset.is_public = True
    app.config["PIGEONHOLE"].values["SCOREFILE_DATASET"] = dataset.slug
    for path, content in kinds.items():
        scores = client.post("/scorefile/", data={"file": (io.BytesIO(content), path.name)}).json
        assert scores == pytest.approx(by_package[path], abs=0.0005 + TOLERANCE), path.name  # three decimals


def test_the_door_for_kerasui_names_what_the_package_finds_likeliest(
    app, client, alice, dataset, trained, kinds
):
    trained.install(app, dataset)
    network = NetworkClassifier(trained.package)
    headers = make_bearer(alice, "predict")
    for path, content in kinds.items():
        form = {"image": (io.BytesIO(content), path.name), "dataset": str(dataset.id)}
        said = client.post("/api/test/", data=form, headers=headers).json["result"]
        wanted = network.answer(center_crop(open_image(content), network.package.input_size))
        assert said == (wanted.labels[0] if wanted.labels else None), path.name


def test_every_route_rejects_what_the_package_rejects(app, client, alice, dataset, trained, kinds, tmp_path):
    strict = trained._copied(tmp_path / "package", thresholds=[0.999999] * 3)
    version = strict.install(app, dataset)
    said = ask("server.py", "predict", "--package", strict.package, "--json", *kinds)["predictions"]
    headers = make_bearer(alice, "predict")
    images = [batches.ImageFile(path.name, path.read_bytes) for path in kinds]
    batched = batches.answer_all(batches.by_version(version), images)
    for (path, content), by_command, by_batch in zip(kinds.items(), said, batched, strict=True):
        form = {"image": (io.BytesIO(content), path.name)}
        answer = client.post("/api/v1/datasets/flowers/predict", data=form, headers=headers).json
        wanted = (answer["rejected"], answer["reason"], answer["label"], answer["labels"])
        assert wanted[0] and wanted[1] in ("uncertain", "unknown") and wanted[2:] == (None, [])
        assert tuple(by_command[name] for name in ("rejected", "reason", "label", "labels")) == wanted
        assert (by_batch.rejected, by_batch.reason, list(by_batch.labels)) == (*wanted[:2], wanted[3])
