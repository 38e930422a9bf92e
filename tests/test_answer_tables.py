"""The CSV of answers: filled row by row, gone on with after any interruption, never mixed up."""

from __future__ import annotations

import csv

import pytest

from serving.files import FileAnswer
from serving.tables import Layout, TableRefused, open_table

LAYOUT = Layout("flowers 3", ("daisy", "rose"))
PAIRS = (("rose", 0.8), ("daisy", 0.2))
FILES = ["a.jpg", "=cmd.jpg", "two\nlines.jpg", 'quo"te,.jpg', "é\u2028.jpg", "b.jpg"]


def answer(name: str) -> FileAnswer:
    return FileAnswer(name, ("rose",), PAIRS)


def fill(path, names=FILES, layout=LAYOUT, **options) -> list[str]:
    """Answer what is not there yet; return those names."""
    with open_table(path, layout, **options) as table:
        left = [name for name in names if not table.has(name)]
        for name in left:
            table.add(answer(name))
    return left


def rows(path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_has_the_label_its_probability_and_those_of_all_labels(tmp_path):
    fill(tmp_path / "out.csv", ["a.jpg"])
    [row] = rows(tmp_path / "out.csv")
    assert row == {
        **{"file": "a.jpg", "label": "rose", "probability": "0.8", "rejected": "false", "reason": ""},
        **{"error": "", "version": "flowers 3", "daisy": "0.2", "rose": "0.8"},
    }


def test_several_labels_stand_in_one_cell_and_none_leaves_it_empty(tmp_path):
    with open_table(tmp_path / "out.csv", LAYOUT) as table:
        table.add(FileAnswer("a.jpg", ("rose", "daisy"), PAIRS))
        table.add(FileAnswer("b.jpg", (), PAIRS))
    two, none = rows(tmp_path / "out.csv")
    assert (two["label"], two["probability"]) == ("rose|daisy", "0.8")
    assert (none["label"], none["probability"], none["rose"]) == ("", "", "0.8")


def test_a_refused_file_is_a_row_with_its_error(tmp_path):
    with open_table(tmp_path / "out.csv", LAYOUT) as table:
        table.add(FileAnswer("a.jpg", refusal="It is empty."))
    [row] = rows(tmp_path / "out.csv")
    assert (row["label"], row["error"], row["rose"]) == ("", "It is empty.", "")


def test_the_same_call_again_has_nothing_to_do(tmp_path):
    fill(tmp_path / "out.csv")
    assert fill(tmp_path / "out.csv") == []


def test_a_table_cut_off_anywhere_is_gone_on_with_to_the_same_end(tmp_path):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    fill(whole)
    content = whole.read_bytes()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        fill(cut)
        assert cut.read_bytes() == content, length


def test_refusals_of_before_are_counted_when_it_is_gone_on_with(tmp_path):
    with open_table(tmp_path / "out.csv", LAYOUT) as table:
        table.add(FileAnswer("a.jpg", refusal="It is empty."))
    with open_table(tmp_path / "out.csv", LAYOUT) as table:
        assert table.refused == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Layout("flowers 4", LAYOUT.labels), "holds answers of flowers 3. This is flowers 4."),
        (Layout("flowers 3", ("daisy", "tulip")), "columns of other labels"),
        (Layout("flowers 3", LAYOUT.labels, top=1), "columns of other labels, or of another --top"),
    ],
)
def test_rows_of_another_version_or_other_labels_are_refused_untouched(tmp_path, other, words):
    fill(tmp_path / "out.csv")
    before = (tmp_path / "out.csv").read_bytes()
    with pytest.raises(TableRefused, match=words):
        fill(tmp_path / "out.csv", layout=other)
    assert (tmp_path / "out.csv").read_bytes() == before


@pytest.mark.parametrize("content", [b"my,own\n1,2\n", b"notes without an end of line", b'"open', b"\xff\n"])
def test_a_file_of_somebody_else_is_refused_untouched(tmp_path, content):
    (tmp_path / "out.csv").write_bytes(content)
    with pytest.raises(TableRefused, match="is no table of answers"):
        fill(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == content


def test_fresh_begins_anew(tmp_path):
    fill(tmp_path / "out.csv", layout=Layout("flowers 2", LAYOUT.labels))
    assert fill(tmp_path / "out.csv", is_fresh=True) == FILES
    assert {row["version"] for row in rows(tmp_path / "out.csv")} == {"flowers 3"}


def test_two_calls_never_write_one_table(tmp_path):
    with open_table(tmp_path / "out.csv", LAYOUT), pytest.raises(TableRefused, match="another call"):
        fill(tmp_path / "out.csv")


def test_a_table_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(TableRefused, match="No such file or directory"):
        fill(tmp_path / "nowhere" / "out.csv")


def test_top_gives_the_likeliest_labels_columns_of_their_own(tmp_path):
    fill(tmp_path / "out.csv", ["a.jpg"], Layout("flowers 3", LAYOUT.labels, top=1))
    [row] = rows(tmp_path / "out.csv")
    assert (row["label_1"], row["probability_1"]) == ("rose", "0.8")
    assert "daisy" not in row


def test_a_label_that_is_called_like_a_column_has_a_column_of_its_own(tmp_path):
    layout = Layout("flowers 3", ("error", "=rose"))
    with open_table(tmp_path / "out.csv", layout) as table:
        table.add(FileAnswer("a.jpg", ("error",), (("error", 0.7), ("=rose", 0.3))))
    [row] = rows(tmp_path / "out.csv")
    assert (row["error"], row["error (label)"], row["'=rose"]) == ("", "0.7", "0.3")
