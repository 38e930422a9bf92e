"""The queue as somebody sees it: what is at work, what waits and for how long, and what ended lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import current_app, url_for
from sqlalchemy import and_, or_, select

from jobs import batches, estimates, imports, local, queue
from models import Dataset, Import, Job, Run, User, db, now
from web import phases, work
from web.access import get_datasets, has_role
from web.formats import recipe_name

PATIENCE_SECONDS = 20  # a job at the front is taken up sooner than this by any worker that is free
KINDS = {
    "run": "Training",
    "import": "Import",
    "embed": "Getting to know images",
    "preview": "Sample images",
    "examine": "Looking for what would help",
    "predict": "Predicting many images",
}
LANES = (
    local.RUN_KINDS,
    local.QUICK_KINDS,
    local.SAMPLE_KINDS,
    local.BATCH_KINDS,
    local.EXAMINE_KINDS,
)
NOBODY_WORKS = "Next in the queue, but no worker takes it up: is one running?"
MOST = 100  # jobs shown of each part of the page
RETRIED = ("run", "embed")  # an import only while what was sent is kept; sample images not at all


@dataclass(frozen=True)
class Line:
    """One job as a line of the page; without dataset, user and link where they are not this user's to see."""

    job: Job
    what: str
    dataset: Dataset | None
    user: str
    link: str | None
    when: str
    may_change: bool

    @property
    def facts(self) -> dict[str, Any]:
        """State, progress and times, as `work.describe` says them."""
        return work.describe(self.job)

    @property
    def state_words(self) -> str:
        """The state, or of a run at work what it is doing."""
        if self.job.kind == "run" and self.job.state == "running" and not work.is_abandoned(self.job):
            return phases.PHASES.get(self.job.phase or "starting", self.facts["words"])
        return self.facts["words"]

    @property
    def is_retried(self) -> bool:
        """Whether it can be tried again."""
        if not self.may_change or self.job.state not in queue.RESUMABLE:
            return False
        import_ = imports.find_by_job(self.job)
        return imports.can_try_again(import_) if import_ else self.job.kind in RETRIED


@dataclass(frozen=True)
class View:
    """The queue as `user`, a member of the datasets `mine` (ids), may see it."""

    user: User
    mine: frozenset[int]

    def at_work(self) -> list[Line]:
        """What is at work, with how long it may still take."""
        jobs = db.session.scalars(select(Job).where(Job.state == "running").order_by(Job.id).limit(MOST))
        return [self._line(job, _still(estimates.remaining_seconds(job))) for job in jobs]

    def waiting(self) -> list[Line]:
        """What waits, in turn, with when it may begin."""
        lines = [self._line(job, _begins(seconds)) for kinds in LANES for job, seconds in _in_turn(kinds)]
        return lines[:MOST]

    def is_left_alone(self) -> bool:
        """Whether a job at the front waits although nothing is at work in its lane."""
        fronts = [db.session.scalar(queue.in_turn(kinds).limit(1)) for kinds in LANES]
        return any(_is_left_alone(db.session.get(Job, front)) for front in fronts if front)

    def ended(self) -> list[Line]:
        """What ended lately on the user's own datasets (an administrator's are all).

        Embedding begins by itself after every import and run: only where it did not finish is it told.
        """
        is_asked_for = Job.kind.in_(("run", "import", "predict"))
        is_news = or_(is_asked_for, and_(Job.kind == "embed", Job.state != "finished"))
        query = select(Job).where(Job.state.in_(queue.ENDS), is_news)
        if not self.user.is_admin:
            query = query.where(Job.dataset_id.in_(self.mine))
        jobs = db.session.scalars(query.order_by(Job.finished_at.desc(), Job.id.desc()).limit(20))
        return [self._line(job, work.as_duration(work.elapsed_seconds(job))) for job in jobs]

    def _line(self, job: Job, when: str) -> Line:
        is_seen = self.user.is_admin or job.dataset_id in self.mine
        dataset = db.session.get(Dataset, job.dataset_id) if is_seen else None
        what, link = _what(job, dataset)
        may_change = dataset is not None and has_role(self.user, dataset, "editor")
        return Line(job, what, dataset, self._name(job, is_seen), link, when, may_change)

    def _name(self, job: Job, is_seen: bool) -> str:
        if job.user_id == self.user.id:
            return "you"
        user = db.session.get(User, job.user_id) if job.user_id and is_seen else None
        return user.name if user else "somebody" if job.user_id else "Pigeonhole"


def look(user: User) -> View:
    """The queue as this user may see it."""
    return View(user, frozenset(dataset.id for dataset in get_datasets(user)))


def when(job: Job | None) -> str:
    """How long a job at work may still take, or how near its turn one is that waits; empty where unknown."""
    if job is None or job.state in queue.ENDS or work.is_abandoned(job):
        return ""
    if job.state == "running":
        return _still(estimates.remaining_seconds(job))
    return _turn(job)


def _turn(job: Job) -> str:
    kinds = next(kinds for kinds in LANES if job.kind in kinds)
    in_turn = list(db.session.scalars(queue.in_turn(kinds)))
    before = in_turn.index(job.id) if job.id in in_turn else 0
    if before:
        return f"{before:,} before it in the queue"
    return NOBODY_WORKS if _is_left_alone(job) else "Next in the queue"


def _is_left_alone(job: Job) -> bool:
    """Whether nobody has taken the job up for long, nor is at work on any other of its lane."""
    is_new = (now() - job.created_at).total_seconds() < PATIENCE_SECONDS or job.fence > 0
    kinds = next(kinds for kinds in LANES if job.kind in kinds)
    at_work = select(Job.id).where(Job.kind.in_(kinds), Job.state == "running").limit(1)
    return not is_new and db.session.scalar(at_work) is None


def _in_turn(kinds: tuple[str, ...]) -> Iterable[tuple[Job, float | None]]:
    """The waiting jobs of a lane in turn, each with the seconds until it may begin."""
    waiting = [db.session.get(Job, found) for found in db.session.scalars(queue.in_turn(kinds).limit(MOST))]
    waiting = [job for job in waiting if job.state == "queued"]
    at_work = db.session.scalars(select(Job).where(Job.kind.in_(kinds), Job.state == "running")).all()
    begins = estimates.begin_in(
        [estimates.remaining_seconds(job) for job in at_work],
        [estimates.usual_seconds(job) for job in waiting],
        max(len(at_work), _lanes(kinds)),
    )
    return zip(waiting, begins, strict=True)


def _lanes(kinds: tuple[str, ...]) -> int:
    """How many of them one worker does at once."""
    return local.list_lanes(current_app.config["PIGEONHOLE"]).count(kinds)


def _what(job: Job, dataset: Dataset | None) -> tuple[str, str | None]:
    """What the job is, and the address of its page, where there is one and it may be opened."""
    words = KINDS.get(job.kind, job.kind)
    if job.kind == "run" and (run := db.session.scalar(select(Run).where(Run.job_id == job.id))):
        link = dataset and url_for("runs.show", slug=dataset.slug, name=run.folder)
        return f"{words}: {recipe_name(run.recipe)}", link
    if job.kind == "import" and dataset:
        import_id = db.session.scalar(select(Import.id).where(Import.job_id == job.id))
        return words, import_id and url_for("imports.show", slug=dataset.slug, import_id=import_id)
    if job.kind == "predict" and dataset and (batch := batches.find_by_job(job)):
        return words, url_for("batches.show", slug=dataset.slug, batch_id=batch.id)
    return words, None


def _still(seconds: float | None) -> str:
    return "" if seconds is None else f"{_roughly(seconds)} left"


def _begins(seconds: float | None) -> str:
    if seconds is None:
        return "nobody knows yet when"
    return "next" if seconds < 1 else f"in {_roughly(seconds)}"


def _roughly(seconds: float) -> str:
    """A guess as a person says it: no seconds."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min" if minutes else "under a minute"
    return f"about {minutes // 60} h {minutes % 60:02d} min"
