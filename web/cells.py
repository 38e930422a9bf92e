"""The queues of a version's mistakes, and cells of its matrix: in words, and as addresses say them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import abort, request, url_for

from datasets import renaming
from models import Dataset, Version
from serving import called_wrong, evaluations
from serving.mistakes import Cell
from web.access import can
from web.inputs import read_number
from web.mistakes import QUEUES, Queue, Workspace, workspace_or_none

DECIDED = {"found": "found", "missed": "missed", "wrongly": "wrongly said"}
TITLES = {
    "suspects": "Labels that may be wrong",
    "wrong": "Most wrong",
    "unsure": "Least sure",
    "cell": "Confusions",
    "alike": "Look-alikes",
    "called": "Called wrong",
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


def title(place: Workspace, queue: Queue) -> str:
    """Return what a queue is called."""
    return TITLES[queue.name] if queue.cell == Cell() else title_of(place, queue.cell)


def title_of(place: Workspace, cell: Cell) -> str:
    """Return what a cell is called, such as “glass” taken for “paper”."""
    labels = renaming.rename(place.evaluation.labels, place.today)
    if cell.label is not None:
        return f"“{labels[cell.label]}”, {DECIDED[cell.decision]}"
    true, predicted = labels[cell.true], labels[cell.predicted]
    return f"“{true}”, recognised" if true == predicted else f"“{true}” taken for “{predicted}”"


def list_queues(dataset: Dataset, version: Version, here: str, place: Workspace | None = None) -> list[dict]:
    """Return every queue with how much of it is left: name, title, left, url, is_here; for a page to show.

    The confusions have no number of their own. What people called wrong is for editors.
    """
    left = _left(place or workspace_or_none(dataset, version))
    where = {"slug": dataset.slug, "number": version.number}
    urls = {name: url_for("mistakes.show", **where, queue=name) for name in left}
    if can(dataset, "editor"):
        left["called"], urls["called"] = called_wrong.count(dataset).left, url_for("called.show", **where)
    return [
        {"title": TITLES[name], "left": number, "url": urls[name], "is_here": name == here}
        for name, number in left.items()
    ]


def _left(place: Workspace | None) -> dict[str, int | None]:
    if place is None:
        return {}
    opened = [place.open(name) for name in QUEUES if name != "cell"]
    return {one.name: one.total - one.done for one in opened} | {"cell": None}
