"""Label lists: a CSV with a column of files and a column of labels."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from datasets.names import NameRefused, clean_name, make_inert

MAX_ROWS = 1_000_000
MAX_FIELD = 131_072  # characters
FILE_COLUMNS = ("file", "filename", "path", "image", "name")
LABEL_COLUMNS = ("label", "class")


class LabelListRefused(ValueError):
    """A CSV that is not taken. `code` is for programs, the message names the row and says what to do."""

    code = "csv_refused"


@dataclass(frozen=True)
class Row:
    """One line of the list: its number in the file (the heading is 1), the file and the label."""

    number: int
    file: str
    label: str


def read_label_list(content: bytes) -> list[Row]:
    """Read a CSV with a heading that names a `file` and a `label` column; UTF-8, with or without BOM.

    Raises:
        LabelListRefused: it is not such a CSV; the message names the row.
    """
    text = _decode(content)
    rows = _numbered_rows(text)
    heading = [name.strip().lower() for name in next(rows, (1, []))[1]]
    file_column, label_column = _find(heading, FILE_COLUMNS), _find(heading, LABEL_COLUMNS)
    return [
        _as_row(number, fields, len(heading), file_column, label_column) for number, fields in rows if fields
    ]


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise LabelListRefused(f"Row {row} is not UTF-8. Save the CSV as UTF-8.") from None
    if strange := re.search(r"\0|\r(?!\n)", text):
        row = text[: strange.start()].count("\n") + 1
        message = f"Row {row} holds a NUL or a lone carriage return. Save the CSV anew, with ordinary lines."
        raise LabelListRefused(message)
    return text


def _numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, fields in enumerate(reader, 1):
            if number > MAX_ROWS + 1:
                raise LabelListRefused(f"The CSV has more than {MAX_ROWS:,} rows. Split it into several.")
            yield number, fields
    except csv.Error as error:
        message = f"Row {number + 1} cannot be read ({error}). Check its quotes and commas."
        raise LabelListRefused(message) from None


def _find(heading: list[str], wanted: tuple[str, ...]) -> int:
    for name in wanted:
        if name in heading:
            return heading.index(name)
    raise LabelListRefused(f"Row 1 names no column {wanted[0]!r}. Begin the CSV with the heading file,label.")


def _as_row(number: int, fields: list[str], width: int, file_column: int, label_column: int) -> Row:
    if len(fields) != width:
        raise LabelListRefused(f"Row {number} has {len(fields)} fields, the heading {width}. Mend the row.")
    file = fields[file_column].strip()
    if not file:
        raise LabelListRefused(f"Row {number} names no file. Fill it in or take the row out.")
    try:
        return Row(number, file, clean_name(fields[label_column], "label"))
    except NameRefused as refused:
        raise LabelListRefused(f"Row {number} ({make_inert(file)[:80]}): {refused}") from None
