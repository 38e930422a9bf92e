"""What was found in a dataset by looking through it (jobs/examining.py), kept in a file that is made anew."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from utils import write_atomically

FILES_KEPT = 16


@dataclass(frozen=True)
class Findings:
    """Labels are named by their ids and items by theirs, since names change.

    Attributes:
        examined_at: ISO moment. stamp: of the dataset as it was; another one says that this is old.
        task: as it was. items: how many were looked at. learnt: of how many the curve tells, 0 without one.
        is_sampled: whether the curve is told from some of the images only.
        curve: sizes, scores, intervals, doubled (score, low, high; None of a sample), law (asymptote, factor,
            exponent); None where there is too little.
        gains: for each label {label, count, gain, interval, stands_out}, the largest gain first.
        pairs: {first, second, cosine, bits} of items that look alike across labels (these first) or splits;
            bits of their fingerprints, None where one has none.
        found_pairs: how many there were before the list was cut.
        telltales: {label, number, accuracy, interval, own, others}.
    """

    examined_at: str
    stamp: str
    task: str
    items: int
    learnt: int
    is_sampled: bool
    curve: dict[str, Any] | None
    gains: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    found_pairs: int
    telltales: list[dict[str, Any]]


def write(folder: Path, dataset_id: int, findings: Findings) -> None:
    """Keep the findings of a dataset, in place of older ones."""
    write_atomically(path_of(folder, dataset_id), json.dumps(asdict(findings)) + "\n")


def read(folder: Path, dataset_id: int) -> Findings | None:
    """Return what was found; None where nobody has looked, or the file is damaged or an older one."""
    path = path_of(folder, dataset_id)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError):
        return None


def path_of(folder: Path, dataset_id: int) -> Path:
    """Where a dataset's findings lie in the instance's folder of findings."""
    return folder / f"{dataset_id}.json"


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, changed: int) -> Findings:
    """`changed`, the file's time, is part of the key: a file written anew is read anew."""
    return Findings(**json.loads(path.read_text(encoding="utf-8")))
