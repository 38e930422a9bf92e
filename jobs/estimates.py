"""How long jobs may take, from what is known of them and of earlier ones, and when others may begin."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from statistics import median

from sqlalchemy import Select, func, select

from jobs import training
from learning import backbones
from models import Item, Job, Run, db, now

HISTORY = 20  # finished jobs that are looked at
AROUND_SECONDS = 30.0  # of a run beside learning: start, measuring, files to take away (two cores)
FEWEST_IMAGES = 500  # an embed job of fewer says little of the rate
LEAST_SECONDS_AN_IMAGE = 0.002  # a job that took less had nearly all of its embeddings already
IMAGES_A_SECOND = 100.0  # embedded, where no job has told yet (two cores, efficientnet-lite0)
SLOWER = 2.0  # times that a network other than the default takes for an image
EMBEDDING = ("quick", "fine-tune")  # the recipes that begin with embeddings


def usual_seconds(job: Job) -> float | None:
    """How long a job like this one takes from its beginning; None where nothing is known of its like.

    A run takes its time budget, or the median of its recipe's latest runs; to that comes the embedding of the
    images that its backbone has not seen. Embedding takes its time an image, an import the median of others.
    """
    if job.kind == "embed":
        return _unseen(job.dataset_id, backbones.DEFAULT) * _seconds_an_image(backbones.DEFAULT)
    run = _run_of(job)
    if run is None:
        return _median_of_others(job)
    unseen = _unseen(job.dataset_id, run.backbone) if run.recipe in EMBEDDING else 0
    learning = _seconds_of_learning(job, run)
    return None if learning is None else learning + unseen * _seconds_an_image(run.backbone)


def _run_of(job: Job) -> Run | None:
    return db.session.scalar(select(Run).where(Run.job_id == job.id)) if job.kind == "run" else None


def _seconds_of_learning(job: Job, run: Run) -> float | None:
    if minutes := (run.settings or {}).get("minutes"):
        return 60.0 * minutes + AROUND_SECONDS
    return _median_of_others(job, run) or (AROUND_SECONDS if run.recipe == "quick" else None)


def _median_of_others(job: Job, run: Run | None = None) -> float | None:
    """The median of the dataset's latest jobs of this kind (and recipe), or of all datasets."""
    took = _took(job, run, job.dataset_id) or _took(job, run, None)
    return median(took) if took else None


def _took(job: Job, run: Run | None, dataset_id: int | None) -> list[float]:
    """The durations, in seconds, of the latest finished jobs of the same kind and recipe."""
    query = select(Job.started_at, Job.finished_at).where(Job.kind == job.kind, Job.state == "finished")
    if run:
        query = query.join(Run, Run.job_id == Job.id).where(Run.recipe == run.recipe)
    if dataset_id is not None:
        query = query.where(Job.dataset_id == dataset_id)
    latest = db.session.execute(query.order_by(Job.id.desc()).limit(HISTORY))
    return [(ended - begun).total_seconds() for begun, ended in latest if begun and ended]


def _unseen(dataset_id: int, backbone: str) -> int:
    """How many images the backbone has not embedded, as far as jobs tell: all, or those of newer imports."""
    items = (Item.dataset_id == dataset_id, Item.deleted_at.is_(None))
    seen_at = db.session.scalar(_last_embedding(dataset_id, backbone))
    newer = [Item.created_at > seen_at] if seen_at else []
    return db.session.scalar(select(func.count()).select_from(Item).where(*items, *newer)) or 0


def _last_embedding(dataset_id: int, backbone: str) -> Select:
    """Select when the latest job began that has embedded all of the dataset's images of then."""
    done = select(func.max(Job.started_at)).where(Job.dataset_id == dataset_id, Job.state == "finished")
    if backbone == backbones.DEFAULT:
        return done.where(Job.kind == "embed")
    return done.join(Run, Run.job_id == Job.id).where(Run.backbone == backbone, Run.recipe.in_(EMBEDDING))


def _seconds_an_image(backbone: str) -> float:
    """How long an image takes to be embedded: as the latest large embed jobs tell, which use the default."""
    query = select(Job.started_at, Job.finished_at, Job.total).where(
        Job.kind == "embed", Job.state == "finished", Job.total >= FEWEST_IMAGES
    )
    latest = db.session.execute(query.order_by(Job.id.desc()).limit(HISTORY))
    told = [(ended - begun).total_seconds() / total for begun, ended, total in latest]
    usual = median([rate for rate in told if rate > LEAST_SECONDS_AN_IMAGE] or [1 / IMAGES_A_SECOND])
    return usual if backbone == backbones.DEFAULT else SLOWER * usual


def remaining_seconds(job: Job) -> float | None:
    """How long a job at work may still take; None where nobody knows, as when it takes longer than usual.

    A trainer's own word goes first, then how far an import or embedding is, then the usual time.
    """
    gone = (now() - job.started_at).total_seconds() if job.started_at else 0.0
    told = _told_by_trainer(job)
    if told is not None:
        return told
    if job.kind != "run" and job.done and job.total:
        return gone / job.done * max(0, job.total - job.done)
    usual = usual_seconds(job)
    return None if usual is None or gone > usual else usual - gone


def _told_by_trainer(job: Job) -> float | None:
    run = _run_of(job)
    events = training.progress(run) if run else []
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
