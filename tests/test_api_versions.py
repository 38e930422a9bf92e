"""Versions over the API: list, compare, take away, make live, delete."""

from __future__ import annotations

import io
import zipfile

import pytest

from jobs import training
from models import Member, Prediction, Run, db
from tests.teaching import finish, start, teach
from tests.trained import COLOURS
from web import tokens

VERSIONS = "/api/v1/datasets/flowers/versions"


@pytest.fixture
def ask(client, alice, dataset):
    """`ask(method, address, **more)` as alice, with a token that may read and train."""
    _, text = tokens.make_token(alice, "test", ["read", "train"])
    db.session.commit()

    def ask(method, address, **more):
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


@pytest.fixture
def versions(dataset):
    """Two versions; the first is live."""
    teach(dataset)
    made = [finish(start(dataset), ("litert",)), finish(start(dataset))]
    dataset.live_version = 1
    db.session.commit()
    return made


@pytest.mark.trainer
def test_a_version_shows_its_labels_figures_and_whether_it_is_live(app, ask, dataset, trained):
    trained.install(app, dataset)
    (version,) = ask("GET", "/api/v1/datasets/flowers/versions").json["items"]
    assert version["number"] == 1 and version["is_live"]
    assert version["labels"] == list(COLOURS)
    whole = ask("GET", "/api/v1/datasets/flowers/versions/1").json
    assert whole == version | {"calibration": None}  # the package was put there without what was judged
    assert ask("GET", version["run"]).json["version"] == 1


@pytest.mark.trainer
def test_a_list_goes_on_from_its_cursor(app, ask, dataset, trained):
    for _ in range(3):
        trained.install(app, dataset)
    first = ask("GET", "/api/v1/datasets/flowers/versions?limit=2").json
    rest = ask("GET", f"/api/v1/datasets/flowers/versions?limit=2&cursor={first['next']}").json
    assert [one["number"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert first["total"] == 3 and rest["next"] is None


def test_another_version_is_made_live(ask, dataset, versions):
    answer = ask("POST", f"{VERSIONS}/2/live")
    assert (answer.status_code, answer.json["is_live"]) == (200, True)
    db.session.expire_all()
    assert dataset.live_version == 2
    assert ask("POST", f"{VERSIONS}/9/live").status_code == 404


def test_a_deleted_version_takes_its_run_folder_and_predictions_along(ask, dataset, versions):
    version = versions[1]
    folder, run_id = training.folder_of(version.run), version.run_id
    db.session.add(Prediction(public_id="pr_1", dataset_id=dataset.id, version_id=version.id))
    db.session.commit()
    assert ask("DELETE", f"{VERSIONS}/2").status_code == 204
    assert ask("GET", f"{VERSIONS}/2").status_code == 404
    assert not folder.exists()
    assert db.session.get(Run, run_id) is None
    assert db.session.query(Prediction).count() == 0


def test_the_number_of_a_deleted_version_is_not_given_again(ask, dataset, versions):
    ask("DELETE", f"{VERSIONS}/2")
    db.session.expire_all()
    assert finish(start(dataset)).number == 3


def test_the_live_version_is_not_deleted(ask, versions):
    answer = ask("DELETE", f"{VERSIONS}/1")
    assert (answer.status_code, "is live" in answer.json["error"]["message"]) == (409, True)
    assert ask("GET", f"{VERSIONS}/1").status_code == 200


def test_a_version_whose_run_is_at_work_is_not_deleted(ask, versions):
    versions[1].run.job.state = "running"
    answer = ask("DELETE", f"{VERSIONS}/2")
    assert (answer.status_code, "at work" in answer.json["error"]["message"]) == (409, True)


def test_the_package_comes_as_a_zip(ask, versions):
    answer = ask("GET", f"{VERSIONS}/1/package")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="flowers-1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert "flowers-1/package.json" in archive.namelist()


def test_a_file_comes_by_its_format_once_it_is_proven(ask, versions):
    answer = ask("GET", f"{VERSIONS}/1/package?format=tflite")
    assert (answer.status_code, answer.data) == (200, b"a network")
    assert "filename=flowers-1.tflite" in answer.headers["Content-Disposition"]
    assert ask("GET", f"{VERSIONS}/1").json["formats"] == ["package", "tflite"]
    answer = ask("GET", f"{VERSIONS}/1/package?format=keras")
    assert (answer.status_code, "not proven" in answer.json["error"]["message"]) == (409, True)
    assert ask("GET", f"{VERSIONS}/1/package?format=onnx").status_code == 400


def test_damaged_files_are_a_conflict(ask, versions):
    (training.package_folder(versions[0]) / "package.json").unlink()
    answer = ask("GET", f"{VERSIONS}/1/package")
    assert (answer.status_code, "restore a backup" in answer.json["error"]["message"]) == (409, True)


def test_two_versions_are_compared_image_by_image(ask, dataset):
    teach(dataset, 20)
    for _ in range(2):
        finish(start(dataset))
    answer = ask("GET", f"{VERSIONS}/compare?a=1&b=2").json
    assert (answer["items"], answer["both"], answer["p"], answer["is_real"]) == (6, 6, 1.0, False)
    assert "right equally often" in answer["sentence"]


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?a=1", 400), ("?a=1&b=x", 400), ("?a=1&b=9", 404)]
)
def test_a_comparison_needs_two_versions_that_are_there(ask, versions, query, status):
    assert ask("GET", f"{VERSIONS}/compare{query}").status_code == status


def test_a_viewer_takes_away_but_changes_nothing_and_a_stranger_finds_nothing(
    client, bob, charlie, dataset, versions
):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    bearers = {user.name: tokens.make_token(user, "t", ["read", "train"])[1] for user in (bob, charlie)}
    db.session.commit()

    def status(name, method, what):
        headers = {"Authorization": f"Bearer {bearers[name]}"}
        return client.open(f"{VERSIONS}{what}", method=method, headers=headers).status_code

    for what in ("", "/1", "/1/package", "/compare?a=1&b=2"):
        assert (status("bob", "GET", what), status("charlie", "GET", what)) == (200, 404)
    for method, what in (("POST", "/2/live"), ("DELETE", "/2")):
        assert (status("bob", method, what), status("charlie", method, what)) == (403, 404)


def test_a_version_tells_its_calibration_before_and_after(ask, versions):
    told = ask("GET", f"{VERSIONS}/1").json["calibration"]
    assert told["temperature"] == 0.5
    block = told["blocks"]["leave_one_out"]
    assert block["after"]["said"] == pytest.approx(0.9)
    assert {"error", "interval", "chance", "bins"} <= set(block["before"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (0.7, {"blue": 0.7, "red": 0.7}),
        ({"blue": 0.85}, {"blue": 0.85, "red": 0}),
        ({"blue": 0.12345, "red": 1}, {"blue": 0.123, "red": 1}),
        (0, None),
        (None, None),
    ],
)
def test_thresholds_are_chosen_for_all_labels_or_some(ask, versions, sent, kept):
    answer = ask("PATCH", f"{VERSIONS}/1", json={"thresholds": sent})
    assert answer.status_code == 200
    assert answer.json["thresholds"] == kept
    assert ask("GET", f"{VERSIONS}/1").json["thresholds"] == kept


def test_what_is_refused_in_part_changes_nothing(ask, versions):
    answer = ask("PATCH", f"{VERSIONS}/1", json={"thresholds": 0.7, "tells_unknown": True})
    assert answer.status_code == 409  # it has learnt nothing of the unknown
    assert ask("GET", f"{VERSIONS}/1").json["thresholds"] is None


def test_thresholds_that_are_not_named_stay_and_null_takes_all_back(ask, versions):
    ask("PATCH", f"{VERSIONS}/1", json={"thresholds": {"blue": 0.8}})
    answer = ask("PATCH", f"{VERSIONS}/1", json={"thresholds": {"red": 0.6}})
    assert answer.json["thresholds"] == {"blue": 0.8, "red": 0.6}
    assert ask("PATCH", f"{VERSIONS}/1", json={"thresholds": None}).json["thresholds"] is None


@pytest.mark.parametrize(
    "sent", [1.2, -0.1, "0.7", True, [0.7], {"blue": "0.7"}, {"blue": None}, {"lilac": 0.7}]
)
def test_what_is_no_threshold_is_refused_by_name(ask, versions, sent):
    answer = ask("PATCH", f"{VERSIONS}/1", json={"thresholds": sent})
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == "thresholds"
    assert ask("GET", f"{VERSIONS}/1").json["thresholds"] is None
