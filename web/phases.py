"""The phases of a run as a list for a page: what is done, what is going on, what is to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from web.work import as_duration
from web.work import percent as share

PHASES = {
    "starting": "Starting the trainer",
    "checking": "Checking what was given",
    "loading": "Loading the network",
    "reading": "Reading the images",
    "embedding": "Getting to know the images",
    "solving": "Learning what tells the labels apart",
    "finding": "Finding how fast to learn",
    "training": "Teaching the network, epoch by epoch",
    "evaluating": "Checking itself on images it did not learn from",
    "packaging": "Packing the version",
    "exporting": "Making the files to take away, and proving them",
}
# What a recipe always goes through; every other phase is shown once it has begun.
ALWAYS = {
    "quick": {"embedding", "solving", "evaluating", "packaging", "exporting"},
    "fine-tune": {"embedding", "solving", "training", "evaluating", "packaging", "exporting"},
    "custom": {"checking", "training", "evaluating", "packaging", "exporting"},
    "uploaded": {"loading", "evaluating", "packaging", "exporting"},
}


def of(
    events: list[dict[str, Any]],
    job: dict[str, Any],
    recipe: str = "quick",
    settings: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return name, words, state (done, current, stopped or waiting) and detail of every phase.

    Args:
        events: progress.jsonl's lines, oldest first: time (seconds), phase, done, total.
        job: the run's job as `work.describe` says it.
        recipe, settings: the run's.
    """
    always = ALWAYS.get(recipe, set())
    if (settings or {}).get("learning_rate") == "auto":
        always = always | {"finding"}
    if not events and job["state"] == "running":
        always = always | {"starting"}
    latest = {event["phase"]: event for event in events if event.get("phase") in PHASES}
    shown = [name for name in PHASES if name in latest or name in always]
    now_at = _current(events, shown)
    return [
        {
            "name": name,
            "words": PHASES[name],
            "state": _state(place, now_at, job),
            "detail": _detail(events, name, latest.get(name)),
        }
        for place, name in enumerate(shown)
    ]


def percent(events: list[dict[str, Any]]) -> int | None:
    """How much of the phase that goes on is done, 0 to 100; None where it does not say."""
    last = events[-1] if events else {}
    of_this = share(last.get("done"), last.get("total"))
    if not last.get("epochs") or "epoch" not in last:
        return of_this
    return min(100, int((100 * (last["epoch"] - 1) + (of_this or 0)) / last["epochs"]))


def _current(events: list[dict[str, Any]], shown: list[str]) -> int:
    """The place of the phase that goes on; -1 before the first, past the end after `done`."""
    name = events[-1].get("phase") if events else "starting"
    if name == "done":
        return len(shown)
    return shown.index(name) if name in shown else -1


def _state(place: int, now_at: int, job: dict[str, Any]) -> str:
    if place < now_at or job["state"] == "finished":
        return "done"
    if place > now_at or job["state"] == "queued":
        return "waiting"
    return "stopped" if job["is_over"] else "current"


def _detail(events: list[dict[str, Any]], name: str, event: dict[str, Any] | None) -> str:
    """How far the phase is, and how long it took, the last time of all, once the next one began."""
    if event is None:
        return ""
    if event is events[-1]:
        return ", ".join(_so_far(event))
    first = last = max(place for place, one in enumerate(events) if one.get("phase") == name)
    while first > 0 and events[first - 1].get("phase") == name:
        first -= 1
    return as_duration(events[last + 1]["time"] - events[first]["time"])


def _so_far(event: dict[str, Any]) -> Iterator[str]:
    if event.get("epochs") and "epoch" in event:
        yield f"epoch {event['epoch']} of {event['epochs']}"
    if event.get("total") and "done" in event:
        yield f"{event['done']:,} of {event['total']:,}"
