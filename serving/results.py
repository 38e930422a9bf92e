"""The answers of a batch: lines of JSON that are whole after any kill, read as CSV and as JSON lines.

A worker writes into a file of its own, named by the fence of its claim, which it begins with the whole lines
of the one before: what a worker taken for dead still writes, nobody reads. The first line says what answered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from serving.files import FileAnswer
from serving.tables import Layout, as_line
from utils import open_atomically

DECIMALS = 6  # of a probability
_REFUSAL = b'{"error":'  # how the line of a file begins that was refused


@dataclass
class Results:
    """An open file of answers: how many it holds, and how many of those are refusals."""

    head: dict[str, Any]
    file: IO[bytes]
    done: int = 0
    refused: int = 0

    def add(self, answer: FileAnswer) -> None:
        """Write one answer."""
        self.file.write(_as_line(self.head["labels"], answer))
        self.done += 1
        self.refused += answer.refusal is not None

    def sync(self) -> None:
        """See that every answer is on the disk itself."""
        self.file.flush()
        os.fsync(self.file.fileno())


def find(folder: Path) -> Path | None:
    """Return the newest file of answers in a batch's folder, None where there is none yet."""
    found = [path for path in folder.glob("*.jsonl") if path.stem.isdigit()]
    return max(found, key=lambda path: int(path.stem), default=None)


@contextmanager
def go_on(
    folder: Path, fence: int, dataset: str, version: int, labels: list[str], threshold_mark: str = ""
) -> Iterator[Results]:
    """Open this worker's file of answers, with all that an earlier one wrote.

    Nothing is taken over from another version, nor of thresholds that have been changed since.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marked = {"thresholds": threshold_mark} if threshold_mark else {}
    head = {"dataset": dataset, "version": version, "labels": labels, **marked}
    before, path = find(folder), folder / f"{fence}.jsonl"
    done = refused = 0
    with open_atomically(path) as file:
        file.write(_dump(head))
        for line in _kept_lines(before, head) if before else ():
            file.write(line)
            done, refused = done + 1, refused + line.startswith(_REFUSAL)
    for other in folder.glob("*.jsonl"):
        if other != path:
            other.unlink(missing_ok=True)
    with path.open("ab") as file:
        yield Results(head, file, done, refused)


def _kept_lines(path: Path, head: dict[str, Any]) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.readline() == _dump(head):
            yield from (line for line in file if line.endswith(b"\n"))


def read(path: Path) -> tuple[dict[str, Any], Iterator[FileAnswer]]:
    """Return the head of a file of answers, and its answers as they are read."""
    with path.open("rb") as file:
        head = json.loads(file.readline())
    return head, _read_answers(path, head["labels"])


def _read_answers(path: Path, labels: list[str]) -> Iterator[FileAnswer]:
    with path.open("rb") as file:
        file.readline()
        for line in file:
            if line.endswith(b"\n"):  # the last one may be at work
                yield _from_line(labels, json.loads(line))


def as_csv(path: Path) -> Iterator[str]:
    """Yield the answers as the lines of a CSV (serving/tables.py says which columns)."""
    head, answers = read(path)
    layout = Layout(f"{head['dataset']} {head['version']}", tuple(head["labels"]))
    yield as_line(layout.heading())
    yield from (as_line(layout.row(answer)) for answer in answers)


def as_json_lines(path: Path) -> Iterator[str]:
    """Yield the answers as lines of JSON."""
    _, answers = read(path)
    yield from (f"{json.dumps(answer.as_json(), ensure_ascii=False)}\n" for answer in answers)


def _as_line(labels: list[str], answer: FileAnswer) -> bytes:
    if answer.refusal:
        return _dump({"error": answer.refusal, "file": answer.name})
    known = dict(answer.pairs)
    figures = [round(known[label], DECIMALS) for label in labels]
    facts = {"labels": answer.labels, "rejected": answer.rejected, "reason": answer.reason}
    return _dump({"file": answer.name, **facts, "probabilities": figures})


def _from_line(labels: list[str], found: dict[str, Any]) -> FileAnswer:
    if "error" in found:
        return FileAnswer(found["file"], refusal=found["error"])
    pairs = sorted(zip(labels, found["probabilities"], strict=True), key=lambda pair: -pair[1])
    said = {"rejected": found["rejected"], "reason": found["reason"]}
    return FileAnswer(found["file"], tuple(found["labels"]), tuple(pairs), **said)


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
