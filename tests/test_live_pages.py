"""Pages and calls about what is live: going back, the history, the challenger beside the live version."""

from __future__ import annotations

import pytest

from datasets import storage
from jobs import agreement, challenges, events, live
from models import Challenge, Feedback, Label, Member, Prediction, ShadowAnswer, db
from tests.asking import asker
from tests.photos import COLOURS, photo
from tests.teaching import ANSWER, finish, start, teach

VERSIONS = "/datasets/flowers/versions"


@pytest.fixture
def versions(dataset):
    """Two versions of twenty blue and twenty red photos; the first is live, and the second worse."""
    teach(dataset, 20)
    return [finish(start(dataset)), finish(start(dataset), wrong_tests=1)]


@pytest.fixture
def challenge(dataset, versions, alice):
    """The second version challenges the first: of four images it says the same of one."""
    challenges.start(dataset, versions[1], alice)
    for number, labels in enumerate((["blue"], ["red"], ["red"], []), 1):
        answer_both(dataset, *versions, number, labels)
    db.session.commit()


def answer_both(dataset, version, challenger, number, labels):
    """The version says “blue” of an image, and its challenger `labels`."""
    asked = Prediction(public_id=f"pr_{number}", dataset=dataset, version=version, answer=dict(ANSWER))
    asked.filename, asked.sent_name = f"sent{number}.jpg", f"{number}.jpg"
    storage.put(asked.filename, photo(COLOURS["red"], number))
    said = {"labels": labels, "reason": None if labels else "unknown", "is_same": labels == ["blue"]}
    more = {"probability": 0.8, "milliseconds": 1.0}
    db.session.add(ShadowAnswer(prediction=asked, version_id=challenger.id, **said, **more))


def judge(number, is_correct, labels=None):
    asked = db.session.query(Prediction).filter_by(public_id=f"pr_{number}").one()
    truth = ["blue"] if is_correct else labels
    db.session.add(Feedback(prediction_id=asked.id, is_correct=is_correct, labels=truth))
    db.session.commit()


def test_a_version_that_did_not_go_live_says_why_and_offers_one_click(owner, versions):
    for address in (f"{VERSIONS}/2", f"{VERSIONS}/", f"/datasets/flowers/runs/{versions[1].run.folder}"):
        page = owner.get(address).text
        assert "Version 2 did not go live: right on 5 of 6 test images, version 1 on 6." in page
    assert f'action="{VERSIONS}/2/live"' in owner.get(f"{VERSIONS}/2").text


def test_what_was_live_before_is_live_again_by_one_click_and_the_page_tells_who_did_it(
    owner, dataset, versions
):
    owner.post(f"{VERSIONS}/2/live")
    page = owner.get(f"{VERSIONS}/").text
    assert f'action="{VERSIONS}/rollback?from=2"' in page
    assert "Undo" in page
    assert owner.post(f"{VERSIONS}/rollback?from=2").status_code == 303
    db.session.expire_all()
    assert dataset.live_version == 1
    page = owner.get(f"{VERSIONS}/").text
    assert "Gone back" in page and "alice" in page
    assert owner.post(f"{VERSIONS}/rollback?from=2").status_code == 409


def test_making_the_live_version_live_changes_nothing_and_offers_no_undo(owner, versions):
    owner.post(f"{VERSIONS}/2/live")
    owner.get(f"{VERSIONS}/")  # its message is read
    page = owner.post(f"{VERSIONS}/2/live", follow_redirects=True).text
    assert "Version 2 is live already." in page and "Undo" not in page


def test_undo_is_offered_only_where_it_leads_back_to_what_was_live(owner, dataset, versions):
    third = finish(start(dataset))
    assert dataset.live_version == third.number
    third.fault = "Its files are damaged."  # going back would pass over it, to version 1
    db.session.commit()
    assert "Undo" not in owner.post(f"{VERSIONS}/2/live", follow_redirects=True).text


def test_the_undo_of_going_back_does_not_overrule_what_went_live_since(owner, dataset, versions):
    owner.post(f"{VERSIONS}/2/live")
    page = owner.post(f"{VERSIONS}/rollback?from=2", follow_redirects=True).text
    assert f'action="{VERSIONS}/2/live?from=1"' in page
    third = finish(start(dataset))
    assert dataset.live_version == third.number
    assert owner.post(f"{VERSIONS}/2/live?from=1").status_code == 409
    db.session.expire_all()
    assert dataset.live_version == third.number


def test_a_faulty_version_offers_no_going_live(owner, versions):
    versions[1].fault = "Its files are damaged."
    db.session.commit()
    page = owner.get(f"{VERSIONS}/2").text
    assert f"{VERSIONS}/2/live" not in page and "in the shadow" not in page


def test_a_version_that_is_not_live_leads_nobody_to_try_another(owner, versions):
    assert "Try it</a>" in owner.get(f"{VERSIONS}/1").text
    assert "Try it</a>" not in owner.get(f"{VERSIONS}/2").text


def test_a_viewer_is_told_how_they_compare_and_not_shown_what_others_sent(
    client, sign_in, bob, dataset, challenge
):
    db.session.add(Member(dataset_id=dataset.id, user_id=bob.id, role="viewer"))
    page = sign_in(client, bob).get(f"{VERSIONS}/challenger").text
    assert "25.0 % the same" in page and "only editors see them" in page
    assert "sent2.jpg" not in page


def test_the_settings_turn_going_live_alone_off(owner, dataset):
    owner.post("/datasets/flowers/settings", data={"name": "Flowers"})
    db.session.expire_all()
    assert dataset.is_promoting is False


def test_a_challenger_is_chosen_and_ended_by_one_click_each(owner, dataset, versions):
    answer = owner.post(f"{VERSIONS}/2/challenger", follow_redirects=True)
    assert "Version 2 challenges version 1" in answer.text
    assert "It has answered nothing yet" in answer.text
    assert "in the shadow what version 1 is asked" in owner.get(f"{VERSIONS}/").text
    owner.post(f"{VERSIONS}/challenger/end")
    assert db.session.query(Challenge).count() == 0
    assert "No challenger" in owner.get(f"{VERSIONS}/challenger").text


def test_the_live_version_is_no_challenger(owner, versions):
    assert owner.post(f"{VERSIONS}/1/challenger").status_code == 409


def test_the_challenger_that_goes_live_challenges_no_more(owner, challenge):
    owner.post(f"{VERSIONS}/2/live")
    assert db.session.query(Challenge).count() == 0


def test_agreement_is_told_with_its_interval_and_where_they_differ(owner, challenge):
    page = owner.get(f"{VERSIONS}/challenger").text
    assert "25.0 % the same" in page
    assert "1 of 4 images; expect between 4.6 % and 69.9 %" in page
    assert page.count("Live is right") == 3
    assert page.count("Challenger is right") == 2  # of the fourth it says nothing
    assert "Nobody has judged any of these" in page


def test_feedback_says_which_one_is_right_and_whether_that_is_chance(owner, challenge):
    for number in (1, 2):
        judge(number, is_correct=True)
    judge(3, False, ["red"])
    judge(4, False)  # what it is nobody said
    judge(2, False, ["red"])  # the last word counts
    page = owner.get(f"{VERSIONS}/challenger").text
    assert "On 3 judged predictions the challenger is right on 2 more: no more than chance" in page
    assert "1 image that somebody called wrong without saying" in page


def test_a_word_is_given_right_there(owner, dataset, challenge):
    db.session.add(Label(dataset_id=dataset.id, name="green"))
    here = f"{VERSIONS}/challenger"
    form = {"correct": "no", "label": "red", "back": here}
    assert owner.post("/predict/sent2.jpg/feedback", data=form).location == here
    assert "On 1 judged prediction the challenger is right on 1 more" in owner.get(here).text


def test_programs_choose_compare_and_end_a_challenger(client, alice, dataset, versions, challenge):
    ask = asker(client, alice, "read", "train")
    assert ask("PUT", "datasets/flowers/challenger", json={"version": 1}).status_code == 409
    found = ask("GET", "datasets/flowers/challenger").json
    assert (found["version"], found["live_version"], found["same"], found["different"]) == (2, 1, 1, 3)
    assert found["interval"] == pytest.approx([0.0456, 0.6994], abs=1e-4)
    assert found["judged"]["items"] == 0
    assert ask("DELETE", "datasets/flowers/challenger").status_code == 204
    assert ask("GET", "datasets/flowers/challenger").status_code == 404


def test_programs_read_the_history_and_go_back(client, alice, dataset, versions):
    ask = asker(client, alice, "read", "train")
    ask("POST", "datasets/flowers/versions/2/live")
    wanted = {"leaving": 2}
    assert ask("POST", "datasets/flowers/rollback", json=wanted).json["live_version"] == 1
    assert ask("POST", "datasets/flowers/rollback", json=wanted).status_code == 409
    changes = ask("GET", "datasets/flowers/live-changes").json["items"]
    assert [(one["version"], one["user"]) for one in changes] == [(1, "alice"), (2, "alice"), (1, None)]
    assert changes[0]["is_rollback"]


def test_the_api_tells_why_a_version_went_live_or_did_not(client, alice, dataset, versions):
    told = asker(client, alice, "read", "train")("GET", "datasets/flowers/versions/2").json["promotion"]
    assert (told["went_live"], told["right"], told["compared_right"]) == (False, 5, 6)
    run = asker(client, alice, "read", "train")("GET", f"runs/{versions[1].run_id}").json
    assert run["promotion"] == told


def test_prometheus_is_told_how_often_a_challenger_says_the_same(challenge):
    assert sorted(agreement.count_all()) == [("flowers", 2, False, 3), ("flowers", 2, True, 1)]


def test_webhooks_are_told_why_a_version_went_live_or_did_not(dataset, versions):
    told = events._describe_run(versions[1].run.job)
    assert told["promotion"] == versions[1].promotion


def test_a_version_in_the_history_and_a_challenger_can_be_deleted(owner, dataset, versions, alice, challenge):
    live.make_live(dataset, versions[1], alice)
    live.make_live(dataset, versions[0], alice)
    challenges.start(dataset, versions[1], alice)
    assert owner.post(f"{VERSIONS}/2/delete", data={"confirm": "Version 2"}).status_code == 303
    assert db.session.query(Challenge).count() == db.session.query(ShadowAnswer).count() == 0
    assert "What was live when" in owner.get(f"{VERSIONS}/").text
