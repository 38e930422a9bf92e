"""From an image somebody sent to a stored answer, for the page and for the API alike."""

from __future__ import annotations

from flask import abort
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import contains_eager, defer, joinedload
from sqlalchemy.orm.attributes import set_committed_value

from datasets.names import make_inert
from models import Dataset, Prediction, Run, Version, db
from serving import prediction
from serving.classifier import Busy, VersionUnusable
from serving.prediction import Answer
from transactions import end_reading, start_reading
from utils import ImageRefused
from web import measures, tokens
from web.access import find_dataset, get_user, has_role

Outcome = Answer | ImageRefused

# Built once, and without the figures, which may be large: every prediction asks it.
_VERSION = (
    select(Version)
    .where(Version.dataset_id == bindparam("dataset_id"), Version.number == bindparam("number"))
    .options(joinedload(Version.run).load_only(Run.folder), defer(Version.metrics))
)


def rehearse() -> None:
    """Ask the database once what every prediction asks, about nothing: none has to wait until that is SQL."""
    start_reading()
    tokens.find_token(tokens.generate())
    find_dataset("", None)
    db.session.scalar(_VERSION, {"dataset_id": 0, "number": 0})
    db.session.rollback()


def find_version(dataset: Dataset, number: int | None = None) -> Version:
    """Return the version of that number, or the live one; abort with 404, or 409 where none is live."""
    if number is None and dataset.live_version is None:
        abort(409, "This dataset has no version that could answer yet. Train one first.")
    wanted = number if number is not None else dataset.live_version
    version = db.session.scalar(_VERSION, {"dataset_id": dataset.id, "number": wanted})
    if version is None:
        abort(404, f"This dataset has no version {wanted}.")
    set_committed_value(version, "dataset", dataset)
    return version


def find_faulty_live(dataset: Dataset) -> Version | None:
    """Return the dataset's live version if its files are faulty, so that it is not served; else None."""
    query = select(Version).filter_by(dataset_id=dataset.id, number=dataset.live_version)
    return db.session.scalar(query.where(Version.fault.is_not(None)).options(defer(Version.metrics)))


def answer_all(version: Version, files: list[tuple[str, bytes]]) -> list[Outcome]:
    """Answer (sent name, bytes) pairs in order, keep the images and the answers, and commit.

    No transaction is open while the network works; then all rows are written in one short one. Aborts with
    404 when the dataset was deleted meanwhile, with 409 when the version's files are missing or damaged, with
    503 when too many predictions wait.
    """
    user = get_user()
    user_id = user.id if user else None
    end_reading()
    outcomes = [_answer(version, content) for _, content in files]
    for outcome in outcomes:
        measures.count_prediction(version.dataset.slug, version.number, outcome)
    try:
        for (sent_name, content), outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, Answer):
                prediction.keep(outcome, content, make_inert(sent_name), user_id)
        db.session.commit()
    except IntegrityError:
        abort(404, "The dataset was deleted while this was being answered.")
    return outcomes


def _answer(version: Version, content: bytes) -> Outcome:
    try:
        return prediction.predict(version, content)
    except ImageRefused as error:
        return error
    except VersionUnusable as error:
        abort(409, str(error))
    except Busy as error:
        measures.count_queue_full()
        abort(503, str(error))


def get_prediction(filename: str) -> Prediction:
    """Return the prediction of an image's filename; abort with 404, or 401 for nobody, who can't see it."""
    return get_prediction_of(filename=filename)


def get_prediction_of(**which: str) -> Prediction:
    """Return the prediction of that `filename` or `public_id`; abort as `get_prediction` does.

    Members of its dataset see it and, where the dataset's predict page is public, everybody with the link.
    """
    user = get_user()
    query = select(Prediction).filter_by(**which).join(Prediction.dataset)
    found = db.session.scalar(query.options(contains_eager(Prediction.dataset)))
    if found is None or not (found.dataset.is_public or has_role(user, found.dataset, "viewer")):
        abort(404 if user else 401)
    return found
