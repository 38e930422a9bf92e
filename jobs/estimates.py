"""How long jobs may take, from how long earlier ones took, and when those that wait may begin."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from statistics import median

from sqlalchemy import select

from jobs import training
from models import Job, Run, db, now

HISTORY = 20  # finished jobs that are looked at
EVENTS = 200  # of a run's newest ones, among which one says how long it will take


def usual_seconds(job: Job) -> float | None:
    """How long a job like this one takes from its beginning; None where nothing like it has finished yet.

    A run with a time budget takes that; else the median counts of the dataset's latest jobs of this kind
    (and recipe), or of all datasets' where it has none.
    """
    run = _run_of(job)
    if run and (minutes := (run.settings or {}).get("minutes")):
        return 60.0 * minutes
    own = _took(job, run, job.dataset_id)
    took = own or _took(job, run, None)
    return median(took) if took else None


def _run_of(job: Job) -> Run | None:
    return db.session.scalar(select(Run).where(Run.job_id == job.id)) if job.kind == "run" else None


def _took(job: Job, run: Run | None, dataset_id: int | None) -> list[float]:
    """The durations, in seconds, of the latest finished jobs of the same kind and recipe."""
    query = select(Job.started_at, Job.finished_at).where(Job.kind == job.kind, Job.state == "finished")
    if run:
        query = query.join(Run, Run.job_id == Job.id).where(Run.recipe == run.recipe)
    if dataset_id is not None:
        query = query.where(Job.dataset_id == dataset_id)
    latest = db.session.execute(query.order_by(Job.id.desc()).limit(HISTORY))
    return [(ended - begun).total_seconds() for begun, ended in latest if begun and ended]


def remaining_seconds(job: Job) -> float | None:
    """How long a job at work may still take: as its trainer says, else the usual time less what has gone."""
    told = _told_by_trainer(job)
    if told is not None:
        return told
    usual = usual_seconds(job)
    if usual is None or job.started_at is None:
        return None
    return max(0.0, usual - (now() - job.started_at).total_seconds())


def _told_by_trainer(job: Job) -> float | None:
    run = _run_of(job)
    events = training.progress(run)[0][-EVENTS:] if run else []
    known = [event for event in events if event.get("left_seconds") is not None]
    return max(0.0, known[-1]["left_seconds"] - (now().timestamp() - known[-1]["time"])) if known else None


def begin_in(
    remaining: Sequence[float | None], usual: Sequence[float | None], lanes: int
) -> list[float | None]:
    """In how many seconds each waiting job may begin, the first in turn first; None where nobody can know.

    Args:
        remaining: of the jobs at work.
        usual: of the waiting jobs, in turn.
        lanes: how many are done at once.
    """
    unknown = float("inf")
    free_at = sorted(unknown if seconds is None else seconds for seconds in remaining)[:lanes]
    free_at += [0.0] * (lanes - len(free_at))
    heapq.heapify(free_at)
    begins = []
    for seconds in usual:
        begin = heapq.heappop(free_at)
        begins.append(begin)
        heapq.heappush(free_at, unknown if seconds is None else begin + seconds)
    return [None if begin == unknown else begin for begin in begins]
