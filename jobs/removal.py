"""Taking versions and runs away for good: rows here; the caller commits, then removes the folder returned."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import case, delete, or_, update

from jobs import queue, runs, training
from models import Dataset, Job, Run, Version, db


class NotRemovable(RuntimeError):
    """What is needed, or still at work, stays; the message says what to do first."""


def delete_version(version: Version) -> Path:
    """Delete a version with its run and every prediction it made; return the folder for `disk.remove`.

    Its number is never given again. The images of its predictions go with the next sweep.

    Raises:
        NotRemovable: it is live, or its run is still at work.
    """
    run = version.run
    _refuse_at_work(run)
    _retire(version)
    return _delete(run)


def delete_run(run: Run) -> Path:
    """Delete a run that has ended without a version; return the folder for `disk.remove`.

    Raises:
        NotRemovable: a version came of it, or it waits or is at work.
    """
    if run.version is not None:
        number = run.version.number
        raise NotRemovable(f"Version {number} came of this run. Delete the version, and the run goes too.")
    _refuse_at_work(run)
    return _delete(run)


def _refuse_at_work(run: Run) -> None:
    is_over = run.job is None or run.job.state in queue.ENDS
    if not is_over or runs.is_alive(training.folder_of(run)):
        raise NotRemovable("The run waits or is at work. Cancel it, or wait until it has ended.")


def _retire(version: Version) -> None:
    """Note that the number was used, in one statement that fails where the version is live by now."""
    highest = case((Dataset.retired_version > version.number, Dataset.retired_version), else_=version.number)
    is_idle = or_(Dataset.live_version.is_(None), Dataset.live_version != version.number)
    retired = update(Dataset).where(Dataset.id == version.dataset_id, is_idle).values(retired_version=highest)
    if db.session.execute(retired).rowcount != 1:
        raise NotRemovable(f"Version {version.number} is live. Make another version live first.")


def _delete(run: Run) -> Path:
    folder, job_id = training.folder_of(run), run.job_id
    db.session.execute(delete(Run).where(Run.id == run.id))
    db.session.execute(delete(Job).where(Job.id == job_id))
    db.session.expire_all()
    return folder
