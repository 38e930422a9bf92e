"""Imports: files wait on disk, a job works through them, and every batch is committed with its progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import select

from datasets import intake
from datasets.archives import ArchiveRefused
from datasets.label_lists import LabelListRefused
from datasets.storage import StorageFull
from jobs import queue
from jobs.embedding import request_embedding
from models import Dataset, Import, User, db


def start_import(
    dataset: Dataset,
    user: User | None,
    kind: str,
    source: str,
    upload: str | Path | None = None,
    label: str | None = None,
    options: dict[str, Any] | None = None,
) -> Import:
    """Put an import into the queue.

    Args:
        dataset: where the images go.
        user: who sent them.
        kind: zip, folder or digits.
        source: the sent name, for showing.
        upload: where the zip or folder lies until the import has ended.
        label: one label for everything in it.
        options: how labels are found, as `Import.options` has them; `list` is where a sent CSV lies.
    """
    import_ = Import(
        dataset_id=dataset.id,
        user_id=user.id if user else None,
        kind=kind,
        source=source,
        upload=str(upload) if upload else None,
        label=label,
        options=options or {},
        job=queue.submit("import", dataset, user),
    )
    db.session.add(import_)
    db.session.flush()
    return import_


def work_through(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do an import's job to its end, committing batch by batch.

    A batch is committed together with the claim's progress, so that a worker taken for dead commits nothing.
    When the worker is ending, the import goes back to the queue; what is in already is skipped next time.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    import_ = db.session.scalar(select(Import).where(Import.job_id == claim.job_id))
    if import_ is None:
        raise queue.ClaimLost("The import was deleted.")
    try:
        state, message = _take_batches(claim, import_, is_ending), None
    except (ArchiveRefused, LabelListRefused, StorageFull) as refused:
        db.session.rollback()
        state, message = "failed", str(refused)
    if state == "queued":
        queue.put_back(claim)
        return db.session.commit()
    queue.settle(claim, state, message)
    request_embedding(import_.dataset)
    uploads = (import_.upload, import_.options.get("list"))
    db.session.commit()
    for upload in uploads:
        _forget_upload(upload)
    return None


def _take_batches(claim: queue.Claim, import_: Import, is_ending: Callable[[], bool]) -> str:
    for done, total in intake.work_through(import_):
        queue.report(claim, "importing", done, total)
        is_stop_asked = queue.is_stop_asked(claim)
        db.session.commit()
        if is_stop_asked:
            return "cancelled"
        if is_ending():
            return "queued"
    return "finished"


def _forget_upload(upload: str | None) -> None:
    """Delete what was uploaded to us; a folder or zip that lies elsewhere is its owner's."""
    uploads = current_app.config["PIGEONHOLE"].folder("uploads")
    if upload and Path(upload).resolve().is_relative_to(uploads):
        Path(upload).unlink(missing_ok=True)
