"""Looking through a dataset: images that look alike, what gives labels away, what more images would bring.

Worked on by the worker, from embeddings that are known already, in a lane of its own. What is found is a file
that can be made anew at any time (serving/findings.py).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from flask import current_app
from sqlalchemy import func, select

from datasets import duplicates
from jobs import embedding, queue, survey
from learning import backbones, curves, gains, inputs, lookalikes, telltales
from learning.embeddings import EmbeddingStore
from models import Change, Dataset, Item, Job, User, db, now
from serving import findings

LOOK_SECONDS = 0.5  # between two reports
MOST_PAIRS = 300  # kept: those across labels first, of these the most alike
# What is told of a dataset in which there is nothing to find
NOTHING = {"pairs": [], "found_pairs": 0, "learnt": 0, "is_sampled": False, "curve": None, "gains": []}
NOTHING |= {"telltales": []}


class Interrupted(Exception):
    """The worker is ending, or somebody asked for an end."""


def request_examination(dataset: Dataset, user: User | None = None) -> None:
    """See that the dataset is looked through, unless that is already waiting to be done.

    Raises:
        queue.TooManyWaiting: the user has too many waiting.
    """
    waiting = select(Job.id).where(Job.dataset_id == dataset.id, Job.kind == "examine", Job.state == "queued")
    if db.session.scalar(waiting.limit(1)) is None:
        queue.submit("examine", dataset, user)


def request_if_changed(dataset: Dataset) -> None:
    """The same, unless what was found last is still of these images and labels."""
    found = find(dataset)
    if found is None or found.stamp != make_stamp(dataset):
        request_examination(dataset)


def latest_job(dataset: Dataset) -> Job | None:
    """The dataset's newest job that looks through it."""
    query = select(Job).where(Job.dataset_id == dataset.id, Job.kind == "examine").order_by(Job.id.desc())
    return db.session.scalar(query.limit(1))


def find(dataset: Dataset) -> findings.Findings | None:
    """What was found of the dataset last."""
    return findings.read(current_app.config["PIGEONHOLE"].folder("findings"), dataset.id)


def make_stamp(dataset: Dataset) -> str:
    """A text that changes when images or labels do, told by three quick questions."""
    newest = db.session.scalar(select(func.max(Item.id)).where(Item.dataset_id == dataset.id))
    changes = select(func.count(Change.id), func.count(Change.undone_at)).where(
        Change.dataset_id == dataset.id
    )
    known = [dataset.task, dataset.counts, newest, *db.session.execute(changes).one()]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]


def examine(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do an examine job to its end.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    state, message = "finished", None
    try:
        _examine(claim, is_ending)
    except Interrupted:
        state = "cancelled"
    except embedding.BackboneMissing as error:
        state, message = "failed", str(error)
    if is_ending() and state == "cancelled":
        queue.put_back(claim)
    else:
        queue.settle(claim, state, message)
    db.session.commit()


def _examine(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    dataset = db.session.get(Dataset, claim.dataset_id)
    stamp, task, seen = make_stamp(dataset), dataset.task, survey.take(dataset)
    db.session.rollback()  # nothing below holds the database while it computes
    if not embedding.embed_images(claim, seen.images(), is_ending):
        raise Interrupted
    watch = _Watch(claim, is_ending)
    settings = current_app.config["PIGEONHOLE"]
    prepared = embedding.find_or_prepare(backbones.DEFAULT)
    store = EmbeddingStore(settings.folder("embeddings"), prepared.identifier)
    seen = seen.only(np.flatnonzero(np.isin(seen.hashes, store.missing(seen.hashes), invert=True)))
    with tempfile.TemporaryDirectory(dir=settings.folder("findings"), prefix=".at-work-") as place:
        told = _look(seen, store, task, Path(place, "laid-out"), watch)
    about = {"examined_at": now().isoformat(), "stamp": stamp, "task": task, "items": len(seen.ids)}
    findings.write(settings.folder("findings"), claim.dataset_id, findings.Findings(**about, **told))


def _look(
    seen: survey.Survey, store: EmbeddingStore, task: str, place: Path, watch: _Watch
) -> dict[str, Any]:
    """Return what `Findings` says of the images themselves."""
    told = dict(NOTHING)
    if not len(seen.ids):
        return told
    embeddings = inputs.stack(store, seen.hashes.tolist(), place)
    told |= _find_pairs(seen, embeddings, watch)
    learnt = seen.choose(curves.MOST_ITEMS, task)
    if _is_enough(seen.targets[learnt]):
        told |= _learn(seen, embeddings[learnt], learnt, task, watch)
    looked_at = seen.choose(survey.MOST_LOOKED_AT, task)
    return told | {"telltales": _find_telltales(seen.only(looked_at), watch)}


def _is_enough(targets: np.ndarray) -> bool:
    """Whether there is a curve to be told: items enough, and labels that part them."""
    counts = targets.sum(axis=0)
    return len(targets) >= curves.LEAST_ITEMS and bool(((counts >= 2) & (counts < len(targets))).any())


def _find_pairs(seen: survey.Survey, embeddings: np.ndarray, watch: _Watch) -> dict[str, Any]:
    tell = watch.on("comparing")
    pairs = lookalikes.find(embeddings, seen.fingerprints, duplicates.MAX_DISTANCE, tell)
    first, second = pairs.places.T
    is_other_label = (seen.targets[first] != seen.targets[second]).any(axis=1)
    wanted = np.flatnonzero(is_other_label | (seen.splits[first] != seen.splits[second]))
    wanted = wanted[np.argsort(~is_other_label[wanted], kind="stable")]
    bits = np.bitwise_count(seen.fingerprints[first] ^ seen.fingerprints[second])
    rows = [
        {
            "first": int(seen.ids[first[row]]),
            "second": int(seen.ids[second[row]]),
            "cosine": round(float(pairs.cosines[row]), 4),
            "bits": int(bits[row])
            if seen.fingerprints[first[row]] and seen.fingerprints[second[row]]
            else None,
        }
        for row in wanted[:MOST_PAIRS]
    ]
    return {"pairs": rows, "found_pairs": len(wanted)}


def _learn(
    seen: survey.Survey, embeddings: np.ndarray, learnt: np.ndarray, task: str, watch: _Watch
) -> dict[str, Any]:
    targets = seen.targets[learnt].astype(np.float64)
    curve = curves.measure(embeddings, targets, task, tell=watch.on("learning"))
    is_sampled = len(learnt) < seen.count_learnable(task)
    drawn = {
        "sizes": curve.sizes.tolist(),
        "scores": curve.scores.tolist(),
        "intervals": curve.intervals.tolist(),
        "doubled": None if is_sampled else list(curve.doubled),
        "law": [curve.asymptote, curve.factor, curve.exponent],
    }
    more = (
        [] if is_sampled else gains.measure(embeddings, targets, curve.exponent, task, tell=watch.on("gains"))
    )
    rows = [asdict(gain) | {"label": seen.label_ids[gain.label]} for gain in more]
    return {"learnt": len(learnt), "is_sampled": is_sampled, "curve": drawn, "gains": rows}


def _find_telltales(seen: survey.Survey, watch: _Watch) -> list[dict[str, Any]]:
    numbers = survey.measure(seen, watch.on("measuring"))
    found = telltales.find(numbers, seen.targets)
    return [asdict(telltale) | {"label": seen.label_ids[telltale.label]} for telltale in found]


class _Watch:
    """Tells the job how far it is and asks whether to go on, at most every half second."""

    def __init__(self, claim: queue.Claim, is_ending: Callable[[], bool]):
        self.claim = claim
        self.is_ending = is_ending
        self.next_look = 0.0

    def on(self, phase: str) -> Callable[[int, int], None]:
        """What a phase is to call with (done, total); it raises Interrupted to end it."""

        def tell(done: int, total: int) -> None:
            if time.monotonic() < self.next_look:
                return
            self.next_look = time.monotonic() + LOOK_SECONDS
            queue.report(self.claim, phase, done, total)
            is_over = self.is_ending() or queue.is_stop_asked(self.claim)
            db.session.commit()
            if is_over:
                raise Interrupted

        return tell
