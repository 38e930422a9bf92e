"""What would help a dataset, on its page, over the API and beside its counts."""

from __future__ import annotations

import pytest

from datasets import datasets, editing
from jobs import examining
from models import Item, Job, db, now
from serving import findings
from tests.teaching import finish, start, teach
from web import readiness, tokens, what_helps

CURVE = {
    "sizes": [20, 40, 80],
    "scores": [0.6, 0.7, 0.8],
    "intervals": [[0.5, 0.7], [0.6, 0.8], [0.7, 0.9]],
    "doubled": [0.85, 0.7, 0.95],
    "law": [0.0, 1.79, 0.5],
}


@pytest.fixture
def looked(settings, dataset):
    """A dataset of two colours that was looked through: red stands out, and two images look alike."""
    teach(dataset, 3)
    labels = {label.name: label.id for label in dataset.labels}
    ids = {name: [item.id for item in _items(name)] for name in labels}
    pair = {"first": ids["red"][0], "second": ids["blue"][0], "cosine": 0.98, "bits": 2}
    gain = {"label": labels["red"], "count": 3, "gain": 0.012, "interval": [0.004, 0.02], "stands_out": True}
    telltale = {"label": labels["blue"], "number": "brightness", "accuracy": 0.97}
    telltale |= {"interval": [0.93, 0.99], "own": 0.2, "others": 0.6}
    found = findings.Findings(
        examined_at=now().isoformat(),
        stamp=examining.make_stamp(dataset),
        task="single-label",
        items=6,
        learnt=80,
        is_sampled=False,
        curve=CURVE,
        gains=[gain],
        pairs=[pair],
        found_pairs=1,
        telltales=[telltale],
    )
    findings.write(settings.folder("findings"), dataset.id, found)
    return dataset


def _items(label: str) -> list[Item]:
    return [item for item in db.session.scalars(db.select(Item)) if item.labels[0].name == label]


def kinds(dataset) -> set[str]:
    return {odd.kind for odd in what_helps.of(dataset).odds}


def test_the_label_that_stands_out_is_named_with_its_interval(client, sign_in, alice, looked):
    page = sign_in(client, alice).get("/datasets/flowers/advice/").text
    assert "20 more images of “red” would help most." in page
    assert "+1.20" in page
    assert "+0.40 to +2.00" in page


def test_where_none_stands_out_the_page_says_so():
    lines = [what_helps.GainLine(name, 30, 0.4, -0.2, 1.0, False) for name in ("red", "blue")]
    assert what_helps._headline(lines).startswith("No label stands out")


def test_the_page_tells_what_doubling_would_bring(client, sign_in, alice, looked):
    page = sign_in(client, alice).get("/datasets/flowers/advice/").text
    assert "Twice as many images like these" in page
    assert "160 images, expected" in page


def test_a_label_that_is_darker_is_warned_of(looked):
    [odd] = [odd for odd in what_helps.of(looked).odds if odd.kind == "telltale"]
    assert "“blue” are darker than the others" in odd.text
    assert odd.labels == ("blue",)


def test_few_images_and_imbalance_are_warned_of_although_nobody_has_looked(dataset):
    teach(dataset, 3)
    editing.relabel(_items("red")[:2], "blue", None)
    db.session.commit()
    assert kinds(dataset) == {"few"}
    dataset.counts = {
        "items": 33,
        "labels": {str(dataset.labels[0].id): {"train": 30}} | {str(dataset.labels[1].id): {"train": 3}},
    }
    assert kinds(dataset) == {"few", "imbalance"}


def test_look_alikes_under_two_labels_are_shown_side_by_side(client, sign_in, alice, looked):
    page = sign_in(client, alice).get("/datasets/flowers/advice/").text
    assert "1 pair of images looks alike but bears different labels" in page
    assert "different labels" in page
    assert all(f"/items/{item.id}" in page for item in (_items("red")[0], _items("blue")[0]))


def test_look_alikes_are_gone_through_among_the_live_versions_mistakes(client, sign_in, alice, looked):
    finish(start(looked))
    page = sign_in(client, alice).get("/datasets/flowers/advice/").text
    assert "/datasets/flowers/versions/1/mistakes/alike" in page


def test_a_pair_goes_once_its_labels_are_put_right(looked):
    first, second = _items("red")[0], _items("blue")[0]
    second.split = first.split
    editing.relabel([second], "red", None)
    db.session.commit()
    assert what_helps.of(looked).pairs == []


def test_a_pair_goes_with_an_image_of_it(looked, alice):
    editing.delete_ids(looked, [_items("blue")[0].id], alice)
    db.session.commit()
    assert what_helps.of(looked).pairs == []


def test_findings_are_stale_once_a_label_has_changed(client, sign_in, alice, looked):
    assert not what_helps.of(looked).is_stale
    editing.relabel(_items("blue")[:1], "red", None)
    db.session.commit()
    assert what_helps.of(looked).is_stale
    assert "have changed since" in sign_in(client, alice).get("/datasets/flowers/advice/").text


def test_looking_again_is_asked_for_once_and_its_progress_is_shown(client, sign_in, alice, looked):
    browser = sign_in(client, alice)
    for _ in range(2):
        assert browser.post("/datasets/flowers/advice/again").status_code == 303
    job = db.session.query(Job).filter_by(kind="examine").one()
    job.state, job.phase = "running", "comparing"
    facts = browser.get("/datasets/flowers/advice/progress.json").json
    assert facts["words"] == "Looking for images that look alike"
    assert "data-progress" in browser.get("/datasets/flowers/advice/").text


def test_a_dataset_that_nobody_has_looked_through_says_so(client, sign_in, alice, dataset):
    assert "Nobody has looked yet" in sign_in(client, alice).get("/datasets/flowers/advice/").text


def test_what_was_found_stands_beside_the_counts_before_training(looked):
    assert any("darker" in warning for warning in readiness.of(looked).warnings)


def test_the_api_tells_the_same(client, alice, looked):
    _, bearer = tokens.make_token(alice, "t", ["read"])
    told = client.get("/api/v1/datasets/flowers/advice", headers={"Authorization": f"Bearer {bearer}"}).json
    assert [point["items"] for point in told["curve"]] == CURVE["sizes"]
    assert told["doubled"] == {"items": 160, "score": 0.85, "interval": [0.7, 0.95]}
    assert told["gains"][0]["label"] == "red"
    assert told["gains"][0]["stands_out"]
    assert told["look_alikes"][0]["differing_labels"]
    assert {warning["kind"] for warning in told["warnings"]} >= {"two_labels", "telltale", "few"}


def test_the_api_tells_nothing_of_what_nobody_has_looked_through(client, alice, dataset):
    _, bearer = tokens.make_token(alice, "t", ["read"])
    told = client.get("/api/v1/datasets/flowers/advice", headers={"Authorization": f"Bearer {bearer}"}).json
    assert (told["examined_at"], told["curve"], told["gains"]) == (None, None, [])


def test_a_renamed_label_is_called_by_its_name_of_today(looked):
    next(label for label in looked.labels if label.name == "red").name = "crimson"
    db.session.commit()
    assert what_helps.of(looked).gains[0].name == "crimson"


def test_a_deleted_dataset_takes_its_advice_with_it(client, sign_in, alice, looked):
    datasets.delete(looked)
    db.session.commit()
    assert sign_in(client, alice).get("/datasets/flowers/advice/").status_code == 404
