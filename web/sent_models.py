"""A model that was sent, saved and looked at in processes of its own: the same for the page and the API."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flask import abort, request
from werkzeug.datastructures import FileStorage

from datasets.names import make_inert
from jobs import uploaded
from learning.uploads.facts import ModelRefused
from models import db

MIB = 1024 * 1024


def sent_model(field: str) -> FileStorage:
    """Return the model of this request; abort with 422 without one, with 409 where none is taken."""
    sent = request.files.get(field)
    if sent is None or not sent.filename:
        abort(422, "Choose a model file.")
    if reason := uploaded.why_not():
        abort(409, reason)
    return sent


def look_at(sent: FileStorage, dataset_id: int) -> str:
    """Return the name under which the model's clean copy waits for a run.

    No transaction is open meanwhile: looking takes seconds. Aborts with 422 where the model is refused, with
    503 while others are looked at.
    """
    db.session.rollback()
    folder = uploaded.make_folder()
    try:
        return uploaded.look(folder, _save(sent, folder / "sent"), make_inert(sent.filename), dataset_id)
    except ModelRefused as refused:
        abort(422, str(refused))
    except uploaded.LookingBusy as busy:
        abort(503, str(busy))
    finally:
        if not (folder / uploaded.FACTS).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _save(sent: FileStorage, path: Path) -> Path:
    with path.open("xb") as file:
        shutil.copyfileobj(sent.stream, file, MIB)
        file.flush()
        os.fsync(file.fileno())
    return path
