"""Embedding in the background: every image of a dataset, as soon as it is there, before anybody trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flask import current_app
from sqlalchemy import or_, select

from datasets import storage
from jobs import queue, trainers
from learning import backbones
from learning.embeddings import EmbeddingStore, Opener, embed_missing
from models import Dataset, Item, Job, db
from transactions import start_reading

LOOK_SECONDS = 0.5  # between two looks at the database while embedding


class BackboneMissing(RuntimeError):
    """The backbone could not be prepared; the message says where its log lies."""


def request_embedding(dataset: Dataset) -> None:
    """See that the dataset's images get embedded, unless that is already waiting to be done."""
    waiting = select(Job.id).where(Job.dataset_id == dataset.id, Job.kind == "embed", Job.state == "queued")
    if db.session.scalar(waiting.limit(1)) is None:
        queue.submit("embed", dataset)


def embed_dataset(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do an embed job to its end. What is done is kept at every batch, whatever happens.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    start_reading()
    images = list(_images(claim.dataset_id))
    db.session.rollback()  # nothing below holds the database while it computes
    try:
        is_whole, message = embed_images(claim, images, is_ending), None
    except BackboneMissing as error:
        is_whole, message = False, str(error)
    if is_ending() and not is_whole:
        queue.put_back(claim)
    else:
        state = "finished" if is_whole else "failed" if message else "cancelled"
        queue.settle(claim, state, message)
    db.session.commit()


def _images(dataset_id: int) -> Iterator[tuple[str, Opener]]:
    query = select(Item.sha256, Item.filename).where(Item.dataset_id == dataset_id, Item.deleted_at.is_(None))
    for sha256, filename in db.session.execute(query):
        yield sha256, storage.opener(filename)


def embed_images(claim: queue.Claim, images: list[tuple[str, Opener]], is_ending: Callable[[], bool]) -> bool:
    """Embed what is missing, telling the job how far it is; false when it was stopped before the end.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
        BackboneMissing: the backbone could not be prepared.
    """
    settings = current_app.config["PIGEONHOLE"]
    prepared = find_or_prepare(backbones.DEFAULT)
    store = EmbeddingStore(settings.folder("embeddings"), prepared.identifier)
    teller = _Teller(claim, is_ending)
    embed_missing(prepared, store, images, on_progress=teller.tell, should_stop=teller.should_stop)
    queue.report(claim, "embedding", *teller.progress)
    return not teller.is_stopped


class _Teller:
    """Tells the job's progress, and asks whether to go on, at most every half second."""

    def __init__(self, claim: queue.Claim, is_ending: Callable[[], bool]):
        self.claim = claim
        self.is_ending = is_ending
        self.is_stopped = False
        self.progress = (0, 0)
        self.next_look = 0.0

    def tell(self, done: int, total: int) -> None:
        self.progress = (done, total)

    def should_stop(self) -> bool:
        if time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + LOOK_SECONDS
            queue.report(self.claim, "embedding", *self.progress)
            self.is_stopped = (
                self.is_ending()
                or queue.is_stop_asked(self.claim)
                or _is_trainer_at_it(self.claim.dataset_id)
            )
            db.session.commit()
        return self.is_stopped


def _is_trainer_at_it(dataset_id: int) -> bool:
    """Whether a run's trainer embeds the same images; whoever did so beside it would only do it twice.

    The run asks for what it left when it ends.
    """
    query = select(Job.id).where(
        Job.dataset_id == dataset_id,
        Job.kind == "run",
        Job.state == "running",
        or_(Job.phase.is_(None), Job.phase == "embedding"),
    )
    return db.session.scalar(query.limit(1)) is not None


def find_or_prepare(name: str) -> backbones.PreparedBackbone:
    """Return the prepared backbone, converted first by a process of its own where it is not there yet.

    Raises:
        BackboneMissing: the conversion failed.
    """
    settings = current_app.config["PIGEONHOLE"]
    folder = settings.folder("backbones")
    prepared = backbones.find(name, folder)
    if prepared is None:
        log = Path(settings.folder("logs"), "prepare.txt")
        trainers.start(["--prepare", name, "--out", str(folder)], log).wait()
        prepared = backbones.find(name, folder)
    if prepared is None:
        raise BackboneMissing(f"The backbone {name} could not be prepared. {log} says why.")
    return prepared
