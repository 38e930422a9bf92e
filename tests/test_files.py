"""Answers of the command line, as lines and as JSON; cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import pytest

from learning.package import Decision
from serving.files import FileAnswer, make_safe

PAIRS = (("sea", 0.9), ("ship", 0.4), ("dock", 0.1))


def test_several_labels_stand_in_one_line():
    answer = FileAnswer("a.jpg", ("sea", "ship"), PAIRS)
    assert answer.as_line() == "a.jpg: sea 90.0 %, ship 40.0 %"
    assert answer.as_json()["label"] == "sea"
    assert answer.as_json()["labels"] == ["sea", "ship"]


def test_none_of_the_labels_is_said_in_words():
    answer = FileAnswer("a.jpg", (), PAIRS)
    assert answer.as_line() == "a.jpg: none of the labels"
    assert answer.as_json()["label"] is None


def test_a_rejected_answer_names_no_label_but_the_likeliest_as_perhaps():
    answer = FileAnswer.of("a.jpg", Decision((), PAIRS, "uncertain"))
    assert answer.as_line() == "a.jpg: not sure, perhaps sea 90.0 %, ship 40.0 %"
    told = answer.as_json()
    assert (told["label"], told["labels"], told["rejected"], told["reason"]) == (None, [], True, "uncertain")
    assert len(told["probabilities"]) == 3


def test_a_refused_file_says_why():
    answer = FileAnswer("a.jpg", refusal="It is empty.")
    assert answer.as_line() == "a.jpg: It is empty."
    assert answer.as_json() == {"file": "a.jpg", "error": "It is empty."}


def test_top_tells_the_likeliest_whether_they_are_said_or_not():
    answer = FileAnswer("a.jpg", ("sea",), PAIRS)
    assert answer.as_line(2) == "a.jpg: sea 90.0 %, ship 40.0 %"
    assert [entry["label"] for entry in answer.as_json(2)["probabilities"]] == ["sea", "ship"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "'=1+1", "''=1"])
def test_what_a_spreadsheet_would_run_is_marked_as_text(text):
    assert make_safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=b", "'quoted'", " =1", "1-2"])
def test_what_is_harmless_stays_as_it_is(text):
    assert make_safe(text) == text
