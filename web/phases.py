"""The phases of a run as a list for a page: what is done, what is going on, what is to come."""

from __future__ import annotations

from typing import Any

from web.work import as_duration
from web.work import percent as share

PHASES = {
    "embedding": "Getting to know the images",
    "solving": "Learning what tells the labels apart",
    "evaluating": "Checking itself on images it did not learn from",
    "packaging": "Packing the version",
    "exporting": "Making the files to take away, and proving them",
}


def of(events: list[dict[str, Any]], job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return name, words, state (done, current, stopped or waiting) and detail of every phase.

    Args:
        events: progress.jsonl's lines, oldest first: time (seconds), phase, done, total.
        job: the run's job as `work.describe` says it.
    """
    latest = {event["phase"]: event for event in events if event.get("phase") in PHASES}
    now_at = _current(events)
    return [
        {
            "name": name,
            "words": words,
            "state": _state(place, now_at, job),
            "detail": _detail(events, name, latest.get(name)),
        }
        for place, (name, words) in enumerate(PHASES.items())
    ]


def percent(events: list[dict[str, Any]]) -> int | None:
    """How much of the phase that goes on is done, 0 to 100; None where it does not say."""
    return share(events[-1].get("done"), events[-1].get("total")) if events else None


def _current(events: list[dict[str, Any]]) -> int:
    """The place of the phase that goes on; -1 before the first, past the end after `done`."""
    name = events[-1].get("phase") if events else None
    if name == "done":
        return len(PHASES)
    return list(PHASES).index(name) if name in PHASES else -1


def _state(place: int, now_at: int, job: dict[str, Any]) -> str:
    if place < now_at or job["state"] == "finished":
        return "done"
    if place > now_at:
        return "waiting"
    return "stopped" if job["is_over"] else "current"


def _detail(events: list[dict[str, Any]], name: str, event: dict[str, Any] | None) -> str:
    """How far the phase is, and how long it took once the next one began."""
    if event is None:
        return ""
    if event is events[-1]:
        return f"{event['done']:,} of {event['total']:,}" if event.get("total") and "done" in event else ""
    times = [one["time"] for one in events if one.get("phase") == name]
    ended = next(one["time"] for one in events if one["time"] >= times[-1] and one.get("phase") != name)
    return as_duration(ended - times[0])
