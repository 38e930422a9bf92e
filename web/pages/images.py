"""Images and thumbnails: always our own decoding without metadata, only for those who may see them."""

from __future__ import annotations

from flask import Blueprint, Response, abort
from sqlalchemy import select

from models import Dataset, Item, db
from web import served_images
from web.access import get_user, has_role, public
from web.answers import get_prediction
from web.limits import limits

blueprint = Blueprint("images", __name__)


@blueprint.get("/images/<filename>")
@public
@limits(rate="images")
def view(filename: str) -> Response:
    """Show an item's or a prediction's image upright, at most 1,600 pixels a side."""
    _authorise(filename)
    return served_images.view(filename)


@blueprint.get("/thumbnails/<filename>")
@public
@limits(rate="images")
def thumbnail(filename: str) -> Response:
    """Show the small square of an item's or a prediction's image."""
    _authorise(filename)
    return served_images.thumbnail(filename)


def _authorise(filename: str) -> None:
    """Abort with 404 (401 for strangers) unless it is an item of the user's, or a prediction they may see."""
    query = select(Dataset).join(Item, Item.dataset_id == Dataset.id).where(Item.filename == filename)
    dataset = db.session.scalar(query)
    if dataset is None:
        get_prediction(filename)
    elif not has_role(user := get_user(), dataset, "viewer"):
        abort(404 if user else 401)
