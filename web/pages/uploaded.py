"""Uploaded models: taken in and looked at, before the train page asks about them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, redirect, url_for

from web.access import get_dataset
from web.errors import wants_json
from web.limits import limits
from web.sent_models import look_at, sent_model

blueprint = Blueprint("uploaded", __name__, url_prefix="/datasets/<slug>/models")


@blueprint.post("/")
@limits(body="MAX_MODEL", rate="upload")
def add(slug: str) -> Any:
    """Take a model, look at it in processes of its own, and go on to the questions about it."""
    dataset = get_dataset(slug, "editor")
    name = look_at(sent_model("file"), dataset.id)
    address = url_for("runs.index", slug=slug, recipe="uploaded", model=name)
    return (jsonify(url=address), 201) if wants_json() else redirect(address, 303)
