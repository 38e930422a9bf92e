"""Runs over the API: train, watch, end, take up again, delete."""

from __future__ import annotations

import pytest

from jobs import queue, runs, sandbox, training
from models import Member, Run, db
from tests.teaching import finish, start, teach
from web import tokens

RUNS = "/api/v1/datasets/flowers/runs"


@pytest.fixture
def ask(client, alice, dataset):
    """`ask(method, address, **more)` as alice, with a token that may read and train."""
    _, text = tokens.make_token(alice, "test", ["read", "train"])
    db.session.commit()

    def ask(method, address, **more):
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


def test_a_dataset_that_cannot_be_trained_says_what_is_missing(ask):
    answer = ask("POST", "/api/v1/datasets/flowers/runs", json={"recipe": "quick"})
    assert answer.status_code == 409
    assert "two labels" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"), [({"recipe": "magic"}, 422), ({"backbone": "none"}, 422), ({"hue": "red"}, 400)]
)
def test_a_wrong_wish_is_refused(ask, body, status):
    assert ask("POST", "/api/v1/datasets/flowers/runs", json=body).status_code == status


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?cursor=x", "?colour=red"])
def test_a_wrong_parameter_of_a_list_is_refused(ask, query):
    assert ask("GET", f"/api/v1/datasets/flowers/runs{query}").status_code == 400


def test_an_unknown_run_is_not_found(ask):
    assert ask("GET", "/api/v1/runs/99").status_code == 404


def test_options_are_taken_and_a_wrong_one_is_refused_by_name(ask, dataset):
    teach(dataset)
    address = "/api/v1/datasets/flowers/runs"
    answer = ask("POST", address, json={"recipe": "fine-tune", "minutes": 2, "flip": "both"})
    assert answer.status_code == 202
    assert (answer.json["settings"]["minutes"], answer.json["settings"]["flip"]) == (2, "both")
    answer = ask("POST", address, json={"recipe": "fine-tune", "minutes": "many"})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "minutes")
    assert ask("POST", address, json={"recipe": ["quick"]}).status_code == 422


def test_options_may_stand_together_as_settings_but_not_twice(ask, dataset):
    teach(dataset)
    address = "/api/v1/datasets/flowers/runs"
    answer = ask("POST", address, json={"recipe": "fine-tune", "settings": {"minutes": 2}})
    assert answer.json["settings"]["minutes"] == 2
    answer = ask("POST", address, json={"recipe": "fine-tune", "minutes": 3, "settings": {"minutes": 2}})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "minutes")


@pytest.mark.parametrize("wish", [{"seed": "7"}, {"seed": None}, {"seed": True}, {"backbone": ""}])
def test_a_value_of_another_kind_is_refused_by_name(ask, dataset, wish):
    answer = ask("POST", RUNS, json=wish)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, next(iter(wish)))


def test_own_code_is_refused_until_an_administrator_turns_it_on(ask, dataset):
    teach(dataset)
    answer = ask("POST", RUNS, json={"recipe": "custom"})
    assert answer.status_code == 409
    assert "switched off" in answer.json["error"]["message"]


@pytest.fixture
def own_code(settings):
    """An administrator has turned own code on, and there is a sandbox."""
    if sandbox.probe() is None:
        pytest.skip(f"NOT TESTED: {sandbox.describe()}")
    settings.values["OWN_CODE"] = True


def test_own_code_is_taken_and_shown_in_its_file_alone(ask, dataset, own_code):
    teach(dataset)
    answer = ask("POST", RUNS, json={"recipe": "custom", "code": "model.add(Flatten())", "epochs": 3})
    assert (answer.status_code, answer.json["backbone"]) == (202, "own code")
    assert answer.json["settings"]["epochs"] == 3 and "code" not in answer.json["settings"]
    assert "model.add(Flatten())" in ask("GET", f"{answer.json['url']}/run.yaml").text


def test_an_error_in_own_code_is_told_with_its_line(ask, dataset, own_code):
    answer = ask("POST", RUNS, json={"recipe": "custom", "code": "x = 1\ndef build_model(:\n"})
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "code")
    assert "Line 2: invalid syntax" in answer.json["error"]["message"]


@pytest.fixture
def run(dataset):
    """A run that waits."""
    teach(dataset)
    return start(dataset)


def test_the_log_comes_from_its_end_or_from_a_byte_on(ask, run):
    (training.folder_of(run) / "log.txt").write_bytes(b"first\nsecond\n")
    address = f"/api/v1/runs/{run.id}/log"
    whole = ask("GET", address)
    assert (whole.text, whole.mimetype) == ("first\nsecond\n", "text/plain")
    assert ask("GET", f"{address}?after=6").text == "second\n"
    assert ask("GET", f"{address}?after={2**63 - 1}").text == ""


def test_a_run_without_a_log_has_an_empty_one(ask, run):
    assert ask("GET", f"/api/v1/runs/{run.id}/log").text == ""


def test_progress_goes_on_where_the_last_answer_ended(ask, run):
    folder = training.folder_of(run)
    runs.report(folder, "embedding", 1, 2)
    first = ask("GET", f"/api/v1/runs/{run.id}/progress").json
    assert [event["phase"] for event in first["events"]] == ["embedding"]
    assert first["events"][0]["time"].endswith("Z") and first["state"] == "queued"
    runs.report(folder, "solving", loss=float("nan"))
    second = ask("GET", f"/api/v1/runs/{run.id}/progress?after={first['next']}").json
    assert [(event["phase"], event["loss"]) for event in second["events"]] == [("solving", None)]


def test_progress_is_given_in_bounded_parts(ask, run, monkeypatch):
    for done in range(50):
        runs.report(training.folder_of(run), "embedding", done, 50)
    monkeypatch.setattr("web.api.runs.EVENT_BYTES", 1000)
    seen, after = [], 0
    while part := ask("GET", f"/api/v1/runs/{run.id}/progress?after={after}").json:
        if not part["events"]:
            break
        assert len(part["events"]) < 50
        seen, after = seen + [event["done"] for event in part["events"]], part["next"]
    assert seen == list(range(50))


def test_a_run_shows_what_each_epoch_gave(ask, run):
    runs.report(training.folder_of(run), "training", epoch=1, metrics={"loss": 0.5, "val_accuracy": 0.9})
    (epoch,) = ask("GET", f"/api/v1/runs/{run.id}").json["epochs"]
    assert epoch == {"epoch": 1, "loss": 0.5, "val_accuracy": 0.9}


def test_a_waiting_run_is_cancelled_and_taken_up_again(ask, run):
    answer = ask("POST", f"/api/v1/runs/{run.id}/cancel")
    assert (answer.status_code, answer.json["state"]) == (202, "cancelled")
    answer = ask("POST", f"/api/v1/runs/{run.id}/resume")
    assert (answer.status_code, answer.json["state"]) == (202, "queued")


def test_what_has_ended_is_not_cancelled_and_what_waits_not_resumed(ask, run):
    answer = ask("POST", f"/api/v1/runs/{run.id}/resume")
    assert (answer.status_code, "This is queued" in answer.json["error"]["message"]) == (409, True)
    finish(run)
    answer = ask("POST", f"/api/v1/runs/{run.id}/cancel")
    assert (answer.status_code, "This run is finished" in answer.json["error"]["message"]) == (409, True)


def test_a_cancelled_run_is_deleted_with_its_folder(ask, run):
    folder, number = training.folder_of(run), run.id
    queue.ask_to_stop(run.job)
    assert ask("DELETE", f"/api/v1/runs/{number}").status_code == 204
    assert not folder.exists()
    assert ask("GET", f"/api/v1/runs/{number}").status_code == 404


def test_a_run_that_waits_or_gave_a_version_is_not_deleted(ask, run):
    assert "Cancel it" in ask("DELETE", f"/api/v1/runs/{run.id}").json["error"]["message"]
    finish(run)
    answer = ask("DELETE", f"/api/v1/runs/{run.id}")
    assert (answer.status_code, "Delete the version" in answer.json["error"]["message"]) == (409, True)


def test_the_settings_of_a_run_come_as_yaml(ask, run):
    answer = ask("GET", f"/api/v1/runs/{run.id}/run.yaml")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="run.yaml"'
    assert "recipe: quick" in answer.text
    (training.folder_of(run) / "settings.json").unlink()
    assert ask("GET", f"/api/v1/runs/{run.id}/run.yaml").status_code == 409


def test_a_viewer_watches_and_a_stranger_finds_nothing(client, bob, charlie, dataset, run):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    bearers = {user.name: tokens.make_token(user, "t", ["read", "train"])[1] for user in (bob, charlie)}
    db.session.commit()

    def status(name, method, what):
        headers = {"Authorization": f"Bearer {bearers[name]}"}
        return client.open(f"/api/v1/runs/{run.id}{what}", method=method, headers=headers).status_code

    for what in ("", "/log", "/progress", "/run.yaml"):
        assert (status("bob", "GET", what), status("charlie", "GET", what)) == (200, 404)
    for method, what in (("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")):
        assert (status("bob", method, what), status("charlie", method, what)) == (403, 404)
    assert db.session.get(Run, run.id).job.state == "queued"
