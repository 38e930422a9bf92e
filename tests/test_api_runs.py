"""Runs and versions over the API."""

from __future__ import annotations

import pytest

from models import db
from tests.teaching import teach
from tests.trained import COLOURS
from web import tokens


@pytest.fixture
def ask(client, alice, dataset):
    """`ask(method, address, **more)` as alice, with a token that may read and train."""
    _, text = tokens.make_token(alice, "test", ["read", "train"])
    db.session.commit()

    def ask(method, address, **more):
        return client.open(address, method=method, headers={"Authorization": f"Bearer {text}"}, **more)

    return ask


@pytest.mark.trainer
def test_a_version_shows_its_labels_figures_and_whether_it_is_live(app, ask, dataset, trained):
    trained.install(app, dataset)
    (version,) = ask("GET", "/api/v1/datasets/flowers/versions").json["items"]
    assert version["number"] == 1 and version["is_live"]
    assert version["labels"] == list(COLOURS)
    assert ask("GET", "/api/v1/datasets/flowers/versions/1").json == version
    assert ask("GET", version["run"]).json["version"] == 1


@pytest.mark.trainer
def test_a_list_goes_on_from_its_cursor(app, ask, dataset, trained):
    for _ in range(3):
        trained.install(app, dataset)
    first = ask("GET", "/api/v1/datasets/flowers/versions?limit=2").json
    rest = ask("GET", f"/api/v1/datasets/flowers/versions?limit=2&cursor={first['next']}").json
    assert [one["number"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert first["total"] == 3 and rest["next"] is None


def test_a_dataset_that_cannot_be_trained_says_what_is_missing(ask):
    answer = ask("POST", "/api/v1/datasets/flowers/runs", json={"recipe": "quick"})
    assert answer.status_code == 409
    assert "two labels" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"), [({"recipe": "magic"}, 422), ({"backbone": "none"}, 422), ({"colour": "red"}, 400)]
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
