"""Answers of the command line, as lines, JSON and a table."""

import csv
from pathlib import Path

from serving.files import FileAnswer, write_csv

PAIRS = (("sea", 0.9), ("ship", 0.4), ("dock", 0.1))


def test_several_labels_stand_in_one_line_and_one_cell(tmp_path):
    answer = FileAnswer(Path("a.jpg"), ("sea", "ship"), PAIRS)
    assert answer.as_line() == "a.jpg: sea 90.0 %, ship 40.0 %"
    assert answer.as_json()["label"] == "sea"
    assert answer.as_json()["labels"] == ["sea", "ship"]
    write_csv(tmp_path / "table.csv", [answer])
    [row] = csv.DictReader((tmp_path / "table.csv").open())
    assert (row["label"], row["probability"], row["dock"]) == ("sea|ship", "0.9", "0.1")


def test_none_of_the_labels_is_said_in_words(tmp_path):
    answer = FileAnswer(Path("a.jpg"), (), PAIRS)
    assert answer.as_line() == "a.jpg: none of the labels"
    assert answer.as_json()["label"] is None
    write_csv(tmp_path / "table.csv", [answer])
    [row] = csv.DictReader((tmp_path / "table.csv").open())
    assert (row["label"], row["probability"], row["sea"]) == ("", "", "0.9")


def test_a_refused_file_says_why(tmp_path):
    answer = FileAnswer(Path("a.jpg"), refusal="It is empty.")
    assert answer.as_line() == "a.jpg: It is empty."
    write_csv(tmp_path / "table.csv", [answer])
    [row] = csv.DictReader((tmp_path / "table.csv").open())
    assert row["error"] == "It is empty."
