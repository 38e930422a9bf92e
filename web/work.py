"""What a job shows of itself while it waits, works and has ended: the same on pages and in their JSON."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from jobs.queue import ENDS, RESUMABLE
from models import Dataset, Job, db, now

WORDS = {
    "queued": "Waiting for its turn",
    "running": "At work",
    "finished": "Finished",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "interrupted": "Interrupted",
}
ABANDONED = "Its worker is gone; the next one will look after it"


def describe(job: Job | None) -> dict[str, Any]:
    """The job's state, words, progress and times; a job that is gone counts as finished."""
    if job is None:
        return {"state": "finished", "words": WORDS["finished"], "is_over": True, "percent": 100}
    return {
        "state": job.state,
        "words": ABANDONED if is_abandoned(job) else WORDS[job.state],
        "message": job.message,
        "phase": job.phase,
        "done": job.done,
        "total": job.total,
        "percent": percent(job.done, job.total),
        "elapsed": as_duration(elapsed_seconds(job)) if job.started_at else "",
        "is_over": job.state in ENDS,
        "is_resumable": job.state in RESUMABLE,
        "is_stopping": job.is_stop_asked and job.state == "running",
    }


def is_abandoned(job: Job) -> bool:
    """Whether the job's worker has given no sign of life past its lease."""
    return job.state == "running" and job.lease_until is not None and job.lease_until < now()


def percent(done: int | None, total: int | None) -> int | None:
    """How much of `total` is done, 0 to 100; None where nobody knows the total."""
    return min(100, int(100 * (done or 0) / total)) if total else None


def elapsed_seconds(job: Job) -> float:
    """How long the job has been at work, or was; 0 before it began."""
    if job.started_at is None:
        return 0.0
    return max(0.0, ((job.finished_at or now()) - job.started_at).total_seconds())


def as_duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if 0 < seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def embedding_of(dataset: Dataset) -> dict[str, Any]:
    """How far the embedding of the dataset's images is: its latest embed job, as `describe` says it."""
    query = select(Job).where(Job.dataset_id == dataset.id, Job.kind == "embed").order_by(Job.id.desc())
    return describe(db.session.scalar(query.limit(1)))
