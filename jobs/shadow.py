"""The shadow lane: challengers answer what the live versions have answered, when nobody waits for it.

It follows the predictions by their ids, a few at a time. Where it lags too far behind, it takes every second
prediction, or third …, and counts those that it passed over. Nothing here touches a prediction.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import joinedload

from datasets import renaming, storage
from jobs import training
from models import Challenge, Prediction, ShadowAnswer, Version, db
from serving import prediction
from serving.classifier import Busy, VersionUnusable
from serving.feedback import labels_said
from serving.prediction import Answer
from transactions import start_reading
from utils import ImageRefused, lock_file

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
AT_ONCE = 16  # predictions answered between two looks at the database
MOST_BEHIND = 1_000  # predictions; further behind it takes samples
NICEST = 19
UNEXPECTED = "It failed on an image ({}). The worker's log has the details."


@dataclass(frozen=True)
class Turn:
    """What one challenger does next: what it answers, how many it passes over, and how far it is then.

    `names` and `live_names`: what the labels of the challenger and of the live version are called today.
    """

    challenge: Challenge
    names: dict[str, str]
    live_names: dict[str, str]
    was_at: int
    chosen: list[Prediction]
    passed_over: int
    goes_to: int


def work(app: Flask, ending: threading.Event) -> None:
    """Answer in the shadow until `ending` is set."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICEST)  # this thread alone
    while not ending.is_set():
        with app.app_context():
            has_answered = _try_to_answer()
        if not has_answered:
            ending.wait(IDLE_SECONDS)


def _try_to_answer() -> bool:
    try:
        with lock_file(current_app.config["PIGEONHOLE"].instance / "shadow.lock", wait=False):
            return answer_some()
    except BlockingIOError:
        return False  # another worker is at it
    except OperationalError as error:
        logger.warning("The database does not answer (%s); challengers answer later.", error.orig)
        return False


def answer_some() -> bool:
    """Let each challenger answer a few predictions, and commit; false when there were none."""
    start_reading()
    waiting = list(db.session.scalars(select(Challenge.id).where(Challenge.trouble.is_(None))))
    took = [_take_turn(challenge_id) for challenge_id in waiting]
    db.session.rollback()
    return any(took)


def _take_turn(challenge_id: int) -> bool:
    """Let a challenger answer a few predictions; one that can't is given up with a word."""
    start_reading()
    turn = _plan(challenge_id)
    if turn is None:
        return False
    answers, trouble = [], None
    try:
        answers = [(one, answer) for one in turn.chosen if (answer := _ask(turn.challenge.version, one))]
    except VersionUnusable as error:
        trouble = str(error)
    except Exception as error:
        logger.exception("Version %s failed as a challenger.", turn.challenge.version.number)
        trouble = UNEXPECTED.format(type(error).__name__)
    rows = [_as_row(one, answer, turn) for one, answer in answers]
    db.session.rollback()  # nothing was locked until here
    _keep(challenge_id, turn, rows, trouble)
    return True


def _plan(challenge_id: int) -> Turn | None:
    """Choose what is answered next; None where nothing came in."""
    version = joinedload(Challenge.version)
    parts = (version.joinedload(Version.run), version.joinedload(Version.dataset))
    challenge = db.session.get(Challenge, challenge_id, options=parts)
    if challenge is None:
        return None
    newer = (Prediction.dataset_id == challenge.dataset_id, Prediction.id > challenge.seen_id)
    behind = db.session.scalar(select(func.count(Prediction.id)).where(*newer))
    step = max(1, -(-behind // MOST_BEHIND))
    query = select(Prediction.id, Prediction.version_id, Prediction.filename).where(*newer)
    rows = db.session.execute(query.order_by(Prediction.id).limit(AT_ONCE * step)).all()
    if not rows:
        return None
    dataset = challenge.version.dataset
    live = training.find_version(dataset, dataset.live_version)
    mine = [row.id for row in rows if live and row.version_id == live.id and row.filename]
    chosen = mine[::step]
    found = db.session.scalars(select(Prediction).where(Prediction.id.in_(chosen)).order_by(Prediction.id))
    names, live_names = (renaming.names_taught(one.run) if one else {} for one in (challenge.version, live))
    passed_over = len(mine) - len(chosen)
    return Turn(challenge, names, live_names, challenge.seen_id, list(found), passed_over, rows[-1].id)


def _ask(version: Version, asked: Prediction) -> Answer | None:
    """What the version says of the image; None where that is gone, or can't be read (any more)."""
    try:
        return prediction.predict(version, storage.read_original(asked.filename))
    except (FileNotFoundError, ImageRefused, Busy):
        return None


def _as_row(asked: Prediction, answer: Answer, turn: Turn) -> ShadowAnswer:
    said = answer.as_json()
    labels = list(said["labels"]) if said["label"] is not None else []
    theirs = renaming.rename(labels_said(asked), turn.live_names)
    return ShadowAnswer(
        prediction_id=asked.id,
        version_id=answer.version_id,
        labels=labels,
        reason=answer.reason,
        probability=answer.probabilities[0][1] if answer.probabilities else 0.0,
        is_same=set(renaming.rename(labels, turn.names)) == set(theirs),
        milliseconds=answer.total_milliseconds,
    )


def _keep(challenge_id: int, turn: Turn, rows: list[ShadowAnswer], trouble: str | None) -> None:
    """Write down what was answered, and how far it is; unless it was ended, or another worker was faster."""
    values = (
        {"trouble": trouble[:300]}
        if trouble
        else {
            "seen_id": turn.goes_to,
            "passed_over": Challenge.passed_over + turn.passed_over,
        }
    )
    mine = (Challenge.id == challenge_id, Challenge.seen_id == turn.was_at)
    taken = update(Challenge).where(*mine).values(**values)
    if db.session.execute(taken, execution_options={"synchronize_session": False}).rowcount == 1:
        asked = [row.prediction_id for row in rows]
        there = set(db.session.scalars(select(Prediction.id).where(Prediction.id.in_(asked))))
        db.session.add_all(row for row in rows if row.prediction_id in there)
    db.session.commit()
