"""Images and thumbnails: always our own decoding without metadata, only for those who may see them."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request
from sqlalchemy import select

from datasets import storage
from models import Dataset, Item, db
from utils import ImageRefused
from web.access import get_user, has_role, public
from web.answers import get_prediction
from web.limits import limits

blueprint = Blueprint("images", __name__)

CONTENT_SECURITY_POLICY = "sandbox; default-src 'none'"
CACHE_SECONDS = 3600


@blueprint.get("/images/<filename>")
@public
@limits(rate="images")
def view(filename: str) -> Response:
    """Show an item's or a prediction's image upright, at most 1,600 pixels a side."""
    _authorise(filename)
    return _answer(f"view-{filename}", lambda: storage.read_view(filename))


@blueprint.get("/thumbnails/<filename>")
@public
@limits(rate="images")
def thumbnail(filename: str) -> Response:
    """Show the small square of an item's or a prediction's image."""
    _authorise(filename)
    return _answer(f"thumbnail-{filename}", lambda: (storage.read_thumbnail(filename), "image/jpeg"))


def _authorise(filename: str) -> None:
    """Abort with 404 (401 for strangers) unless it is an item of the user's, or a prediction they may see."""
    query = select(Dataset).join(Item, Item.dataset_id == Dataset.id).where(Item.filename == filename)
    dataset = db.session.scalar(query)
    if dataset is None:
        get_prediction(filename)
    elif not has_role(user := get_user(), dataset, "viewer"):
        abort(404 if user else 401)


def _answer(tag: str, read) -> Response:
    """Answer with what `read` gives, bytes and media type, or with 304 where the browser has it already."""
    response = Response()
    response.set_etag(tag)
    response.headers["Cache-Control"] = f"private, max-age={CACHE_SECONDS}"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if not request.if_none_match.contains(tag):
        try:
            content, response.mimetype = read()
        except FileNotFoundError:
            abort(404)
        except ImageRefused:
            abort(409, "The stored image is damaged. Restore it from a backup, or delete it.")
        response.set_data(content)
    return response.make_conditional(request)
