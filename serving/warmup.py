"""Warming up: what answers for the live versions is loaded and has run before anybody waits for it."""

from __future__ import annotations

import io
import logging
import os
import threading

import numpy as np
from PIL import Image
from sqlalchemy import and_, select
from sqlalchemy.orm import joinedload

from models import Dataset, Version, db
from serving import classifier, prediction

logger = logging.getLogger(__name__)

_turn = threading.Lock()
_tried: set[str] = set()  # run folders whose versions have answered in this process, or could not


def warm_up() -> None:
    """Answer one made-up photo with every live version that has not answered in this process yet.

    A version whose files are missing or damaged is logged and left: it keeps nobody else from answering.
    """
    with _turn:
        db.session.rollback()
        db.session.connection(execution_options={"is_reading": True})  # the network runs without a lock
        for version in _live_versions():
            if version.run.folder in _tried:
                continue
            _tried.add(version.run.folder)
            try:
                prediction.predict(version, _make_photo())
            except classifier.VersionUnusable as error:
                logger.warning("Version %s of %s: %s", version.number, version.dataset.slug, error)


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
