"""Batches: a zip of images waits on disk, a job answers it file by file and keeps the answers for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from flask import current_app
from sqlalchemy import delete, select

from datasets import intake, storage
from datasets.archives import Archive, ArchiveRefused, Member, open_archive
from datasets.checking import check_size
from datasets.names import make_inert
from datasets.storage import StorageFull
from jobs import queue
from models import Batch, Dataset, Job, User, Version, db, now
from serving import batches, results
from serving.classifier import VersionUnusable, require_sound
from serving.files import FileAnswer
from utils import generate_random_name

LOOK_SECONDS = 0.5  # between two looks at the database; what is answered meanwhile is kept together
NO_VERSION = "The version that was to answer was deleted. Send the zip again for another one."
REFUSALS = (ArchiveRefused, StorageFull, VersionUnusable)


def start_batch(version: Version, user: User, source: str, upload: Path) -> Batch:
    """Put a batch into the queue.

    Args:
        version: what answers, whatever is live by then.
        user: who sent the zip.
        source: its name, for showing.
        upload: where it lies until the batch has ended.

    Raises:
        VersionUnusable: its files are known to be faulty.
    """
    require_sound(version)
    batch = Batch(
        dataset_id=version.dataset_id,
        version_id=version.id,
        number=version.number,
        user_id=user.id,
        source=source,
        upload=str(upload),
        folder=generate_random_name(),
        job=queue.submit("predict", version.dataset, user),
    )
    db.session.add(batch)
    db.session.flush()
    return batch


def find_by_job(job: Job) -> Batch | None:
    """Return the batch whose place in the queue this is, or None."""
    return db.session.scalar(select(Batch).where(Batch.job_id == job.id))


def folder_of(batch: Batch) -> Path:
    """Where the answers lie."""
    return _root() / batch.folder


def clear_upload(batch: Batch) -> None:
    """Delete the zip of a batch that has ended; to be called when that is committed."""
    if batch.job is None or batch.job.state in queue.ENDS:
        Path(batch.upload).unlink(missing_ok=True)


def work_through(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do a batch's job to its end; what is answered already is not asked again.

    What was sent is deleted at the end, whatever that is; the answers given until then are kept.

    Raises:
        queue.ClaimLost: another worker has taken the job over.
    """
    batch = db.session.scalar(select(Batch).where(Batch.job_id == claim.job_id))
    if batch is None:
        raise queue.ClaimLost("The batch was deleted.")
    upload = Path(batch.upload)
    try:
        state, message = _answer(claim, batch, is_ending), None
    except REFUSALS as refused:
        db.session.rollback()
        state, message = "failed", str(refused)
    if state == "queued":
        queue.put_back(claim)
        return db.session.commit()
    queue.settle(claim, state, message)
    db.session.commit()
    upload.unlink(missing_ok=True)
    return None


def _answer(claim: queue.Claim, batch: Batch, is_ending: Callable[[], bool]) -> str:
    """Answer what is left of the zip; return the state that the job is to have."""
    batch_id, folder, upload = batch.id, folder_of(batch), batch.upload
    version = db.session.get(Version, batch.version_id) if batch.version_id else None
    if version is None:
        raise VersionUnusable(NO_VERSION)
    answerer, place = batches.by_version(version), (version.dataset.slug, version.number)
    limits = intake.limits()
    db.session.rollback()  # nothing below holds the database while it computes
    if not Path(upload).exists():
        raise ArchiveRefused("zip_missing", "The zip is no longer there. Send it again.")
    with (
        open_archive(upload, limits) as archive,
        results.go_on(folder, claim.fence, *place, list(answerer.labels), answerer.threshold_mark) as found,
    ):
        archive.verify()
        total = len(archive.members)
        _tell(claim, batch_id, found, total)
        files = [_as_file(archive, member, limits.member) for member in archive.members[found.done :]]
        with closing(batches.answer_all(answerer, files)) as answers:
            for is_look, answer in _now_and_then(answers):
                found.add(answer)
                if is_look and (state := _look(claim, batch_id, found, total, is_ending)):
                    return state
        _tell(claim, batch_id, found, total)
    return "finished"


def _as_file(archive: Archive, member: Member, max_size: int) -> batches.ImageFile:
    return batches.ImageFile(make_inert(member.path), partial(_read, archive, member, max_size))


def _read(archive: Archive, member: Member, max_size: int) -> bytes:
    check_size(member.size, max_size)
    return archive.read(member)


def _now_and_then(answers: Iterator[FileAnswer]) -> Iterator[tuple[bool, FileAnswer]]:
    """Yield (whether it is time to look at the database, answer)."""
    next_look = 0.0
    for answer in answers:
        is_look = time.monotonic() >= next_look
        if is_look:
            next_look = time.monotonic() + LOOK_SECONDS
        yield is_look, answer


def _look(
    claim: queue.Claim, batch_id: int, found: results.Results, total: int, is_ending: Callable[[], bool]
) -> str | None:
    """Tell how far it is; return the state to end in, None to go on."""
    storage.require_free_space()
    is_stop_asked = _tell(claim, batch_id, found, total)
    if is_stop_asked:
        return "cancelled"
    return "queued" if is_ending() else None


def _tell(claim: queue.Claim, batch_id: int, found: results.Results, total: int) -> bool:
    """Write how far the batch is, once its answers are on the disk; return whether somebody asked for an end.

    Raises:
        queue.ClaimLost: another worker has the job now.
    """
    found.sync()
    queue.report(claim, "predicting", found.done, total)
    is_stop_asked = queue.is_stop_asked(claim)
    if batch := db.session.get(Batch, batch_id):
        batch.refused = found.refused
    db.session.commit()
    return is_stop_asked


# ---------- sweeping ----------


def sweep_rows(at: datetime | None = None) -> int:
    """Delete the rows of batches past their dataset's keeping of predictions; return how many. No commit."""
    at, usual = at or now(), current_app.config["PIGEONHOLE"].prediction_days
    old = []
    for dataset_id, days in db.session.execute(select(Dataset.id, Dataset.prediction_days)).all():
        oldest = at - timedelta(days=usual if days is None else days)
        old += db.session.scalars(
            select(Batch.id)
            .outerjoin(Job, Job.id == Batch.job_id)
            .where(Batch.dataset_id == dataset_id, Batch.created_at < oldest)
            .where(Job.id.is_(None) | Job.state.in_(queue.ENDS))
        )
    for batch_id in old:
        db.session.execute(delete(Batch).where(Batch.id == batch_id))
    return len(old)


def unknown_folders() -> list[Path]:
    """The folders of answers that no batch knows."""
    known = set(db.session.scalars(select(Batch.folder)))
    return [path for path in _root().iterdir() if path.name not in known]


def waiting_uploads() -> set[str]:
    """The names of the zips that batches still need."""
    waiting = select(Batch.upload).join(Job, Job.id == Batch.job_id).where(Job.state.not_in(queue.ENDS))
    return {Path(upload).name for upload in db.session.scalars(waiting)}


def _root() -> Path:
    return current_app.config["PIGEONHOLE"].folder("batches")
