"""The threshold page: what is counted, suggested, kept, and who may."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest

from jobs import training
from learning import evaluation, package
from learning.package import read_spec, update_spec
from models import Member, Version, db
from serving import pairing
from tests.teaching import finish, start, teach
from web import decisions

VERSION = "/datasets/flowers/versions/1"
PAGE = f"{VERSION}/threshold"


@pytest.fixture
def version(dataset):
    """A version that says 90 % of every image, and takes one red one for blue."""
    teach(dataset)
    return finish(start(dataset))


def limits_of(version) -> list[float]:
    return read_spec(training.package_folder(version))["thresholds"]


def totals_of(version, limit: float):
    ground = decisions.ground_of(version, decisions.read(version))
    return decisions.totals(ground.table, [limit] * len(version.labels))


def test_at_first_everything_is_answered_and_the_page_says_so(owner, version):
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "so it always answers" in page.text
    found = totals_of(version, 0)
    assert (found.said, found.wrong) == (found.of, 1)
    assert f'data-cell="right">{found.right}</span>' in page.text


@pytest.mark.parametrize(("at", "said"), [(0.9, True), (0.901, False)])
def test_the_address_tries_a_threshold_out_and_keeps_nothing(owner, version, at, said):
    page = owner.get(f"{PAGE}?at={at}").text
    found = totals_of(version, at)
    assert bool(found.said) is said
    assert f'data-cell="open">{found.of - found.said}</span>' in page
    assert f'value="{at}"' in page
    assert limits_of(version) == []


def test_each_label_may_have_its_own(owner, version):
    fields = {f"at-{place}": 0.95 if label == "blue" else 0 for place, label in enumerate(version.labels)}
    answer = owner.post(PAGE, data={"do": "save", "mode": "each", **fields})
    assert answer.status_code == 303
    assert dict(zip(version.labels, limits_of(version), strict=True))["blue"] == 0.95
    page = owner.get(PAGE).text
    assert "thresholds that somebody chose" in page


def test_one_for_all_is_kept_and_taken_back(owner, version):
    owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.7"})
    assert limits_of(version) == [0.7] * len(version.labels)
    owner.post(PAGE, data={"do": "reset"})
    assert limits_of(version) == []


def test_counting_leads_to_an_address_that_keeps_nothing(owner, version):
    answer = owner.post(PAGE, data={"do": "count", "mode": "all", "at": "0.7", "at-0": "0.2"})
    assert answer.location.endswith("/threshold?mode=all&at=0.7")
    assert limits_of(version) == []


def test_an_address_names_only_the_labels_that_are_to_be_others(owner, version):
    answer = owner.post(PAGE, data={"do": "count", "mode": "each", "at-0": "0", "at-1": "0.7"})
    assert answer.location.endswith("/threshold?mode=each&at-1=0.7")
    assert 'value="0.7"' in owner.get(answer.location).text


def test_what_another_editor_has_saved_meanwhile_is_not_overwritten_unseen(owner, version):
    seen = decisions.read(version).mark
    decisions.change(version, 0.5)
    mine = {"do": "save", "mode": "all", "at": "0.7", "seen": seen}
    answer = owner.post(PAGE, data=mine)
    assert limits_of(version) == [0.5] * len(version.labels)
    page = owner.get(answer.location).text
    assert "saved other thresholds meanwhile" in page and 'value="0.7"' in page
    owner.post(PAGE, data=mine | {"seen": decisions.read(version).mark})
    assert limits_of(version) == [0.7] * len(version.labels)


def test_two_changes_at_once_lose_nothing(app, version):
    """The second one waits for the first, and goes on from what that has made of them."""
    folder, version_id = training.package_folder(version), version.id
    blue, red = (version.labels.index(label) for label in ("blue", "red"))

    def change_blue():
        with app.app_context():
            decisions.change(db.session.get(Version, version_id), {"blue": 0.7})

    other, limits = threading.Thread(target=change_blue), [0.0] * len(version.labels)
    limits[red] = 0.6
    db.session.commit()  # lets go of the database's lock
    with package.hold(folder):
        other.start()
        other.join(0.3)
        package.write_spec(folder, read_spec(folder) | {"thresholds": limits})
    other.join()
    assert (limits_of(version)[blue], limits_of(version)[red]) == (0.7, 0.6)


@pytest.mark.parametrize("kind", ["f1", "right-90", "right-95", "right-99"])
def test_suggestions_are_shown_and_not_kept(owner, version, kind):
    assert owner.get(f"{PAGE}?suggest={kind}").status_code == 200
    assert limits_of(version) == []


@pytest.mark.parametrize("at", ["nan", "-0.1", "1.5", "much"])
def test_what_is_no_threshold_is_refused_with_an_example(owner, version, at):
    answer = owner.get(f"{PAGE}?at={at}")
    assert answer.status_code == 400
    assert "such as 0.7" in answer.text


@pytest.mark.parametrize("data", [{}, {"do": "nonsense"}])
def test_what_is_to_be_done_must_be_said(owner, version, data):
    assert owner.post(PAGE, data=data).status_code == 400


def test_a_suggestion_that_there_is_not_is_refused(owner, version):
    assert owner.get(f"{PAGE}?suggest=magic").status_code == 400


def test_a_viewer_may_try_and_is_offered_no_saving(client, sign_in, bob, dataset, version):
    db.session.add(Member(dataset=dataset, user=bob, role="viewer"))
    browser = sign_in(client, bob)
    page = browser.get(f"{PAGE}?at=0.7")
    assert page.status_code == 200
    assert 'value="save"' not in page.text


def test_without_judged_images_thresholds_can_be_set_all_the_same(owner, version):
    (training.folder_of(version.run) / "evaluation.json").unlink()
    assert "nothing can be counted" in owner.get(PAGE).text
    owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.7"})
    assert limits_of(version) == [0.7] * len(version.labels)


@pytest.mark.parametrize("address", ["threshold", "unknown"])
def test_a_version_whose_files_are_gone_says_so(owner, version, address):
    shutil.rmtree(training.package_folder(version))
    form = {"do": "save", "mode": "all", "at": "0.7", "watch": "on"}
    assert owner.post(PAGE.replace("threshold", address), data=form).status_code == 409


def test_a_damaged_package_is_told_and_not_written_over(owner, version):
    (training.package_folder(version) / "package.json").write_text("{")
    assert owner.get(PAGE).status_code == 409
    assert owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.7"}).status_code == 409


@pytest.fixture
def several(version):
    """The same judgements as those of a version that may say several labels, thresholds 0.3 and 0.6."""
    path = training.folder_of(version.run) / "evaluation.json"
    items = json.loads(path.read_text())["items"]
    probabilities = np.array([item["probabilities"] for item in items])
    truth = np.array([[label in item["labels"] for label in version.labels] for item in items])
    block = evaluation.measure("multi-label", probabilities, truth, version.labels, [0.3, 0.6])
    metrics = evaluation.summarise("multi-label", leave_one_out=block)
    version.metrics = metrics
    numbers = {"scales": [1.0, 1.0], "offsets": [0.0, 0.0], "thresholds": [0.3, 0.6]}
    facts = {"task": "multi-label", "metrics": metrics, **numbers}
    update_spec(training.package_folder(version), lambda spec: spec | facts)
    db.session.commit()
    return version


def test_of_several_labels_what_is_said_and_missed_is_counted(owner, several):
    page = owner.get(PAGE)
    assert page.status_code == 200
    assert "those of the training" in page.text and "Labels said" in page.text
    found = totals_of(several, 0.95)
    assert (found.said, found.of) == (0, found.of)
    assert f'data-cell="open">{found.of}</span>' in owner.get(f"{PAGE}?at=0.95").text


@pytest.mark.parametrize("kind", ["f1", "right-95"])
def test_suggestions_for_several_labels_are_shown(owner, several, kind):
    assert owner.get(f"{PAGE}?suggest={kind}").status_code == 200


def test_a_label_that_is_left_as_it_is_keeps_the_exact_threshold_of_the_training(owner, several):
    update_spec(training.package_folder(several), lambda spec: spec | {"thresholds": [0.312345, 0.6]})
    owner.post(PAGE, data={"do": "save", "mode": "each", "at-0": "0.3123", "at-1": "0.7"})
    assert limits_of(several) == [0.312345, 0.7]
    owner.post(PAGE, data={"do": "reset"})
    assert limits_of(several) == [0.312345, 0.6]


def test_the_version_s_page_counts_by_the_thresholds_in_force(owner, several):
    trained = f"F1 {100 * several.metrics['score']['value']:.1f} %"
    owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.95"})  # from here on it says nothing
    page = owner.get(VERSION).text
    assert "F1 0.0 %" in page and "By those of the training" in page and trained in page
    assert "somebody chose them" in page
    owner.post(PAGE, data={"do": "reset"})
    page = owner.get(VERSION).text
    assert "F1 0.0 %" not in page and "By those of the training" not in page and trained in page


def test_its_mistakes_are_those_of_the_thresholds_in_force(owner, several):
    assert "data-total>1</span> done" in owner.get(f"{VERSION}/mistakes/wrong").text
    owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.95"})
    assert "data-total>12</span> done" in owner.get(f"{VERSION}/mistakes/wrong").text
    for label, name in enumerate(several.labels):
        missed = owner.get(f"{VERSION}/mistakes/cell?label={label}&decision=missed").text
        assert f"“{name}”, missed" in missed and '<li class="mistake"' in missed
        wrongly = owner.get(f"{VERSION}/mistakes/cell?label={label}&decision=wrongly").text
        assert '<li class="mistake"' not in wrongly


def test_versions_are_compared_by_the_thresholds_in_force(owner, several):
    assert pairing.pair(several, several, pairing.OUT_OF_SAMPLE).found.both == 11
    owner.post(PAGE, data={"do": "save", "mode": "all", "at": "0.95"})
    assert pairing.pair(several, several, pairing.OUT_OF_SAMPLE).found.both == 0


def test_without_a_package_they_are_those_of_the_training(owner, several):
    (training.package_folder(several) / "package.json").unlink()
    assert "data-total>1</span> done" in owner.get(f"{VERSION}/mistakes/wrong").text


def test_the_calibration_of_several_labels_is_of_every_decision(owner, several):
    page = owner.get("/datasets/flowers/versions/1/calibration")
    assert page.status_code == 200
    assert "Scale and offset of each label" in page.text and "decisions" in page.text
