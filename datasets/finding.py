"""The image files that a command line means: files, folders that are walked, and CSVs that list paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from datasets.csv_rows import LabelListRefused, decode, numbered_rows
from datasets.label_lists import find_column, guess_file_column
from utils import is_allowed_file


def find_images(paths: Iterable[Path], column: str = "") -> dict[str, Path]:
    """Return {name for showing: path} of every image meant, in order, each once.

    A folder gives every file in it whose name says that it is an image, sorted; a CSV every path of one
    column, as it stands there. Paths in a CSV begin at the CSV's own folder. They need not exist.

    Args:
        paths: images, folders and CSVs.
        column: the heading of a CSV's column of paths; "" finds one named so, else the first.

    Raises:
        LabelListRefused: a CSV that is none, or has no such column.
    """
    return {name: path for given in paths for name, path in _find(given, column)}


def _find(path: Path, column: str) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if is_allowed_file(file.name) and file.is_file())
        yield from ((_as_text(file), file) for file in found)
    elif path.suffix.lower() == ".csv":
        yield from ((name, path.parent / name) for name in _read_paths(path, column))
    else:
        yield _as_text(path), path


def _as_text(path: Path) -> str:
    """Return a path as text that can be written: what is not UTF-8 in it as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read_paths(path: Path, column: str) -> Iterator[str]:
    """Yield the column of paths; a list without a heading begins with an image's name."""
    try:
        rows = [[cell.strip() for cell in fields] for _, fields in numbered_rows(decode(path.read_bytes()))]
        if not rows:
            raise LabelListRefused("It is empty.")
        at = find_column(rows[0], column) if column else guess_file_column(rows[0])
    except LabelListRefused as refused:
        raise LabelListRefused(f"{path}: {refused}") from None
    has_heading = bool(column) or not is_allowed_file(rows[0][at])
    yield from (fields[at] for fields in rows[has_heading:] if at < len(fields) and fields[at])
