"""Whether a new version may go live by itself: where it is not worse than the live one on the same items."""

from __future__ import annotations

from typing import Any

from jobs import live
from models import Dataset, Version
from serving import pairing

FIRST = "Version {new} went live: there was no other."
INSTEAD = "Version {new} went live: the files of version {old} are faulty, and it answers no more."
CANDIDATE = "Version {new} did not go live"
PROMOTED = "Version {new} went live"
NOTHING_SHARED = "it and version {old} have judged no image with the same labels, so they can't be compared"
ASKED_FOR = "in this dataset somebody has to say so"


def settle(dataset: Dataset, version: Version, now_live: Version | None) -> None:
    """Let a new version go live where it may, and write down on it whether and why. No commit.

    To be called once, when the version is made: what a person decides afterwards stands.

    The first version goes live. A later one does where it is right on at least as many of the test items that
    both were tested on with the same labels; where there are none, of the items that both judged without
    having learnt from them.
    """
    version.promotion = judge(dataset, version, now_live)
    if version.promotion["went_live"]:
        live.make_live(dataset, version, why=version.promotion["sentence"])


def judge(dataset: Dataset, version: Version, now_live: Version | None) -> dict[str, Any]:
    """Return whether a version may go live by itself, as Version.promotion has it.

    `went_live`; `sentence`, for a person; and where it was compared: `compared_with` (a number), `items`
    (how many), `by` (test or out-of-sample), `right` and `compared_right` (on how many the new one and the
    other are right).
    """
    if now_live is None:
        return {"went_live": True, "sentence": FIRST.format(new=version.number)}
    if now_live.fault and dataset.is_promoting:
        return {"went_live": True, "sentence": INSTEAD.format(new=version.number, old=now_live.number)}
    pair = pairing.pair_best(now_live, version)
    figures = _figures(pair)
    is_better = bool(pair.found.items) and pair.found.lead >= 0
    return {
        "went_live": is_better and dataset.is_promoting,
        "sentence": _say(pair, figures, dataset.is_promoting),
        **figures,
    }


def _figures(pair: pairing.Pair) -> dict[str, Any]:
    found = pair.found
    return {
        "compared_with": pair.first.number,
        "items": found.items,
        "by": pair.by if found.items else None,
        "right": found.both + found.only_b,
        "compared_right": found.both + found.only_a,
    }


def _say(pair: pairing.Pair, figures: dict[str, Any], is_promoting: bool) -> str:
    numbers = {"new": pair.second.number, "old": pair.first.number}
    if not pair.found.items:
        return f"{CANDIDATE}: {NOTHING_SHARED}.".format(**numbers)
    went_live = is_promoting and pair.found.lead >= 0
    lead = (PROMOTED if went_live else CANDIDATE).format(**numbers)
    told = _say_right(pair, figures)
    if pair.found.lead >= 0 and not is_promoting:
        return f"{lead}: {ASKED_FOR}. It is {told}."
    return f"{lead}: {told}."


def _say_right(pair: pairing.Pair, figures: dict[str, Any]) -> str:
    unlearnt = "" if pair.by == pairing.TEST else " that neither had learnt from"
    mine, theirs = figures["right"], figures["compared_right"]
    same = f"version {pair.first.number} on {'as many' if mine == theirs else f'{theirs:,}'}"
    return f"right on {mine:,} of {pair.images}{unlearnt}, {same}"
