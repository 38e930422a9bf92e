"""A threshold that was saved is obeyed by page, API, doors, command line, table, batch and package."""

from __future__ import annotations

import base64
import csv
import io
import zipfile

import pytest

from jobs import local, training
from jobs.batches import folder_of, start_batch
from learning import thresholds
from learning.litert import NetworkClassifier
from models import db
from serving import batches, results, telling
from serving.tables import TableRefused
from tests.trained import COLOURS, as_bytes, make_photo
from utils import center_crop, open_image

pytestmark = pytest.mark.trainer
PHOTO = as_bytes(make_photo(COLOURS["green"], seed=5))


@pytest.fixture
def version(app, dataset, trained):
    """A live version that never says anything: each label's threshold is 1."""
    version = trained.install(app, dataset)
    thresholds.change(training.package_folder(version), lambda present: [1.0] * len(version.labels))
    return version


def assert_unsure(answer: dict) -> None:
    assert (answer["rejected"], answer["reason"]) == (True, "uncertain")
    assert (answer["label"], answer["labels"]) == (None, [])
    assert answer["probabilities"][0]["label"] == "green"


def test_the_page_says_that_it_is_not_sure(client, sign_in, alice, dataset, version):
    browser = sign_in(client, alice)
    sent = browser.post("/datasets/flowers/predict", data={"image": (io.BytesIO(PHOTO), "a.jpg")})
    page = browser.get(sent.location).text
    assert "I am not sure: perhaps" in page
    assert_unsure(browser.get(f"{sent.location}.json").json)


def test_the_api_and_the_doors_say_it_in_their_ways(app, client, alice, dataset, version):
    dataset.is_public = True
    app.config["PIGEONHOLE"].values["SCOREFILE_DATASET"] = dataset.slug
    image = base64.b64encode(PHOTO).decode()
    db.session.commit()
    assert_unsure(client.post("/api/v1/datasets/flowers/predict", json={"image": image}).json)
    kerasui = client.post("/api/test/", json={"image": image, "dataset": dataset.id})
    assert kerasui.json == {"result": None}
    scores = client.post("/scorefile/", data={"file": (io.BytesIO(PHOTO), "a.jpg")}).json
    assert max(scores, key=scores.get) == "green"


def test_the_command_line_and_its_table_leave_it_open(dataset, version, tmp_path, capsys):
    answerer = batches.by_version(version)
    images = [batches.ImageFile("a.jpg", lambda: PHOTO)]
    told = telling.tell(answerer, images, None, as_json=True)["predictions"]
    assert_unsure(told[0])
    telling.tell(answerer, images, None, as_json=False)
    assert "a.jpg: not sure, perhaps green" in capsys.readouterr().out
    telling.fill(tmp_path / "out.csv", False, answerer, images, None)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["label"], row["probability"], row["rejected"], row["reason"]) == ("", "", "true", "uncertain")


def test_a_table_of_other_thresholds_is_not_gone_on_with(dataset, version, tmp_path):
    images = [batches.ImageFile("a.jpg", lambda: PHOTO)]
    telling.fill(tmp_path / "out.csv", False, batches.by_version(version), images, None)
    thresholds.reset(training.package_folder(version))
    with pytest.raises(TableRefused, match=r"holds answers of flowers 1 \(thresholds"):
        telling.fill(tmp_path / "out.csv", False, batches.by_version(version), images, None)


def test_a_batch_leaves_it_open(app, alice, dataset, version):
    path = app.config["PIGEONHOLE"].folder("uploads") / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", PHOTO)
    batch = start_batch(version, alice, "a.zip", path)
    db.session.commit()
    local.work_once(local.Shift(app, "w1"), ("predict",))
    _, answers = results.read(results.find(folder_of(batch)))
    (answer,) = answers
    assert_unsure(answer.as_json())


def test_the_package_alone_decides_so_too_and_its_card_says_it(version):
    folder = training.package_folder(version)
    network = NetworkClassifier(folder)
    pixels = center_crop(open_image(PHOTO), network.package.input_size)
    assert network.answer(pixels).reason == "uncertain"
    assert "it says that it is not sure" in (folder / "README.md").read_text()
    told = telling.tell(
        batches.by_package(folder), [batches.ImageFile("a.jpg", lambda: PHOTO)], None, as_json=True
    )
    assert_unsure(told["predictions"][0])
