"""How sure each label's figures are: 95 % intervals (Wilson) of a version's precision and recall."""

from __future__ import annotations

from typing import Any

from learning.intervals import wilson_interval

Interval = tuple[float, float] | None


def with_intervals(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a block's rows of labels, each with `precision_interval` and `recall_interval`.

    They are told from counts, so that versions of any age have them: (low, high) of 0 to 1, or None where
    nothing was counted or nobody kept how often the label was said.
    """
    rows = block.get("labels")
    if not isinstance(rows, list):
        return []
    confusion = block.get("confusion")
    said = [sum(column) for column in zip(*confusion, strict=True)] if confusion else [None] * len(rows)
    return [_add(row, count) for row, count in zip(rows, said, strict=True)]


def _add(row: dict[str, Any], said: int | None) -> dict[str, Any]:
    right = round(row["recall"] * row["count"])
    if said is None and row["precision"] > 0:
        said = round(right / row["precision"])
    intervals = {
        "precision_interval": _interval(right, said),
        "recall_interval": _interval(right, row["count"]),
    }
    return row | intervals


def _interval(right: int, count: int | None) -> Interval:
    return wilson_interval(min(right, count), count) if count else None
