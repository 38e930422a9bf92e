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
from models import Dataset, Import, Job, User, db


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
    What was sent is deleted at the end, unless the import failed for another reason than its zip: then it
    waits to be tried again until it is swept.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    import_ = db.session.scalar(select(Import).where(Import.job_id == claim.job_id))
    if import_ is None:
        raise queue.ClaimLost("The import was deleted.")
    is_kept = False
    try:
        state, message = _take_batches(claim, import_, is_ending), None
    except (ArchiveRefused, LabelListRefused, StorageFull) as refused:
        db.session.rollback()
        state, message = "failed", str(refused)
        is_kept = not isinstance(refused, ArchiveRefused)  # a zip gets no better
    if state == "queued":
        queue.put_back(claim)
        return db.session.commit()
    queue.settle(claim, state, message)
    request_embedding(import_.dataset)
    uploads = [] if is_kept else uploads_of(import_)
    db.session.commit()
    for upload in uploads:
        if _is_ours(upload):
            upload.unlink(missing_ok=True)
    return None


def find_by_job(job: Job) -> Import | None:
    """Return the import whose place in the queue this is, or None."""
    return db.session.scalar(select(Import).where(Import.job_id == job.id))


def can_try_again(import_: Import) -> bool:
    """Whether the import failed and what was sent for it is here still.

    A folder or zip that the command line named is not read again on a page's word.
    """
    if import_.job is None or import_.job.state != "failed":
        return False
    return all(_is_ours(path) and path.exists() for path in uploads_of(import_))


def try_again(import_: Import) -> None:
    """Put a failed import back into the queue; what is in already is skipped.

    Raises:
        queue.NotResumable: it did not fail, or what was sent is gone.
    """
    if not can_try_again(import_):
        raise queue.NotResumable("This import can't be tried again. Send the files anew.")
    queue.resume(import_.job)


def uploads_of(import_: Import) -> list[Path]:
    """Where the zip or folder lies, and the CSV sent beside it; none for the sample digits."""
    return [Path(path) for path in (import_.upload, (import_.options or {}).get("list")) if path]


def _is_ours(upload: Path) -> bool:
    """Whether it was uploaded to us; a folder or zip that lies elsewhere is its owner's."""
    return upload.resolve().is_relative_to(current_app.config["PIGEONHOLE"].folder("uploads"))


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
