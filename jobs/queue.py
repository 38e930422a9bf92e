"""The queue: who works on what, until when. Its truth is in the database; work is claimed, never handed out.

A worker claims a job by a conditional UPDATE whose count is checked, and renews its lease while it works. The
fence grows with every claim: whatever a worker writes about a job is written only while its fence is the
job's, so that one taken for dead can no longer say anything. Nothing here commits but `heartbeat`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, update

from jobs import events
from models import Dataset, Job, User, db, now

ENDS = ("finished", "failed", "cancelled", "interrupted")
RESUMABLE = ("failed", "cancelled", "interrupted")
MOST_WAITING = 200  # jobs of one kind and user
MAX_ATTEMPTS = 3  # a job whose worker died so often would only kill the next one too


class ClaimLost(RuntimeError):
    """Somebody else has the job now, or it is gone; whoever gets this stops at once and writes nothing."""


class TooManyWaiting(RuntimeError):
    """The user has as many jobs of this kind waiting as one may have; the message says what to do."""


class NotResumable(RuntimeError):
    """The job is waiting, at work or finished; the message says which."""


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job. It stays what it was when another worker takes the job over."""

    job_id: int
    kind: str
    dataset_id: int
    worker: str
    fence: int
    attempts: int

    @property
    def is_taken_over(self) -> bool:
        """Whether an earlier worker died with this job."""
        return self.attempts > 1


def submit(kind: str, dataset: Dataset, user: User | None = None) -> Job:
    """Put a job of `kind` (import, embed, examine, preview, predict or run) at the end of the queue.

    Raises:
        TooManyWaiting: the user has 200 of the kind there. Of what nobody in particular asked for there is
            never too much.
    """
    require_room(kind, user)
    job = Job(kind=kind, dataset_id=dataset.id, user_id=user.id if user else None, state="queued")
    db.session.add(job)
    db.session.flush()
    return job


def require_room(kind: str, user: User | None) -> None:
    """Look whether the user may have another job of `kind` waiting, before anything is written for it.

    Raises:
        TooManyWaiting: they have 200.
    """
    if user is None:
        return
    theirs = (Job.user_id == user.id, Job.kind == kind, Job.state == "queued")
    if db.session.scalar(select(func.count(Job.id)).where(*theirs)) >= MOST_WAITING:
        what = f"{MOST_WAITING} of your jobs of this kind are waiting already, which is the most."
        raise TooManyWaiting(f"{what} Try again when some are done, or cancel some.")


def find_waiting(kinds: Iterable[str]) -> int | None:
    """The job of `kinds` whose turn it is, or None. It only reads, so idling locks nobody out."""
    kinds = tuple(kinds)
    is_any = select(Job.id).where(Job.kind.in_(kinds), _is_free()).limit(1)
    with db.engine.connect().execution_options(is_reading=True) as connection:
        if connection.scalar(is_any) is None:
            return None  # the usual answer, by the index alone
        return connection.scalar(in_turn(kinds).limit(1))


def in_turn(kinds: Iterable[str]) -> Select[tuple[int]]:
    """Select the ids of the free jobs of `kinds`, the next to be claimed first: fair among users.

    First comes who has the fewest jobs at work; of these, whose last one was begun longest ago (or never);
    of one user's the oldest. So nobody waits for all of somebody else's hundred jobs. What nobody in
    particular asked for counts as one more user's.
    """
    kinds = tuple(kinds)
    served = (
        select(
            Job.user_id,
            func.sum(case((and_(Job.state == "running", Job.lease_until >= now()), 1), else_=0)).label(
                "at_work"
            ),
            func.max(Job.started_at).label("latest"),
        )
        .where(Job.kind.in_(kinds))
        .group_by(Job.user_id)
        .subquery()
    )
    return (
        select(Job.id)
        .join(served, Job.user_id.is_not_distinct_from(served.c.user_id))
        .where(Job.kind.in_(kinds), _is_free())
        .order_by(served.c.at_work, served.c.latest.is_not(None), served.c.latest, Job.id)
    )


def claim(worker: str, kinds: Iterable[str], job_id: int | None = None) -> Claim | None:
    """Take the free job of `kinds` whose turn it is, or `job_id`; None if none is free or another was faster.

    Free is what is queued, and what its worker has left without a sign of life past its lease.
    """
    wanted = job_id or find_waiting(kinds)
    if wanted is None:
        return None
    moment = now()
    taken = db.session.execute(
        update(Job)
        .where(Job.id == wanted, _is_free())
        .values(
            state="running",
            worker=worker,
            fence=Job.fence + 1,
            attempts=Job.attempts + 1,
            lease_until=moment + _lease(),
            started_at=moment,
        ),
        execution_options={"synchronize_session": False},
    )
    if taken.rowcount != 1:
        return None
    job = db.session.get(Job, wanted, populate_existing=True)
    return Claim(job.id, job.kind, job.dataset_id, worker, job.fence, job.attempts)


def heartbeat(claim: Claim) -> bool:
    """Renew the lease and commit; false when the job is no longer ours."""
    renewed = _write(claim, lease_until=now() + _lease())
    db.session.commit()
    return renewed


def report(claim: Claim, phase: str | None = None, done: int | None = None, total: int | None = None) -> None:
    """Write how far the job is.

    Raises:
        ClaimLost: it is no longer ours. Roll back: what was to be committed with this must not be.
    """
    told = {"phase": phase, "done": done, "total": total}
    values = {name: value for name, value in told.items() if value is not None}
    if not _write(claim, lease_until=now() + _lease(), **values):
        raise ClaimLost(f"Job {claim.job_id} was taken over by another worker.")


def settle(claim: Claim, state: str, message: str | None = None) -> None:
    """End the job in `state`, one of `ENDS`, with the reason for a person where there is one.

    Webhooks are told of what stands in the rows now, so all else that the end brings comes first.

    Raises:
        ClaimLost: it is no longer ours. Roll back.
    """
    if not _write(claim, state=state, message=message, finished_at=now(), lease_until=None):
        raise ClaimLost(f"Job {claim.job_id} was taken over by another worker.")
    events.announce(claim.job_id)


def put_back(claim: Claim) -> None:
    """Give the job back to the queue, because this worker is ending and not because of the job."""
    _write(claim, state="queued", worker=None, lease_until=None, attempts=claim.attempts - 1)


def ask_to_stop(job: Job) -> None:
    """Cancel a job that waits; ask the worker of one that runs to end it."""
    cancelled = db.session.execute(
        update(Job)
        .where(Job.id == job.id, Job.state == "queued")
        .values(state="cancelled", finished_at=now())
    )
    if cancelled.rowcount:
        events.announce(job.id)
    else:
        db.session.execute(
            update(Job).where(Job.id == job.id, Job.state == "running").values(is_stop_asked=True)
        )
    db.session.refresh(job)


def is_stop_asked(claim: Claim) -> bool:
    """Whether somebody asked for an end of the job, or deleted it."""
    return db.session.scalar(select(Job.is_stop_asked).where(Job.id == claim.job_id)) is not False


def is_held(claim: Claim) -> bool:
    """Whether the job is still this worker's; it is not once its dataset was deleted."""
    ours = (Job.id == claim.job_id, Job.state == "running", Job.fence == claim.fence)
    return db.session.scalar(select(Job.id).where(*ours)) is not None


def resume(job: Job) -> None:
    """Put a job that failed, was cancelled or was interrupted back into the queue.

    Raises:
        NotResumable: it is in another state.
    """
    fresh = {"state": "queued", "message": None, "is_stop_asked": False, "attempts": 0, "finished_at": None}
    resumed = db.session.execute(
        update(Job).where(Job.id == job.id, Job.state.in_(RESUMABLE)).values(**fresh)
    )
    db.session.refresh(job)
    if not resumed.rowcount:
        raise NotResumable(f"This is {job.state}; only what failed or was stopped can be resumed.")


def _is_free() -> ColumnElement[bool]:
    abandoned = and_(Job.state == "running", Job.lease_until < now())
    return or_(Job.state == "queued", abandoned)


def _lease() -> timedelta:
    return timedelta(seconds=current_app.config["PIGEONHOLE"].worker_lease_seconds)


def _write(claim: Claim, **values: Any) -> bool:
    """Write to the job if it is still ours, and say whether it was."""
    ours = (Job.id == claim.job_id, Job.state == "running", Job.fence == claim.fence)
    return db.session.execute(update(Job).where(*ours).values(**values)).rowcount == 1
