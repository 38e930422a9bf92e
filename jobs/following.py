"""A run's progress as a page follows it: read once, then only what is new, and only what is shown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import runs

MOST_RUNS = 64  # remembered by one process; any other is read from the beginning
PLAIN = {"time", "phase", "done", "total", "epoch", "epochs"}  # an event of no more than these is a step


@dataclass
class Followed:
    """What was read of one progress.jsonl, up to byte `read_to`."""

    read_to: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)


_followed: OrderedDict[Path, Followed] = OrderedDict()
_lock = threading.Lock()


def follow(folder: Path) -> list[dict[str, Any]]:
    """Return the run's events, oldest first; of a phase's or epoch's steps only the first and the newest."""
    path = Path(folder, "progress.jsonl")
    with _lock:
        known = _followed.pop(path, None) or Followed()
        if not path.exists() or path.stat().st_size < known.read_to:
            known = Followed()  # deleted, or another one restored
        new, known.read_to = runs.read_progress(folder, known.read_to)
        for event in new:
            _add(known.events, event)
        _followed[path] = known
        if len(_followed) > MOST_RUNS:
            _followed.popitem(last=False)
        return list(known.events)


def _add(events: list[dict[str, Any]], event: dict[str, Any]) -> None:
    is_one_more = len(events) > 1 and all(_is_step_of(event, one) for one in events[-2:])
    if is_one_more and event.keys() <= PLAIN:
        events[-1] = event
    else:
        events.append(event)


def _is_step_of(event: dict[str, Any], earlier: dict[str, Any]) -> bool:
    same = all(event.get(name) == earlier.get(name) for name in ("phase", "epoch"))
    return same and earlier.keys() <= PLAIN
