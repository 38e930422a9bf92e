"""Sample images, varied as the settings of a form say, before anything is trained."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, abort, jsonify, request, send_file, url_for
from werkzeug.wrappers import Response

from jobs import previews
from models import Dataset, db
from transactions import end_reading
from web import work
from web.access import get_dataset, get_user
from web.errors import wants_json
from web.limits import limits
from web.pages import runs
from web.recipes import fine_tune
from web.recipes.fields import Form, FormRefused, read_options

blueprint = Blueprint("samples", __name__, url_prefix="/datasets/<slug>/runs/samples")

RECIPE = "fine-tune"
DRAWN = "Each row begins with the image itself; three variations follow."


@blueprint.post("")
@limits(is_reading=True)
def make(slug: str) -> Any:
    """Ask for a picture of the form's settings: the page again with it, or for a script where to look."""
    dataset = get_dataset(slug, "editor")
    form = Form(request.form)
    try:
        chosen = read_options(RECIPE, request.form)
        images = previews.choose(dataset)
    except FormRefused as wrong:
        return runs.page(dataset, RECIPE, Form(request.form, wrong.errors)), 422
    except previews.NothingToShow as problem:
        abort(409, str(problem))
    user = get_user()
    end_reading()  # decoding is done: the writing is short
    key = previews.request(dataset, user, _shown(chosen), images)
    db.session.commit()
    facts = _facts(dataset, key)
    return jsonify(facts) if wants_json() else runs.page(dataset, RECIPE, form, samples=facts)


@blueprint.get("/<key>.json")
def progress(slug: str, key: str) -> Response:
    """How far the picture is."""
    return jsonify(_facts(get_dataset(slug), _check(key)))


@blueprint.get("/<key>.webp")
def picture(slug: str, key: str) -> Response:
    """The picture: a row an image, itself first."""
    path = previews.folder_of(get_dataset(slug).id, _check(key)) / previews.PICTURE
    if not path.exists():
        abort(404)
    return send_file(path, mimetype="image/webp", max_age=3600)


def _check(key: str) -> str:
    if not (key.isascii() and key.isalnum()):
        abort(404)
    return key


def _shown(chosen: dict[str, Any]) -> dict[str, Any]:
    """The settings that the picture depends on."""
    return {name: chosen[name] for name in (*fine_tune.VARIED, "seed")}


def _facts(dataset: Dataset, key: str) -> dict[str, Any]:
    """Where the picture is, or what goes on until it is."""
    folder = previews.folder_of(dataset.id, key)
    if not (folder / "settings.json").exists():
        abort(404)
    address = url_for("samples.progress", slug=dataset.slug, key=key)
    facts = {"address": address, "picture": None, "is_over": False, "words": _words(dataset, folder)}
    if (folder / previews.PICTURE).exists():
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        picture = url_for("samples.picture", slug=dataset.slug, key=key)
        return facts | {"picture": picture, "is_over": True, "words": DRAWN, "settings": settings}
    return facts | {"is_over": (folder / previews.FAILED).exists()}


def _words(dataset: Dataset, folder: Any) -> str:
    job = previews.latest_job(dataset)
    if (folder / previews.FAILED).exists():
        return "The samples could not be drawn; the worker's log says why."
    if job is not None and job.state == "running":
        return "Drawing: the first time this takes about ten seconds …"
    return f"{work.WORDS['queued']} …"
