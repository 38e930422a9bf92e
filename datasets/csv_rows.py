"""The rows of a CSV that somebody wrote: decoded, bounded, numbered, or refused by the row that is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

MAX_ROWS = 1_000_000
MAX_FIELD = 131_072  # characters; the csv module's own limit
MAX_COLUMNS = 10_000


class LabelListRefused(ValueError):
    """A CSV that is not taken. `code` is for programs, the message names the row and says what to do."""

    code = "csv_refused"


def decode(content: bytes) -> str:
    """Return the text of a CSV in UTF-8, with or without BOM.

    Raises:
        LabelListRefused: it is not UTF-8, or holds a NUL or a lone carriage return.
    """
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


def numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number, fields) of every row that is not empty.

    Raises:
        LabelListRefused: a row cannot be read, or there are too many of them.
    """
    number, marks = 0, [0]
    reader = csv.reader(_bounded_lines(text, marks), delimiter=_find_delimiter(text), strict=True)
    try:
        for number, fields in enumerate(reader, 1):
            marks[0] = 0
            if number > MAX_ROWS + 1:
                raise LabelListRefused(f"The CSV has more than {MAX_ROWS:,} rows. Split it into several.")
            if fields:
                yield number, fields
    except csv.Error as error:
        message = f"Row {number + 1} cannot be read ({error}). Check its quotes and commas."
        raise LabelListRefused(message) from None


def _find_delimiter(text: str) -> str:
    heading = text.partition("\n")[0]
    return next((mark for mark in ",;\t" if mark in heading), ",")


def _bounded_lines(text: str, marks: list[int]) -> Iterator[str]:
    """Refuse a row of endless columns before the csv module makes an object of each field.

    `marks` counts what may part columns in the row that is read, which may have several lines; whoever gets
    the row sets it to 0.
    """
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        marks[0] += sum(line.count(mark) for mark in ",;\t")
        if marks[0] > MAX_COLUMNS:
            raise LabelListRefused(f"Row {number} has more than {MAX_COLUMNS:,} columns. Take some out.")
        yield line
