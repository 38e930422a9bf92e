"""What is said of one file: as an object of JSON, as a line for a person, as cells of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from learning.package import UNCERTAIN, UNKNOWN, Decision

Pairs = tuple[tuple[str, float], ...]  # (label, probability), highest first
PERHAPS = 2  # labels told of an answer that is rejected
REJECTED = {UNCERTAIN: "not sure", UNKNOWN: "like nothing that was taught"}
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

    @classmethod
    def of(cls, name: str, decision: Decision) -> FileAnswer:
        """What was decided of the file of that name."""
        return cls(name, decision.labels, decision.pairs, None, decision.rejected, decision.reason)

    def as_json(self, top: int | None = None) -> dict:
        """The answer as one JSON object, with the `top` likeliest labels only where that is given."""
        if self.refusal:
            return {"file": self.name, "error": self.refusal}
        return {
            "file": self.name,
            "label": self.labels[0] if self.labels else None,
            "labels": list(self.labels),
            "rejected": self.rejected,
            "reason": self.reason,
            "probabilities": [{"label": label, "probability": p} for label, p in self.pairs[:top]],
        }

    def as_line(self, top: int | None = None) -> str:
        """The answer as a line for a person: the labels that are said, or the `top` likeliest."""
        if self.refusal:
            return f"{self.name}: {self.refusal}"
        if self.rejected:
            return f"{self.name}: {REJECTED[self.reason]}, perhaps {_in_words(self.pairs[: top or PERHAPS])}"
        known = dict(self.pairs)
        pairs = self.pairs[:top] if top else [(label, known[label]) for label in self.labels]
        return f"{self.name}: {_in_words(pairs) or 'none of the labels'}"


def _in_words(pairs: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{label} {100 * p:.1f} %" for label, p in pairs)


def make_safe(cell: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula: with a ' before it where it might be.

    No two texts give the same cell, so that a table can be read back.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell
