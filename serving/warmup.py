"""Warming up: what answers for the live versions is loaded and has run before anybody waits for it."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from pathlib import Path

import numpy as np
from flask import Flask
from PIL import Image
from sqlalchemy import and_, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import joinedload

from models import Dataset, LiveChange, Version, db
from serving import classifier, prediction
from transactions import start_reading

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at what has gone live

_turn = threading.Lock()
_tried: set[str] = set()  # run folders whose versions have answered in this process, or could not


def warm_up() -> None:
    """Answer one made-up photo with every live version that has not answered in this process yet.

    The newest come first; those whose interpreter would make an earlier one go wait for somebody to ask. A
    version whose files are missing or damaged is logged and left: it keeps nobody else from answering.
    """
    with _turn:
        start_reading()  # the network runs without a lock
        files: set[Path] = set()
        for version in _live_versions():
            try:
                files.add(classifier.file_of(version))
                if len(files) <= classifier.INTERPRETERS_KEPT:
                    _answer_once(version)
            except classifier.VersionUnusable as error:
                _warn_once(version, error)
            except classifier.Busy:
                continue  # so many ask it that it is warm by then


def keep_warm(app: Flask, seen: int | None) -> None:
    """Warm up whenever something has gone live, whichever process was told; to be run in a daemon thread."""
    while True:
        time.sleep(LOOK_SECONDS)
        with app.app_context():
            try:
                seen = warm_what_is_new(seen)
            except SQLAlchemyError:
                continue  # who asks for anything is told; it is looked at again


def warm_what_is_new(seen: int | None = None) -> int:
    """Warm up if something has gone live since `seen`; return what to give the next time.

    Args:
        seen: what it returned the time before; None the first time.
    """
    start_reading()
    newest = db.session.scalar(select(func.max(LiveChange.id))) or 0
    if newest != seen:
        warm_up()
    db.session.rollback()
    return newest


def _answer_once(version: Version) -> None:
    if version.run.folder not in _tried:
        prediction.predict(version, _make_photo())
        _tried.add(version.run.folder)


def _warn_once(version: Version, error: classifier.VersionUnusable) -> None:
    if version.run.folder not in _tried:
        logger.warning("Version %s of %s: %s", version.number, version.dataset.slug, error)
        _tried.add(version.run.folder)


def _live_versions() -> list[Version]:
    """Return the live versions of the newest datasets, as many as are kept loaded."""
    is_live = and_(Version.dataset_id == Dataset.id, Version.number == Dataset.live_version)
    query = select(Version).join(Dataset, is_live).order_by(Dataset.id.desc()).limit(classifier.HEADS_KEPT)
    return list(db.session.scalars(query.options(joinedload(Version.run), joinedload(Version.dataset))))


def _make_photo() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def forget() -> None:
    """Know nothing of what a parent process has warmed."""
    global _turn
    _turn = threading.Lock()
    _tried.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
