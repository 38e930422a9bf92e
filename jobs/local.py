"""The worker on this machine: a lane for each of the quick kinds of work, RUN_LANES lanes for runs.

Beside them threads of their own send what webhooks are told, so that no slow receiver keeps a job waiting,
and one lets challengers answer in the shadow (jobs/shadow.py).

It may be killed at any moment without harm. Asked to end (SIGTERM), it ends its trainer, gives its jobs back
to the queue and leaves; no trainer outlives it.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy.exc import OperationalError

from config import Config
from jobs import (
    batches,
    deliveries,
    embedding,
    examining,
    imports,
    leftovers,
    previews,
    queue,
    run_lane,
    shadow,
)
from models import Job, db

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.3  # between two looks at an empty queue
# A long run keeps no image waiting, and a long import nobody who looks at samples.
QUICK_KINDS, SAMPLE_KINDS, RUN_KINDS = ("import", "embed"), ("preview",), ("run",)
BATCH_KINDS, EXAMINE_KINDS = ("predict",), ("examine",)
SENDERS = 4  # threads that send to webhooks: a slow receiver occupies one of them
NICENESS = 10  # pages and predictions go first
DIED_TOO_OFTEN = "This was tried {} times and its worker died each time. Try it in smaller parts."
GONE = "Job %s (%s) was deleted or taken over while at work on it."

WORK: dict[str, Callable[[queue.Claim, Callable[[], bool]], None]] = {
    "import": imports.work_through,
    "embed": embedding.embed_dataset,
    "preview": previews.draw_all,
    "predict": batches.work_through,
    "examine": examining.examine,
    "run": run_lane.do_run,
}


@dataclass
class Shift:
    """One worker's life: its name, what it holds, and the wish to end."""

    app: Flask
    name: str
    ending: threading.Event = field(default_factory=threading.Event)
    held: set[queue.Claim] = field(default_factory=set)


def work(app: Flask, ending: threading.Event) -> None:
    """Work on the queue until `ending` is set; the calling thread only waits."""
    shift = Shift(app, make_name(), ending)
    lanes = list_lanes(app.config["PIGEONHOLE"])
    threads = [threading.Thread(target=_work_lane, args=(shift, kinds), name=kinds[0]) for kinds in lanes]
    threads.append(threading.Thread(target=_beat, args=(shift,), name="heartbeat", daemon=True))
    threads += [threading.Thread(target=deliveries.work, args=(app, ending)) for _ in range(SENDERS)]
    threads.append(threading.Thread(target=shadow.work, args=(app, ending), name="shadow"))
    for thread in threads:
        thread.start()
    while not ending.wait(1.0):
        if not all(thread.is_alive() for thread in threads):
            ending.set()  # whoever supervises us starts us anew
    for thread in threads:
        thread.join()


def list_lanes(settings: Config) -> list[tuple[str, ...]]:
    """The kinds of jobs that each lane of a worker takes."""
    return [QUICK_KINDS, SAMPLE_KINDS, BATCH_KINDS, EXAMINE_KINDS, *[RUN_KINDS] * max(1, settings.run_lanes)]


def see_through(app: Flask, job_id: int, ending: threading.Event, tell: Callable[[Job], None]) -> None:
    """Wait until a job has ended, doing it here unless another worker is faster.

    `tell` is called with the job all the while. When `ending` is set the job goes back to the queue; one that
    is deleted has ended too.
    """
    shift = Shift(app, make_name(), ending)
    hands = threading.Thread(target=_work_on, args=(shift, job_id))
    threading.Thread(target=_beat, args=(shift,), daemon=True).start()
    hands.start()
    while not ending.wait(IDLE_SECONDS):
        with app.app_context():
            job = db.session.get(Job, job_id)
            if job is None:
                break
            tell(job)
            if job.state in queue.ENDS:
                break
    ending.set()
    hands.join()


def _work_on(shift: Shift, job_id: int) -> None:
    while not shift.ending.is_set():
        _try_work(shift, (), job_id)
        shift.ending.wait(IDLE_SECONDS)


def make_name() -> str:
    """A name for one worker: its machine and something random."""
    return f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"


def be_nice() -> None:
    """Let the web side go first wherever both want the processor."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def _work_lane(shift: Shift, kinds: tuple[str, ...]) -> None:
    while not shift.ending.is_set():
        if not _try_work(shift, kinds):
            shift.ending.wait(IDLE_SECONDS)
            if "embed" in kinds:
                _sweep(shift)


def _sweep(shift: Shift) -> None:
    with shift.app.app_context():
        try:
            leftovers.sweep_when_due()
        except (OperationalError, OSError) as error:
            logger.warning("Sweeping failed (%s); it is tried again later.", error)


def _try_work(shift: Shift, kinds: tuple[str, ...], job_id: int | None = None) -> bool:
    """Do a job if there is one; a database that is busy or away is only waited for."""
    with shift.app.app_context():
        try:
            return work_once(shift, kinds, job_id)
        except OperationalError as error:
            logger.warning("The database does not answer (%s); trying again.", error.orig)
            return False


def work_once(shift: Shift, kinds: tuple[str, ...], job_id: int | None = None) -> bool:
    """Claim a job (`job_id`, or the next of `kinds`) and do it; false when there was none to claim."""
    claim = queue.claim(shift.name, kinds, job_id)
    db.session.commit()
    if claim is None:
        return False
    shift.held.add(claim)
    try:
        _do(shift, claim)
    finally:
        shift.held.discard(claim)
    return True


def _do(shift: Shift, claim: queue.Claim) -> None:
    try:
        if claim.attempts > queue.MAX_ATTEMPTS:
            return _fail(claim, DIED_TOO_OFTEN.format(queue.MAX_ATTEMPTS))
        return WORK[claim.kind](claim, shift.ending.is_set)
    except queue.ClaimLost as lost:
        db.session.rollback()
        return logger.warning("%s", lost)
    except OperationalError:
        db.session.rollback()
        raise
    except Exception as error:
        db.session.rollback()
        if not queue.is_held(claim):  # what it worked on was deleted under its hands
            return logger.warning(GONE, claim.job_id, claim.kind)
        logger.exception("Job %s (%s) failed.", claim.job_id, claim.kind)
        return _fail(claim, f"An unexpected error: {error}. The worker's log has the details.")


def _fail(claim: queue.Claim, message: str) -> None:
    try:
        queue.settle(claim, "failed", message)
        db.session.commit()
    except queue.ClaimLost:
        db.session.rollback()  # deleted, or another's


def _beat(shift: Shift) -> None:
    """Renew the leases of what this worker holds, four times in the life of one."""
    pause = shift.app.config["PIGEONHOLE"].worker_lease_seconds / 4
    while not shift.ending.wait(pause) or shift.held:
        for claim in tuple(shift.held):
            with shift.app.app_context():
                _renew(claim)
        time.sleep(0.1 if shift.ending.is_set() else 0)


def _renew(claim: queue.Claim) -> None:
    try:
        queue.heartbeat(claim)
    except OperationalError as error:
        logger.warning("A lease could not be renewed (%s).", error.orig)
