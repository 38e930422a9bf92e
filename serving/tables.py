"""Answers as a CSV that is filled row by row, survives kill -9, and is gone on with by the same call."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from serving.files import FileAnswer, make_safe
from utils import lock_file

COLUMNS = ("file", "label", "probability", "rejected", "reason", "error", "version")
NAME, ERROR, VERSION = (COLUMNS.index(name) for name in ("file", "error", "version"))
BATCH = 100  # rows between two syncs: what losing the power, not kill -9, can cost
DECIMALS = 6  # of a probability


class TableRefused(ValueError):
    """A file that cannot be gone on with; the message says why, and what to do."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table: COLUMNS, then a column a label, or the `top` likeliest with their names."""

    version: str
    labels: tuple[str, ...]
    top: int | None = None

    def heading(self) -> list[str]:
        """The names of all columns; a label that is named as one of COLUMNS is told apart."""
        if self.top:
            places = range(1, min(self.top, len(self.labels)) + 1)
            return [*COLUMNS, *(f"{what}_{place}" for place in places for what in ("label", "probability"))]
        names = (f"{label} (label)" if label in COLUMNS else label for label in self.labels)
        return [*COLUMNS, *map(make_safe, names)]

    def row(self, answer: FileAnswer) -> list[str]:
        """The cells of one answer; several labels stand in one cell with | between them."""
        label = "" if answer.rejected else "|".join(answer.labels)
        texts = (answer.name, label, _first(answer), str(answer.rejected).lower(), answer.reason or "")
        cells = [*map(make_safe, texts), make_safe(answer.refusal or ""), make_safe(self.version)]
        return cells + self._figures(answer)

    def _figures(self, answer: FileAnswer) -> list[str]:
        if self.top:
            count = min(self.top, len(self.labels))
            pairs = [cell for label, p in answer.pairs[:count] for cell in (make_safe(label), _figure(p))]
            return pairs or [""] * (2 * count)
        known = dict(answer.pairs)
        return [_figure(known[label]) if label in known else "" for label in self.labels]


def _first(answer: FileAnswer) -> str:
    """The probability of the first label that is said, if one is."""
    return _figure(dict(answer.pairs)[answer.labels[0]]) if answer.labels and not answer.rejected else ""


def _figure(probability: float) -> str:
    return str(round(probability, DECIMALS))


def as_line(cells: list[str]) -> str:
    """One line of a CSV."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


@dataclass
class Table:
    """An open table: which files it has answers of, and how many of those are refusals."""

    layout: Layout
    file: IO[bytes]
    done: set[str] = field(default_factory=set)  # cells of the column of files
    refused: int = 0
    unsynced: int = 0

    def has(self, name: str) -> bool:
        """Whether there is a row of this file already."""
        return make_safe(name) in self.done

    def add(self, answer: FileAnswer) -> None:
        """Write one row, to the disk itself every BATCH rows."""
        self.file.write(as_line(self.layout.row(answer)).encode())
        self.done.add(make_safe(answer.name))
        self.refused += answer.refusal is not None
        self.unsynced += 1
        if self.unsynced >= BATCH:
            self.sync()

    def sync(self) -> None:
        """See that every row is on the disk itself."""
        os.fsync(self.file.fileno())
        self.unsynced = 0


@contextmanager
def open_table(path: Path, layout: Layout, is_fresh: bool = False) -> Iterator[Table]:
    """Open a table to go on with it, or begin it; a last line that was cut off is taken away.

    Args:
        is_fresh: begin anew, whatever the file holds.

    Raises:
        TableRefused: the file is no such table, holds rows of another version or has other labels, or another
            call is writing to it. Nothing of it was changed.
    """
    try:
        with _only_writer(path), path.open("r+b", buffering=0) as file:
            table = Table(layout, file)
            _go_on(table, path, is_fresh)
            try:
                yield table
            finally:
                table.sync()
    except BlockingIOError:
        raise TableRefused(f"{path} is being written by another call. Wait for its end.") from None
    except OSError as error:
        raise TableRefused(f"{path} cannot be written ({error.strerror}).") from error


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Hold the file, made if missing. On Windows a lock would keep ourselves from writing."""
    path.touch()
    with lock_file(path, wait=False) if os.name != "nt" else nullcontext():
        yield


def _go_on(table: Table, path: Path, is_fresh: bool) -> None:
    if is_fresh:
        table.file.truncate(0)
    with path.open("rb") as reading:
        end = _read_rows(table, path, reading)
    table.file.truncate(end)
    table.file.seek(end)
    if not end:
        table.file.write(as_line(table.layout.heading()).encode())


def _read_rows(table: Table, path: Path, file: IO[bytes]) -> int:
    """Note every whole row; return where the last one ends (0 where there is not even a heading)."""
    end, heading = 0, table.layout.heading()
    for cells, row_end in _whole_rows(path, file):
        if not end:
            _check_heading(path, cells, heading)
        else:
            _check_row(path, cells, table.layout)
            table.done.add(cells[NAME])
            table.refused += bool(cells[ERROR])
        end = row_end
    if not end:
        _check_begun(path, as_line(heading).encode())
    return end


def _check_begun(path: Path, heading: bytes) -> None:
    """See that a file without one whole row is empty, or a heading of ours that was cut off."""
    with path.open("rb") as file:
        if not heading.startswith(file.read(len(heading))):
            raise _not_ours(path)


def _whole_rows(path: Path, file: IO[bytes]) -> Iterator[tuple[list[str], int]]:
    """Yield every row that was written to its end, and the position in bytes behind it."""
    position = [0]
    reader = csv.reader(_whole_lines(file, position), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError:
            raise _not_ours(path) from None
        except csv.Error as error:
            if "unexpected end" in str(error):  # cut off within a cell of several lines
                return
            raise _not_ours(path) from None
        yield cells, position[0]


def _whole_lines(file: IO[bytes], position: list[int]) -> Iterator[str]:
    for line in file:
        if not line.endswith(b"\n"):
            return
        position[0] += len(line)
        yield line.decode()


def _check_heading(path: Path, cells: list[str], heading: list[str]) -> None:
    if cells == heading:
        return
    if tuple(cells[: len(COLUMNS)]) != COLUMNS:
        raise _not_ours(path)
    advice = "Name another file, or begin anew with --fresh."
    raise TableRefused(f"{path} has columns of other labels, or of another --top. {advice}")


def _check_row(path: Path, cells: list[str], layout: Layout) -> None:
    if len(cells) != len(layout.heading()):
        raise _not_ours(path)
    if cells[VERSION] != make_safe(layout.version):
        advice = f"This is {layout.version}. Name another file, or begin anew with --fresh."
        raise TableRefused(f"{path} holds answers of {cells[VERSION]}. {advice}")


def _not_ours(path: Path) -> TableRefused:
    return TableRefused(f"{path} is no table of answers. Name another file, or write over it with --fresh.")
