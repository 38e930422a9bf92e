"""Sample images varied as a training would: asked for by a page, drawn by a process of its own, kept.

What is asked for lies in `previews/<dataset id>/<key>/`; the key stands for settings and images, so that the
same is never drawn twice. A job draws all that its dataset still lacks.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flask import current_app
from sqlalchemy import select

from datasets import storage
from jobs import queue, trainers
from models import Dataset, Item, Job, User, db
from utils import ImageRefused, center_crop, open_image, write_atomically

PICTURE = "samples.webp"  # as learning/tuning/preview.py writes it
SAMPLES = 4
LOOKED_AT = 40  # items among which samples are chosen
SIDE = 160  # pixels
LOOK_SECONDS = 0.2
MOST_SECONDS = 180
FAILED = "failed"  # a file that says: not this one again


class NothingToShow(ValueError):
    """The dataset has no image that could be shown; the message says so."""


def request(
    dataset: Dataset,
    user: User | None,
    settings: dict[str, Any],
    samples: tuple[np.ndarray, list[str]],
) -> str:
    """See that the `samples` that `choose` gave are drawn with these settings; return the key to them."""
    squares, hashes = samples
    key = hashlib.sha256(json.dumps([settings, hashes], sort_keys=True).encode()).hexdigest()[:32]
    folder = folder_of(dataset.id, key)
    if not folder.exists():
        _write(folder, squares, settings)
    (folder / FAILED).unlink(missing_ok=True)
    waiting = select(Job.id).where(Job.dataset_id == dataset.id, Job.kind == "preview", Job.state == "queued")
    if not (folder / PICTURE).exists() and db.session.scalar(waiting.limit(1)) is None:
        queue.submit("preview", dataset, user)
    return key


def choose(dataset: Dataset) -> tuple[np.ndarray, list[str]]:
    """A few of the dataset's images as squares, uint8 (samples, SIDE, SIDE, 3), and their hashes.

    Raises:
        NothingToShow: no image can be read.
    """
    found = [(item.sha256, square) for item in _candidates(dataset) if (square := _square(item)) is not None]
    if not found:
        raise NothingToShow("There is no image yet to show this on. Add some first.")
    return np.stack([square for _, square in found]), [sha256 for sha256, _ in found]


def _candidates(dataset: Dataset) -> list[Item]:
    """A few items, the same every time, with as many different labels as there are among the first."""
    query = select(Item).where(Item.dataset_id == dataset.id, Item.deleted_at.is_(None))
    items = db.session.scalars(query.order_by(Item.sha256).limit(LOOKED_AT)).all()
    by_label = {tuple(sorted(label.name for label in item.labels)): item for item in items}
    others = [item for item in items if item not in by_label.values()]
    return [*by_label.values(), *others][:SAMPLES]


def _square(item: Item) -> np.ndarray | None:
    try:
        return center_crop(open_image(storage.read_original(item.filename)), SIDE)
    except (ImageRefused, OSError):
        return None


def _write(folder: Path, squares: np.ndarray, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, squares, allow_pickle=False)
    write_atomically(folder / "squares.npy", buffer.getvalue())
    write_atomically(folder / "settings.json", json.dumps(settings))


def folder_of(dataset_id: int, key: str) -> Path:
    """Where what is found by this key lies, or is to lie."""
    return current_app.config["PIGEONHOLE"].folder("previews") / str(dataset_id) / key


def latest_job(dataset: Dataset) -> Job | None:
    """The dataset's newest job that draws samples."""
    query = select(Job).where(Job.dataset_id == dataset.id, Job.kind == "preview").order_by(Job.id.desc())
    return db.session.scalar(query.limit(1))


def draw_all(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do a preview job: draw everything its dataset lacks.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    db.session.rollback()
    for folder in _lacking(claim.dataset_id):
        if not _draw(claim, folder, is_ending):
            break
    if is_ending():
        queue.put_back(claim)
    else:
        queue.settle(claim, *_outcome(claim))
    db.session.commit()


def _lacking(dataset_id: int) -> list[Path]:
    folders = folder_of(dataset_id, "any").parent.glob("*/settings.json")
    done = (PICTURE, FAILED)
    return [path.parent for path in folders if not any((path.parent / name).exists() for name in done)]


def _draw(claim: queue.Claim, folder: Path, is_ending: Callable[[], bool]) -> bool:
    """Let a process draw one picture; false when it was ended before."""
    process = trainers.start([str(folder)], folder / "log.txt", ("-m", "learning.tuning.preview"))
    try:
        is_done = _wait(claim, process, is_ending)
    finally:
        trainers.end(process)
    if is_done and not (folder / PICTURE).exists():
        (folder / FAILED).touch()
    return is_done


def _wait(claim: queue.Claim, process: subprocess.Popen, is_ending: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + MOST_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_ending() or queue.is_stop_asked(claim):
            return False
        db.session.rollback()
        time.sleep(LOOK_SECONDS)
    return True


def _outcome(claim: queue.Claim) -> tuple[str, str | None]:
    if queue.is_stop_asked(claim):
        return "cancelled", None
    failed = sorted(folder_of(claim.dataset_id, "any").parent.glob(f"*/{FAILED}"))
    if failed:
        return "failed", f"Samples could not be drawn. {failed[-1].parent / 'log.txt'} says why."
    return "finished", None
