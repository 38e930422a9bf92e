"""The page that compares versions: what differs, and whether it is more than chance."""

from __future__ import annotations

import json

import pytest

from jobs import training
from models import Member, db
from serving import pairing
from tests.teaching import finish, start, teach
from web import comparing

COMPARE = "/datasets/flowers/versions/compare"


@pytest.fixture
def versions(dataset):
    """Two versions of a dataset of twenty blue and twenty red photos; both take one red one for blue."""
    teach(dataset, 20)
    return [finish(start(dataset)), finish(start(dataset))]


def change_items(version, change) -> None:
    """Let `change` alter the list of judged test items of a version's evaluation.json."""
    path = training.folder_of(version.run) / "evaluation.json"
    evaluation = json.loads(path.read_text())
    tested = [item for item in evaluation["items"] if item["split"] == "test"]
    change(tested)
    path.write_text(json.dumps({"items": tested}))


def err(items) -> None:
    for item in items:
        item["probabilities"] = item["probabilities"][::-1]


def test_without_two_versions_the_page_says_how_to_get_them(owner):
    page = owner.get(COMPARE)
    assert page.status_code == 200
    assert "Train another" in page.text


def test_two_alike_are_said_to_be_alike(owner, versions):
    page = owner.get(f"{COMPARE}?version=1&version=2").text
    assert "Versions 1 and 2 are right equally often on the same 6 test images." in page
    assert "no difference between them to judge (p = 1.000)" in page
    assert "they were trained alike" in page


def test_a_better_version_is_named_with_its_lead_and_p(owner, versions):
    change_items(versions[0], err)
    page = owner.get(f"{COMPARE}?version=2&version=1").text
    assert "Version 2 is right on 6 more of the same 6 test images." in page
    assert "more than chance may bring (p = 0.031)" in page
    assert "0 only version 1, 6 only version 2" in page


def test_settings_that_differ_stand_beside_each_other(owner, dataset, versions):
    run = training.start_run(dataset, None, backbone="efficientnet-lite2")
    finish(run)
    differing, same = comparing.settings_rows([versions[0], run.version])
    assert differing == [{"name": "Backbone", "values": ["efficientnet-lite0", "efficientnet-lite2"]}]
    assert {"name": "Recipe", "values": ["quick", "quick"]} in same
    assert "efficientnet-lite2" in owner.get(f"{COMPARE}?version=1&version=3").text


def test_figures_come_with_their_intervals(owner, versions):
    [row] = [row for row in comparing.figure_rows(versions) if row["title"] == "Untouched test: right"]
    assert row["cells"][0] == {"value": "100.0 %", "interval": "61.0 % to 100.0 % of 6"}


def test_items_of_one_alone_and_items_relabelled_in_between_are_left_out(versions):
    change_items(versions[0], lambda items: items.pop())
    change_items(versions[1], lambda items: items[0].update(labels=items[-1]["labels"]))
    pair = pairing.pair(*versions)
    assert (pair.found.items, pair.moved, pair.unshared) == (4, 1, 1)


@pytest.mark.parametrize("damage", [None, "", "{}", '{"items": [{"sha256": 1}]}', '{"items": [[]]}'])
def test_a_version_without_its_evaluation_can_not_be_compared_and_the_page_says_so(owner, versions, damage):
    path = training.folder_of(versions[0].run) / "evaluation.json"
    path.unlink() if damage is None else path.write_text(damage)
    page = owner.get(f"{COMPARE}?version=1&version=2")
    assert page.status_code == 200
    assert "no test image in common" in page.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *[("version=x", 400), ("version=9", 404), ("version=²", 400), ("version=1", 200)],
        ("&".join(f"version={number}" for number in range(7)), 422),
    ],
)
def test_versions_that_are_none_are_no_error_of_ours(owner, versions, query, status):
    assert owner.get(f"{COMPARE}?{query}").status_code == status


def test_a_viewer_may_compare_and_a_stranger_finds_nothing(client, sign_in, bob, charlie, dataset, versions):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    sign_in(client, bob)
    assert client.get(f"{COMPARE}?version=1&version=2").status_code == 200
    sign_in(client, charlie)
    assert client.get(f"{COMPARE}?version=1&version=2").status_code == 404


def test_a_long_setting_is_shown_short_and_still_told_apart():
    one, other = comparing.as_text("a" * 5_000), comparing.as_text("b" * 5_000)
    assert one.startswith("5,000 characters")
    assert one != other


def test_settings_are_those_that_mean_something_to_the_recipe(dataset):
    teach(dataset)
    settings = {"weights": "none", "minutes": 5.0}
    run = training.start_run(dataset, None, "fine-tune", "small-cnn", settings)
    assert list(comparing.settings_of(run)) == ["recipe", "task", "backbone", "weights", "minutes", "seed"]
    assert comparing.as_text(5.0) == "5"
