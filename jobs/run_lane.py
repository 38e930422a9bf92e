"""One run from claim to end: its trainer started, watched, ended where it must be, and its result settled."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from jobs import faults, memory, queue, runs, trainers, training
from jobs.embedding import request_embedding
from jobs.examining import request_if_changed
from models import Run, db

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1  # between two looks at the run folder
REPORT_SECONDS = 0.5  # between two reports to the job
STOP_SECONDS = 30  # a trainer asked to stop that has not by then is ended
ABANDONED = "The worker died while this run was training. Resume it: what was done is kept."


def do_run(claim: queue.Claim, is_ending: Callable[[], bool]) -> None:
    """Do a run's job to its end.

    A run is never trained twice: where its worker died, its trainer is watched if it still lives, its result
    is taken if there is one, and else the run is `interrupted`. When this worker is ending, it ends the
    trainer and the run goes back to the queue.

    Raises:
        queue.ClaimLost: another worker has taken the job over; the trainer was ended.
    """
    run_id, folder = _find_run(claim)
    process, reason = None, None
    if runs.is_alive(folder):
        reason = _watch(claim, run_id, folder, None, is_ending)
    elif not _is_complete(folder) and (not claim.is_taken_over or runs.read_result(folder)):
        reason = trainers.refusal(folder)
        process = None if reason else trainers.start_run(folder)
        reason = reason or _watch(claim, run_id, folder, process, is_ending)
    if is_ending() and not _is_complete(folder):
        queue.put_back(claim)
        db.session.commit()
        return
    _settle(claim, run_id, *_how_it_ended(folder, process, reason))


def _find_run(claim: queue.Claim) -> tuple[int, Path]:
    run = db.session.scalar(select(Run).where(Run.job_id == claim.job_id))
    if run is None:
        raise queue.ClaimLost("The run was deleted.")
    found = run.id, training.folder_of(run)
    db.session.rollback()  # nothing is held while the trainer works
    return found


def _watch(
    claim: queue.Claim,
    run_id: int,
    folder: Path,
    process: subprocess.Popen | None,
    is_ending: Callable[[], bool],
) -> str | None:
    """Wait for the trainer's end (`process`, or one that an earlier worker left); end it where it must be.

    Returns why it was ended from outside, or None.
    """
    limits = Limits(folder, process)
    next_report = 0.0
    try:
        while _is_working(folder, process):
            if is_ending() or (reason := limits.exceeded()):
                return None if is_ending() else reason
            if time.monotonic() > next_report:
                _report_if_possible(claim, run_id, folder)
                next_report = time.monotonic() + REPORT_SECONDS
            time.sleep(LOOK_SECONDS)
        return None
    finally:
        _end(folder, process)


class Limits:
    """How long a trainer may take, stay silent and ignore the wish to stop, and what memory it may hold."""

    def __init__(self, folder: Path, process: subprocess.Popen | None = None):
        settings = current_app.config["PIGEONHOLE"]
        self.folder = folder
        self.read_to = runs.read_progress(folder)[1]
        self.started = self.last_news = time.monotonic()
        self.stop_asked: float | None = None
        self.max_minutes = settings.run_max_minutes
        self.stall_minutes = settings.run_stall_minutes
        self.process = process
        self.max_memory = trainers.max_memory(folder)

    def exceeded(self) -> str | None:
        """Look at the folder; return a sentence for a person when the trainer has to be ended."""
        moment = time.monotonic()
        events, self.read_to = runs.read_progress(self.folder, self.read_to)
        if events:
            self.last_news = moment
        if self.stop_asked is None and runs.is_stop_asked(self.folder):
            self.stop_asked = moment
        if self.stop_asked is not None and moment - self.stop_asked > STOP_SECONDS:
            return "The trainer did not stop when asked and was ended."
        if moment - self.started > 60 * self.max_minutes:
            return f"It took longer than {self.max_minutes} minutes (RUN_MAX_MINUTES) and was ended."
        if moment - self.last_news > 60 * self.stall_minutes:
            return f"It was silent for {self.stall_minutes} minutes (RUN_STALL_MINUTES) and was ended."
        if self.process and self.max_memory and memory.held_by(self.process.pid) > self.max_memory:
            return f"It used more than {self.max_memory / 2**30:.1f} GB of memory and was ended."
        return None


def _is_working(folder: Path, process: subprocess.Popen | None) -> bool:
    return runs.is_alive(folder) if process is None else process.poll() is None


def _report_if_possible(claim: queue.Claim, run_id: int, folder: Path) -> None:
    """Report; a database that is busy or away ends no training, and is told the next time."""
    try:
        _report(claim, run_id, folder)
    except OperationalError as error:
        db.session.rollback()
        logger.warning("Progress was not written (%s).", error.orig)


def _report(claim: queue.Claim, run_id: int, folder: Path) -> None:
    """Copy the trainer's last word to the job, hand on the wish to stop, show the version once it answers."""
    last = runs.read_last_event(folder)
    queue.report(claim, last.get("phase"), last.get("done"), last.get("total"))
    if queue.is_stop_asked(claim):
        runs.ask_to_stop(folder)
    training.settle_run(db.session.get(Run, run_id))
    db.session.commit()


def _end(folder: Path, process: subprocess.Popen | None) -> None:
    if process is not None:
        return trainers.end(process)
    if runs.is_alive(folder):
        runs.ask_to_stop(folder)
    patience_ends = time.monotonic() + STOP_SECONDS
    while runs.is_alive(folder) and time.monotonic() < patience_ends:
        time.sleep(LOOK_SECONDS)
    return None


def _is_complete(folder: Path) -> bool:
    """Whether the run has ended; after the head's first result the whole network is still to be exported."""
    result = runs.read_result(folder)
    return result is not None and (result["state"] != "finished" or result.get("is_exported", True))


def _how_it_ended(
    folder: Path, process: subprocess.Popen | None, reason: str | None
) -> tuple[str, str | None]:
    """The job's state, and a sentence for a person where it did not finish."""
    if _is_complete(folder):
        result = runs.read_result(folder)
        return result["state"], result.get("message")
    if runs.is_stop_asked(folder):
        return "cancelled", None
    if reason is not None:
        return "failed", reason
    if process is None:
        return "interrupted", ABANDONED
    return ("interrupted" if process.returncode < 0 else "failed"), trainers.describe_end(process)


def _settle(claim: queue.Claim, run_id: int, state: str, message: str | None) -> None:
    if not queue.is_held(claim):  # the run may be deleted by now
        raise queue.ClaimLost(f"Job {claim.job_id} was deleted or taken over by another worker.")
    run = db.session.get(Run, run_id)
    training.settle_run(run)
    queue.settle(claim, state, message)  # webhooks are told of the version too
    request_embedding(run.dataset)  # of what came in meanwhile
    request_if_changed(run.dataset)
    version_id = run.version.id if run.version else None
    db.session.commit()
    if version_id:
        faults.look_at(version_id)
