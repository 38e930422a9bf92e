"""The progress that is told inside a sandbox, handed on to the run's own as if its writer meant harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs import runs
from jobs.outcome import MIB, NotBelieved, is_number, read

MOST_PROGRESS = 32 * MIB  # bytes of progress.jsonl that are handed on, and of one look
MOST_LINE = 16 * 1024
# What is told inside and handed on; that all is done only the keeper says, once it believes it.
PHASES = (
    *("preparing", "checking", "loading", "reading", "embedding", "finding", "training", "evaluating"),
    *("packaging", "exporting"),
)
NUMBERS = (
    *("done", "total", "epoch", "epochs", "seconds", "left_seconds", "rate", "loss", "suggested"),
    *("accuracy",),
)
METRICS = (*("loss", "accuracy", "micro_f1", "val_loss", "val_accuracy", "val_micro_f1", "learning_rate"),)


class Relay:
    """Hands the progress that is told inside on to the run's own progress, an event at a time."""

    def __init__(self, folder: Path, inside: Path):
        self.folder, self.path = folder, inside / "progress.jsonl"
        self.at = 0

    def hand_on(self) -> None:
        """Hand on what is new; what is no event of ours is passed over."""
        try:
            new = read(self.path, MIB, self.at) if self.at < MOST_PROGRESS else None
        except NotBelieved:
            return
        whole = (new or b"")[: (new or b"").rfind(b"\n") + 1]
        self.at += len(whole) or (MIB if len(new or b"") == MIB else 0)
        for line in whole.splitlines():
            if len(line) <= MOST_LINE and (event := _as_event(line)):
                runs.report(self.folder, **event)


def _as_event(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("phase") not in PHASES:
        return None
    event = {"phase": said["phase"]} | {name: said[name] for name in NUMBERS if is_number(said.get(name))}
    metrics = said.get("metrics")
    if isinstance(metrics, dict):
        event["metrics"] = {name: metrics[name] for name in METRICS if is_number(metrics.get(name))}
    return event
