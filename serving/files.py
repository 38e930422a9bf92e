"""What is said of one file: as an object of JSON, as a line for a person, as cells of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

Pairs = tuple[tuple[str, float], ...]  # (label, probability), highest first
# What a spreadsheet takes for a formula, behind any number of marks that say it is none.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@dataclass(frozen=True)
class FileAnswer:
    """What was said of one file: the labels, and pairs of label and probability; or why it was refused."""

    name: str
    labels: tuple[str, ...] = ()
    pairs: Pairs = ()
    refusal: str | None = None
    rejected: bool = False
    reason: str | None = None

    def as_json(self, top: int | None = None) -> dict:
        """The answer as one JSON object, with the `top` likeliest labels only where that is given."""
        if self.refusal:
            return {"file": self.name, "error": self.refusal}
        return {
            "file": self.name,
            "label": self.labels[0] if self.labels and not self.rejected else None,
            "labels": list(self.labels),
            "rejected": self.rejected,
            "reason": self.reason,
            "probabilities": [{"label": label, "probability": p} for label, p in self.pairs[:top]],
        }

    def as_line(self, top: int | None = None) -> str:
        """The answer as a line for a person: the labels that are said, or the `top` likeliest."""
        if self.refusal:
            return f"{self.name}: {self.refusal}"
        known = dict(self.pairs)
        pairs = self.pairs[:top] if top else [(label, known[label]) for label in self.labels]
        words = [f"{label} {100 * p:.1f} %" for label, p in pairs]
        return f"{self.name}: {', '.join(words) or 'none of the labels'}"


def make_safe(cell: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula: with a ' before it where it might be.

    No two texts give the same cell, so that a table can be read back.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell
