"""Label lists without images: they label what is in the dataset already."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, url_for
from werkzeug.wrappers import Response

from web.access import get_dataset
from web.limits import limits
from web.pages.items import offer_undo
from web.sent_labels import read_list, read_options
from web.sent_lists import relabel

blueprint = Blueprint("lists", __name__, url_prefix="/datasets/<slug>/imports/labels")


@blueprint.post("")
@limits(body="MAX_CSV", rate="upload")
def label(slug: str) -> Response:
    """Label images of the dataset by a CSV that names them, and offer to undo it."""
    dataset = get_dataset(slug, "editor")
    sent = read_list() or abort(422, "Choose a CSV.")
    import_, change = relabel(slug, sent, read_options())
    offer_undo(dataset, change)
    return redirect(url_for("imports.show", slug=slug, import_id=import_.id), 303)
