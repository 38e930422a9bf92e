"""The queues of a version's mistakes, and cells of its matrix: in words, and as addresses say them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import abort, request

from models import Version
from serving import evaluations
from serving.mistakes import Cell
from web.inputs import read_number
from web.mistakes import Queue, Workspace

DECIDED = {"found": "found", "missed": "missed", "wrongly": "wrongly said"}
TITLES = {
    "suspects": "Labels that may be wrong",
    "wrong": "Most wrong",
    "unsure": "Least sure",
    "cell": "Confusions",
    "alike": "Look-alikes",
}

# What a queue holds, and what it means that it holds nothing
WORDS = {
    "suspects": (
        "Their own label is less likely than is usual for it, and another is as likely as is usual for that. "
        "The likeliest errors come first.",
        "No label looks wrong.",
    ),
    "wrong": (
        "Each was judged as if never seen before. Where the version is surest and wrong, look at the label.",
        "Everything was judged right.",
    ),
    "unsure": ("The version could hardly decide. The least sure come first.", "It is sure of every image."),
    "alike": (
        "They look alike but bear different labels, so that one of them is probably wrong, or stand in "
        "different splits, so that figures may look better than they are. Relabel, or remove one.",
        "No two images that look alike differ in labels or splits, as far as anybody has looked.",
    ),
    "cell": (
        "One kind of mistake at a time, the most frequent first.",
        "Nothing was taken for anything else.",
    ),
}


def read(place: Workspace) -> Cell:
    """Return the cell that the address names, by the places of labels in the version; an empty one if none.

    Aborts with 404 where the version has no such label.
    """
    true, predicted, label = (_label_place(place.version, name) for name in ("true", "predicted", "label"))
    decision = request.args.get("decision")
    if place.evaluation.has_several:
        is_one = label is not None and decision in evaluations.DECISIONS
        return Cell(label=label, decision=decision) if is_one else Cell()
    return Cell(true=true, predicted=predicted) if true is not None and predicted is not None else Cell()


def _label_place(version: Version, argument: str) -> int | None:
    place = read_number(argument)
    if place is not None and place >= len(version.labels):
        abort(404)
    return place


def as_query(cell: Cell) -> dict[str, Any]:
    """Return what an address says of a cell."""
    return {name: value for name, value in asdict(cell).items() if value is not None}


def title(version: Version, queue: Queue) -> str:
    """Return what a queue is called."""
    return TITLES[queue.name] if queue.cell == Cell() else title_of(version, queue.cell)


def title_of(version: Version, cell: Cell) -> str:
    """Return what a cell is called, such as “glass” taken for “paper”."""
    if cell.label is not None:
        return f"“{version.labels[cell.label]}”, {DECIDED[cell.decision]}"
    true, predicted = version.labels[cell.true], version.labels[cell.predicted]
    return f"“{true}”, recognised" if true == predicted else f"“{true}” taken for “{predicted}”"
