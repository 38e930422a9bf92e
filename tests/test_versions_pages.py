"""Pages of versions: figures in words, the confusion matrix and what lies behind it, and taking one away."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from sqlalchemy import select

from jobs import training
from learning import evaluation
from models import Item, Member, db, now
from tests.teaching import finish, start, teach
from web import figures
from web.figures import Figure, Figures

VERSIONS = "/datasets/flowers/versions/"


@pytest.fixture
def version(dataset):
    """The first version of a dataset of six blue and six red photos; it takes one red one for blue."""
    teach(dataset)
    return finish(start(dataset))


def test_without_a_version_the_page_says_how_to_get_one(owner):
    page = owner.get(VERSIONS)
    assert page.status_code == 200
    assert "Train the first version" in page.text


def test_versions_are_listed_with_their_accuracy_and_the_live_one_marked(owner, version):
    page = owner.get(VERSIONS).text
    assert "Version 1" in page
    assert "live" in page
    assert f"{version.metrics['accuracy'] * 100:.1f} %" in page


def test_another_version_can_be_made_live(owner, dataset, version):
    finish(start(dataset))
    dataset.live_version = 2
    answer = owner.post(f"{VERSIONS}1/live")
    assert answer.status_code == 303
    db.session.expire_all()
    assert dataset.live_version == 1


def test_a_version_says_how_good_it_is_in_plain_words(owner, version):
    page = owner.get(f"{VERSIONS}1").text
    assert f"{version.metrics['leave_one_out']['accuracy'] * 100:.1f} % right" in page
    assert "for new images like these" in page
    assert "Fewer than 20" not in page
    assert "fewer than 20 images" in page  # of a small set the page says so


def test_the_matrix_has_a_table_with_the_same_in_it(owner, version):
    page = owner.get(f"{VERSIONS}1").text
    true, predicted = version.labels.index("red"), version.labels.index("blue")
    assert f"/versions/1/mistakes/cell?true={true}&amp;predicted={predicted}" in page
    assert 'class="chart"' in page


def test_a_cell_opens_the_images_behind_it(owner, version):
    true, predicted = version.labels.index("red"), version.labels.index("blue")
    page = owner.get(f"{VERSIONS}1/items?true={true}&predicted={predicted}", follow_redirects=True).text
    assert "“red” taken for “blue”" in page
    assert "data-total>1</span> done" in page
    assert page.count("/thumbnails/") == 1


def test_the_most_wrong_items_show_what_was_taught_and_what_was_said(owner, version):
    page = owner.get(f"{VERSIONS}1").text
    assert "Most wrong" in page
    assert "90.0 %" in page


def test_an_item_deleted_since_is_said_to_be(owner, version):
    for item in db.session.scalars(select(Item)):
        item.deleted_at = now()
    page = owner.get(f"{VERSIONS}1/mistakes/wrong").text
    assert "Removed" in page


@pytest.mark.parametrize(
    ("query", "status"), [("true=9&predicted=0", 404), ("true=x&predicted=0", 400), ("after=900", 200)]
)
def test_a_cell_that_is_none_is_no_error_of_ours(owner, version, query, status):
    assert owner.get(f"{VERSIONS}1/mistakes/cell?{query}").status_code == status


@pytest.mark.parametrize("damage", [None, "", "{}", '{"items": [{"sha256": 1}]}'])
def test_a_version_is_shown_without_its_evaluation_too(owner, version, damage):
    path = training.folder_of(version.run) / "evaluation.json"
    path.unlink() if damage is None else path.write_text(damage)
    assert owner.get(f"{VERSIONS}1").status_code == 200
    assert owner.get(f"{VERSIONS}1/mistakes/wrong").status_code == 404


def test_the_package_comes_as_a_zip_with_everything_in_it(owner, version):
    answer = owner.get(f"{VERSIONS}1/package")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="flowers-1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            "flowers-1/package.json",
            "flowers-1/model.tflite",
            "flowers-1/golden/0.png",
        }


def test_a_file_is_given_only_once_it_is_proven(owner, dataset, version):
    assert owner.get(f"{VERSIONS}1/package?format=tflite").status_code == 409
    finish(start(dataset), proven=("litert", "keras"))
    answer = owner.get(f"{VERSIONS}2/package?format=tflite")
    assert answer.status_code == 200
    assert answer.data == b"a network"


def test_a_missing_file_is_409_and_an_unknown_format_400(owner, dataset):
    teach(dataset)
    finish(start(dataset), proven=("litert", "keras"))
    assert owner.get(f"{VERSIONS}1/package?format=keras").status_code == 409
    assert owner.get(f"{VERSIONS}1/package?format=onnx").status_code == 400


def test_the_page_says_what_is_proven(owner, dataset):
    teach(dataset)
    version = finish(start(dataset), proven=("litert", "keras"))
    assert "LiteRT, Keras agree on 16 golden images" in owner.get(f"{VERSIONS}1").text
    version.proven, version.run.job.state = [], "running"
    assert "still being made and proven" in owner.get(f"{VERSIONS}1").text


def test_a_viewer_looks_but_makes_nothing_live_and_a_stranger_finds_nothing(
    client, sign_in, bob, charlie, dataset, version
):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    assert client.get(f"{VERSIONS}1").status_code == 200
    assert client.post(f"{VERSIONS}1/live").status_code == 403
    sign_in(client, charlie)
    for what in ("", "1", "1/items", "1/package"):
        assert client.get(f"{VERSIONS}{what}").status_code == 404


def test_a_version_is_deleted_once_its_name_was_typed(owner, dataset, version):
    folder = training.folder_of(finish(start(dataset)).run)
    dataset.live_version = 1
    assert "Delete this version" in owner.get(f"{VERSIONS}2").text
    assert owner.post(f"{VERSIONS}2/delete", data={"confirm": "2"}).location == f"{VERSIONS}2"
    assert folder.exists()
    assert owner.post(f"{VERSIONS}2/delete", data={"confirm": "Version 2"}).location == VERSIONS
    assert not folder.exists()
    assert owner.get(f"{VERSIONS}2").status_code == 404


def test_the_live_version_offers_no_deletion_and_refuses_it(owner, version):
    assert "Delete this version" not in owner.get(f"{VERSIONS}1").text
    assert owner.post(f"{VERSIONS}1/delete", data={"confirm": "Version 1"}).status_code == 409


def test_labels_are_inert_on_the_page_and_in_the_chart(owner, dataset, version):
    hostile = "</script><script>alert(1)</script>"
    version.labels = [hostile, "red"]
    version.metrics = json.loads(json.dumps(version.metrics).replace('"blue"', json.dumps(hostile)))
    assert "<script>alert" not in owner.get(f"{VERSIONS}1").text


def test_the_interval_is_said_outward_to_whole_per_cents():
    assert Figure("test", 0.861, 0.8312, 0.8871, 500).words().startswith("between 83 and 89 %")


@pytest.mark.parametrize(("accuracy", "is_confirmed"), [(0.85, True), (0.5, False)])
def test_the_test_confirms_when_it_lies_inside_the_interval(accuracy, is_confirmed):
    left_out = Figure("leave_one_out", 0.86, 0.83, 0.89, 500)
    test = Figure("test", accuracy, accuracy - 0.1, accuracy + 0.1, 90)
    found = Figures(left_out, test, "leave_one_out", [], [])
    assert found.is_confirmed is is_confirmed


def test_a_version_without_figures_is_shown_all_the_same(owner, version):
    version.metrics = {}
    assert figures.of(version).chosen is None
    assert owner.get(f"{VERSIONS}1").status_code == 200


@pytest.fixture
def tagged(version):
    """The same version as if an image could have several labels; red is missed on one and said of another."""
    folder = training.folder_of(version.run)
    items = json.loads((folder / "evaluation.json").read_text())["items"]
    targets = np.array([[float(label in item["labels"]) for label in version.labels] for item in items])
    said = targets.copy()
    red = version.labels.index("red")
    said[[np.flatnonzero(targets[:, red])[0], np.flatnonzero(1 - targets[:, red])[0]], red] *= -1
    said[np.flatnonzero(1 - targets[:, red])[0], red] = 1
    said[said < 0] = 0
    probabilities = 0.1 + 0.8 * said
    for item, row in zip(items, probabilities, strict=True):
        item |= {"probabilities": row.tolist(), "by": "leave_one_out"}
    (folder / "evaluation.json").write_text(json.dumps({"items": items}))
    block = evaluation.measure("multi-label", probabilities, targets, version.labels, [0.4, 0.6])
    version.metrics = evaluation.summarise("multi-label", leave_one_out=block) | {"items": len(items)}
    db.session.commit()
    return version


def test_a_multi_label_version_shows_every_figure_and_threshold(owner, tagged):
    page = owner.get(f"{VERSIONS}1").text
    block = tagged.metrics["leave_one_out"]
    assert f"F1 {block['micro_f1'] * 100:.1f} %" in page
    for words in ("Macro F1", "Mean average precision", "Binary accuracy", "Exact accuracy", "Said from"):
        assert words in page
    assert "What it finds, misses and makes up" in page
    assert "What it takes for what" not in page


def test_the_cells_of_a_label_lead_to_its_images(owner, tagged):
    red = tagged.labels.index("red")
    missed = owner.get(f"{VERSIONS}1/mistakes/cell?label={red}&decision=missed").text
    assert "“red”, missed" in missed
    assert "data-total>1</span> done" in missed
    assert "“red”, wrongly said" in owner.get(f"{VERSIONS}1/mistakes/cell?label={red}&decision=wrongly").text
    assert "data-total>2</span> done" in owner.get(f"{VERSIONS}1/mistakes/wrong").text
    assert owner.get(f"{VERSIONS}1/mistakes/cell?label=99&decision=missed").status_code == 404


def test_a_version_measured_by_validation_says_so(owner, version):
    block = version.metrics["leave_one_out"]
    version.metrics = evaluation.summarise("single-label", validation=block) | {"items": block["items"]}
    page = owner.get(f"{VERSIONS}1").text
    assert "by which the best moment was chosen" in page
    assert "learnt from all the others" not in page


def test_the_list_of_versions_says_what_the_score_is(owner, tagged):
    assert f"F1 {tagged.metrics['score']['value'] * 100:.1f} %" in owner.get(f"{VERSIONS}").text
