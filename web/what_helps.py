"""What would help a dataset most: more images of which label, and what is to be put right in those it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs import examining
from learning.gains import MORE
from models import Dataset, Job
from serving.findings import Findings
from web import found, work
from web.formats import count
from web.found import Odd, Pair
from web.readiness import FEW, IMBALANCE, NAMED, count_labels

PHASES = {
    "embedding": "Getting to know the images",
    "comparing": "Looking for images that look alike",
    "learning": "Learning from fewer images",
    "gains": "Taking images of each label away",
    "measuring": "Measuring brightness and size",
}


@dataclass(frozen=True)
class GainLine:
    """What MORE images of a label would add, in percentage points of all answers."""

    name: str
    count: int
    points: float
    low: float
    high: float
    stands_out: bool


@dataclass(frozen=True)
class Advice:
    """All that there is to say.

    Attributes:
        findings: what was found last, None where nobody has looked.
        examined_at: when that was. is_stale: whether images or labels have changed since.
        headline: what would help most, in a sentence; None where that is not known.
        odds: what speaks against the figures. gains: by label, the largest first. pairs: what looks alike.
    """

    findings: Findings | None
    examined_at: datetime | None
    is_stale: bool
    headline: str | None
    odds: list[Odd]
    gains: list[GainLine]
    pairs: list[Pair]

    @property
    def score_name(self) -> str:
        """What the curve and the gains are of."""
        several = self.findings is not None and self.findings.task == "multi-label"
        return "micro F1" if several else "accuracy"

    @property
    def score_title(self) -> str:
        """The same at the beginning of a line (`capitalize` would make a small f of it)."""
        return self.score_name[0].upper() + self.score_name[1:]


def of(dataset: Dataset) -> Advice:
    """Read what was found of the dataset, and say it of what it holds today."""
    findings = examining.find(dataset)
    odds = list(_odd_counts(dataset))
    if findings is None:
        return Advice(None, None, False, None, odds, [], [])
    pairs, gains = found.pairs_of(dataset, findings), _gains(dataset, findings)
    return Advice(
        findings=findings,
        examined_at=datetime.fromisoformat(findings.examined_at),
        is_stale=findings.stamp != examining.make_stamp(dataset),
        headline=_headline(gains),
        odds=[*found.say_pairs(pairs), *found.telltales(dataset, findings), *odds],
        gains=gains,
        pairs=pairs,
    )


def _odd_counts(dataset: Dataset) -> Iterator[Odd]:
    counts = count_labels(dataset)
    used = {name: number for name, number in counts.items() if number}
    if used and max(used.values()) >= IMBALANCE * min(used.values()):
        most, least = max(used, key=used.get), min(used, key=used.get)
        words = f"“{most}” has {used[most]:,} images and “{least}” only {used[least]:,}"
        yield Odd("imbalance", f"{words}: rare labels will be found less often.", (most, least))
    if few := sorted((name for name, number in counts.items() if number < FEW), key=counts.get):
        words = f"{count(len(few), 'label has', 'labels have')} fewer than {FEW} images"
        more = "" if len(few) <= NAMED else f", the first {NAMED} of them named here"
        yield Odd("few", f"{words}{more}. More of them make the figures surer.", tuple(few[:NAMED]))


def _gains(dataset: Dataset, findings: Findings) -> list[GainLine]:
    names = {label.id: label.name for label in dataset.labels}
    return [
        GainLine(
            names[gain["label"]],
            gain["count"],
            100 * gain["gain"],
            *(100 * end for end in gain["interval"]),
            gain["stands_out"],
        )
        for gain in findings.gains
        if gain["label"] in names
    ]


def _headline(gains: list[GainLine]) -> str | None:
    """Say whose images would help most, or that nobody can tell."""
    if not gains:
        return None
    if out := [gain for gain in gains if gain.stands_out]:
        names = " or ".join(f"“{gain.name}”" for gain in out[:3])
        return f"{MORE} more images of {names} would help most."
    return "No label stands out: more images of any would help about as much, as far as these can tell."


def describe_job(dataset: Dataset) -> dict[str, Any]:
    """How far the looking is, in words, for the page to follow."""
    job = examining.latest_job(dataset)
    facts = work.describe(job)
    return facts | {"words": _words(job, facts["words"])}


def _words(job: Job | None, words: str) -> str:
    return PHASES.get(job.phase, words) if job is not None and job.state == "running" else words
