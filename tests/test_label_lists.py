"""Label lists, labelme's files and the labels they give: forms, columns, what is missing, what is hostile."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random

import pytest

from datasets.label_lists import Columns, LabelListRefused, read_label_list
from datasets.labelling import Choices, File, SentList, label_files

TAGS = b"name,cat,dog\n1.jpg,1,0\n2.jpg,1,1\n3.jpg,0,0\n"
MULTI = Choices(task="multi-label")


def read(content: bytes, *labels: str, file: str = "", task: str = "multi-label") -> dict:
    table = read_label_list(content, Columns(file, labels), task)
    return {row.file: list(row.labels) for row in table.rows}


def files(*names: str, **content: bytes) -> dict[str, File]:
    """Files without content but for those given, `__` standing for a dot."""
    given = {name.replace("__", "."): text for name, text in content.items()}
    everything = dict.fromkeys(names, b"") | given
    return {name: File(lambda text=text: text, len(text)) for name, text in everything.items()}


def label(names: dict, table: bytes | None = None, choices: Choices = MULTI):
    return label_files(names, choices, SentList("tags.csv", table) if table else None)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (TAGS, {"1.jpg": ["cat"], "2.jpg": ["cat", "dog"], "3.jpg": []}),
        (TAGS.replace(b"name", b"whatever"), {"1.jpg": ["cat"], "2.jpg": ["cat", "dog"], "3.jpg": []}),
        (b"\xef\xbb\xbffile;label\r\n1.jpg;cat|dog\r\n2.jpg;\r\n", {"1.jpg": ["cat", "dog"], "2.jpg": []}),
        (b"label,file\ncat,1.jpg\n", {"1.jpg": ["cat"]}),
        (b"file,label,split\n1.jpg,cat,train\n", {"1.jpg": ["cat"]}),
        (b"file,label\n1.png,1\n2.png,0\n", {"1.png": ["1"], "2.png": ["0"]}),
        (b"file,label,blurred\n1.png,1,0\n2.png,7,0\n", {"1.png": ["1"], "2.png": ["7"]}),
        (b",name,cat\n0,1.jpg,1.0\n1,2.jpg,False\n", {"1.jpg": ["cat"], "2.jpg": []}),
        (b"photo\tkind\n1.jpg\tcat\n", {"1.jpg": ["cat"]}),
    ],
    ids=["tags", "any heading", "names", "turned", "more", "digits", "digits and a mark", "pandas", "tabs"],
)
def test_the_form_of_a_list_is_found_by_itself(content, labels):
    assert read(content) == labels


def test_columns_can_be_chosen():
    content = b"kind,shot,size,cat\nx,1.jpg,large,1\n"
    assert read(content, "kind", "size", file="shot") == {"1.jpg": ["x", "large"]}
    assert read(content, "CAT", file="shot") == {"1.jpg": ["cat"]}


@pytest.mark.parametrize(
    ("heading", "cells", "labels"),
    [
        ("tags", ["cat;dog", "dog"], [["cat", "dog"], ["dog"]]),
        ("tags", ["cat, dog", ""], [["cat", "dog"], []]),
        ("tags", ["cat, wild|dog", "big; red"], [["cat, wild", "dog"], ["big; red"]]),
        ("tags", ["cat; a,b"], [["cat", "a,b"]]),
        ("tag", ["cat, dog"], [["cat, dog"]]),
    ],
    ids=["semicolons", "commas", "a bar goes before", "a semicolon before a comma", "a heading of one"],
)
def test_one_mark_parts_the_labels_of_a_column_that_says_it_has_several(heading, cells, labels):
    rows = [f'{place}.jpg,"{cell}"' for place, cell in enumerate(cells)]
    content = "\n".join([f"file,{heading}", *rows]).encode()
    assert list(read(content).values()) == labels


def test_a_chosen_column_is_parted_where_images_may_have_several_labels():
    content = b'file,kind,size\n1.jpg,"cat,dog",1\n'
    assert read(content, "kind") == {"1.jpg": ["cat", "dog"]}
    assert read(content, "kind", task="single-label") == {"1.jpg": ["cat,dog"]}


def test_a_known_label_is_never_parted():
    table = b'file,tags\n1.jpg,"x, Smith,  Ada, y"\n2.jpg,"Smith, Bo"\n'
    choices = Choices(task="multi-label", known={"Smith, Ada": 2, "Smith, Ada, x, z": 1})
    found = label(files("1.jpg", "2.jpg"), table, choices)
    assert found.labels == {"1.jpg": ("x", "Smith, Ada", "y"), "2.jpg": ("Smith", "Bo")}
    assert "parted by ," in found.notes[0]


def test_a_column_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(LabelListRefused, match=r"Row 1 names no column 'bird'. It has: name, cat, dog"):
        read(TAGS, "bird")


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"", 1),
        (b"file\n1.jpg\n", 1),
        (b"name,cat,cat\n1.jpg,1,0\n", 1),
        (b"name,a\xe2\x80\xaeb,cat\n1.jpg,1,0\n", 1),
        (b"name," + b"x," * 20_000 + b"\n", 1),
        (b",,,\n1,2,3,4\n", 1),
        (b"name,cat,dog\n1.jpg,1,0\n2.jpg,2,0\n", 3),
        (b"name,cat,dog\n1.jpg,1,0\n2.jpg,1\n", 3),
        (b'name,cat,dog\n1.jpg,1,0\n2.jpg,"1', 3),
        (b"name,cat,dog\n1.jpg,1,0\n,1,1\n", 3),
    ],
)
def test_a_list_that_is_wrong_is_refused_naming_the_row(content, row):
    with pytest.raises(LabelListRefused, match=f"^Row {row} |^Row {row}:"):
        read(content)


def test_a_row_of_endless_columns_is_refused_over_several_lines_too():
    heading = b",".join(b'"%d\n"' % column for column in range(20_000))
    with pytest.raises(LabelListRefused, match="more than 10,000 columns"):
        read(b"file," + heading + b"\n1.jpg\n")


def test_a_cell_of_very_many_labels_is_read():
    cell = "|".join(f"l{place}" for place in range(9_000))
    assert len(read(f"file,tags\n1.jpg,{cell}\n".encode())["1.jpg"]) == 9_000


def test_a_file_may_have_several_rows():
    found = label(files("1.jpg", "2.jpg"), b"file,label\n1.jpg,cat\n1.jpg,dog\n2.jpg,cat\n")
    assert found.labels == {"1.jpg": ("cat", "dog"), "2.jpg": ("cat",)}


def test_rows_without_a_file_and_files_without_a_row_are_told_by_name():
    found = label(files("1.jpg", "9.jpg"), TAGS)
    told = {one.name: (one.outcome, one.code) for one in found.left_out}
    missing = ("refused", "file_missing")
    assert told == {"2.jpg": missing, "3.jpg": missing, "9.jpg": ("skipped", "not_listed")}
    assert "Row 3 of tags.csv" in found.left_out[0].message
    assert list(found.labels) == ["1.jpg"]


def test_a_list_inside_names_files_beside_it_wherever_it_lies():
    found = label(files("set/a/1.jpg", "set/2.jpg", **{"set/tags__csv": b"file,label\na/1.jpg,cat\n2,dog\n"}))
    assert found.labels == {"set/a/1.jpg": ("cat",), "set/2.jpg": ("dog",)}


def test_a_name_that_several_files_have_is_not_guessed():
    found = label(files("a/1.jpg", "b/1.jpg", "c/2.jpg"), b"file,label\n1.jpg,cat\n2.jpg,dog\n")
    assert found.labels == {"c/2.jpg": ("dog",)}
    assert "several files" in found.left_out[0].message


def test_folders_are_labels_where_that_is_chosen():
    names = files("cat/1.jpg", "dog/2.jpg", labels__csv=b"file,label\n1.jpg,x\n")
    found = label(names, choices=Choices(labels_from="folders"))
    assert (found.labels["cat/1.jpg"], found.labels["dog/2.jpg"]) == (("cat",), ("dog",))


def test_of_several_lists_the_one_called_labels_is_taken():
    table = b"file,label\n1.jpg,cat\n"
    assert label(files("1.jpg", labels__csv=table, more__csv=table)).labels["1.jpg"] == ("cat",)
    with pytest.raises(LabelListRefused, match="Several CSVs"):
        label(files("1.jpg", some__csv=table, more__csv=table))


def test_a_list_that_names_no_file_is_refused():
    with pytest.raises(
        LabelListRefused,
        match=r"tags.csv: It names none .* Row 2 of tags.csv names 1.jpg, which is not there",
    ):
        label(files("x.jpg"), TAGS)


def test_several_labels_for_most_images_are_refused_where_each_has_one():
    table = b"file,label\n1.jpg,a|b\n2.jpg,a|b\n3.jpg,a\n"
    with pytest.raises(LabelListRefused, match="several labels to 2 of 3"):
        label(files("1.jpg", "2.jpg", "3.jpg"), table, Choices())


def test_rare_labels_are_left_out_and_told_with_their_counts():
    table = b"file,label\n1.jpg,a\n2.jpg,a|b\n3.jpg,c\n"
    names = files("1.jpg", "2.jpg", "3.jpg")
    found = label(names, table, Choices(task="multi-label", min_items=2))
    assert found.labels == {"1.jpg": ("a",), "2.jpg": ("a",), "3.jpg": ()}
    assert "b (1), c (1)" in found.notes[-1]
    single = label(names, table, Choices(min_items=2, known={"c": 5, "b": 1}))
    assert single.labels == {"1.jpg": ("a",), "2.jpg": ("a", "b"), "3.jpg": ("c",)}


def test_in_a_single_label_dataset_images_of_rare_labels_stay_out():
    found = label(files("a/1.jpg", "a/2.jpg", "b/3.jpg"), choices=Choices(min_items=2))
    assert sorted(found.labels) == ["a/1.jpg", "a/2.jpg"]
    assert [(one.name, one.code) for one in found.left_out] == [("b/3.jpg", "rare_label")]


def flags(**values) -> bytes:
    return json.dumps({"version": "5", "flags": values, "shapes": [], "imageData": "abc"}).encode()


def test_the_true_flags_of_labelme_are_labels():
    names = files(
        "1.jpg", "2.jpg", "3.jpg", **{"1__json": flags(cat=True, dog=False), "2__json": flags(cat=False)}
    )
    found = label(names)
    assert found.labels == {"1.jpg": ("cat",), "2.jpg": ()}
    assert [(one.name, one.code) for one in found.left_out] == [("3.jpg", "not_listed")]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b'{"flags": {"a\\u202eb": true}}'])
def test_a_bad_labelme_file_refuses_its_image_alone(content):
    found = label(files("1.jpg", "2.jpg", **{"1__json": content, "2__json": flags(cat=True)}))
    assert found.labels == {"2.jpg": ("cat",)}
    assert [(one.name, one.code) for one in found.left_out] == [("1.jpg", "flags_refused")]


def test_json_files_without_flags_do_not_hide_the_folders():
    assert label(files("cat/1.jpg", **{"cat/1__json": flags()})).labels["cat/1.jpg"] == ("cat",)


def test_a_damaged_list_is_read_or_refused_and_nothing_else():
    random = Random(1)
    for good in (TAGS, b'file,label\n"1.jpg",cat|dog\n2.jpg,"a ""b"""\n'):
        for _ in range(200):
            damaged = bytearray(good)
            damaged[random.randrange(len(good))] ^= 1 << random.randrange(8)
            with suppress(LabelListRefused):
                assert read_label_list(bytes(damaged), task="multi-label").rows is not None
