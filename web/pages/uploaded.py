"""Uploaded models: taken in and looked at, before the train page asks about them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, jsonify, redirect, request, url_for
from werkzeug.datastructures import FileStorage

from datasets.names import make_inert
from jobs import uploaded
from learning.uploads.facts import ModelRefused
from models import db
from web.access import get_dataset
from web.errors import wants_json
from web.limits import limits

blueprint = Blueprint("uploaded", __name__, url_prefix="/datasets/<slug>/models")

MIB = 1024 * 1024


@blueprint.post("/")
@limits(body="MAX_MODEL", rate="upload")
def add(slug: str) -> Any:
    """Take a model, look at it in processes of its own, and go on to the questions about it."""
    dataset = get_dataset(slug, "editor")
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        abort(422, "Choose a model file.")
    if reason := uploaded.why_not():
        abort(409, reason)
    dataset_id = dataset.id
    db.session.rollback()  # looking takes seconds: nobody waits for us
    address = url_for("runs.index", slug=slug, recipe="uploaded", model=_look(sent, dataset_id))
    return (jsonify(url=address), 201) if wants_json() else redirect(address, 303)


def _look(sent: FileStorage, dataset_id: int) -> str:
    folder = uploaded.make_folder()
    try:
        path = _save(sent, folder / "sent")
        return uploaded.look(folder, path, make_inert(sent.filename), dataset_id)
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
