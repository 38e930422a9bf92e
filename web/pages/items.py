"""Items: one image large, relabelling and deleting a selection, and undo."""

from __future__ import annotations

from flask import Blueprint, render_template

from web.access import get_dataset

blueprint = Blueprint("items", __name__, url_prefix="/datasets/<slug>")


@blueprint.get("/items/<int:item_id>")
def show(slug: str, item_id: int) -> str:
    """Show one item large, with its facts."""
    return render_template("items/show.html", dataset=get_dataset(slug), item_id=item_id)
