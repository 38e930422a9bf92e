"""Sweeping all that nothing needs any more: rows past their keeping, bytes and runs without a row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from flask import current_app
from sqlalchemy import and_, delete, not_, or_, select

from datasets import sweep as sweeping
from jobs import batches, faults, imports, runs, spent, trees, webhooks
from models import Dataset, IdempotencyKey, Import, Job, Run, db, now
from utils import lock_file

# A folder or file younger than this may be on its way into a row that is not committed yet.
YOUNG_SECONDS = 3600
SWEEP_SECONDS = 3600
SMALL_JOBS_KEPT = timedelta(days=1)  # those that leave nothing to look at
FAILED_UPLOADS_KEPT = timedelta(days=1)  # in which a failed import can be tried again
SAMPLES_KEPT_SECONDS = 24 * 3600


def find() -> list[Path]:
    """Folders of runs and answers, and uploads, that no row knows (no young ones); old sample images."""
    unknown = (*_unknown_runs(), *_unknown_uploads(), *_unknown_findings(), *batches.unknown_folders())
    return [*(path for path in unknown if _is_old(path)), *_old_samples()]


def sweep() -> int:
    """Delete what is past its keeping and what nothing refers to; return how many rows, files and folders.

    It commits in between: bytes may only go once no row can come back to them.
    """
    count = sweeping.sweep_rows() + batches.sweep_rows() + webhooks.sweep_rows() + spent.sweep_rows()
    done = now() - SMALL_JOBS_KEPT
    db.session.execute(
        delete(Job).where(Job.kind.in_(("embed", "preview", "examine")), Job.finished_at < done)
    )
    over = now() - timedelta(hours=current_app.config["PIGEONHOLE"].idempotency_hours)
    db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < over))
    db.session.commit()
    return count + sweeping.sweep_orphans() + _clear()


def sweep_when_due() -> None:
    """Sweep, and look at versions' files, unless that was done within the last hour or is being done.

    A file's time remembers.
    """
    path = current_app.config["PIGEONHOLE"].instance / "sweeping.lock"
    is_due = not path.exists() or time.time() - path.stat().st_mtime > SWEEP_SECONDS
    if not is_due:
        return
    try:
        with lock_file(path, wait=False):
            path.touch()
            sweep()
            faults.look_at_due()
    except BlockingIOError:
        return  # another worker is at it


def _clear() -> int:
    paths = find()
    db.session.rollback()  # deleting may take long, and locks nobody out
    for path in paths:
        if path.is_dir():
            trees.remove(path)
        else:
            path.unlink(missing_ok=True)
    return len(paths)


def _unknown_runs() -> Iterator[Path]:
    known = set(db.session.scalars(select(Run.folder)))
    folder = current_app.config["PIGEONHOLE"].folder("runs")
    for path in folder.iterdir():
        if path.name not in known and not runs.is_alive(path) and not runs.is_kept(path):
            yield path


def _old_samples() -> Iterator[Path]:
    """Sample images, varied to be looked at; a cache."""
    folders = current_app.config["PIGEONHOLE"].folder("previews").glob("*/*")
    yield from (path for path in folders if time.time() - path.stat().st_mtime > SAMPLES_KEPT_SECONDS)


def _unknown_uploads() -> Iterator[Path]:
    is_over = Job.state.in_(("finished", "cancelled"))
    is_given_up = and_(Job.state == "failed", Job.finished_at < now() - FAILED_UPLOADS_KEPT)
    waiting = select(Import).join(Job).where(not_(or_(is_over, is_given_up)))
    known = {path.name for import_ in db.session.scalars(waiting) for path in imports.uploads_of(import_)}
    known |= batches.waiting_uploads()
    folder = current_app.config["PIGEONHOLE"].folder("uploads")
    yield from (path for path in folder.iterdir() if path.name not in known)


def _unknown_findings() -> Iterator[Path]:
    """What was found of datasets that are gone, and what a killed worker left there."""
    known = {f"{dataset_id}.json" for dataset_id in db.session.scalars(select(Dataset.id))}
    folder = current_app.config["PIGEONHOLE"].folder("findings")
    yield from (path for path in folder.iterdir() if path.name not in known)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > YOUNG_SECONDS
