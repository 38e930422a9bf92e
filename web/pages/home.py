"""The first page: one's datasets, or what Pigeonhole is."""

from __future__ import annotations

from flask import Blueprint, render_template

from datasets.overview import look_over
from web.access import get_datasets, get_user, public

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@public
def index() -> str:
    """Show the user's datasets, or to a stranger what this is."""
    user = get_user()
    if user is None:
        return render_template("home/welcome.html")
    return render_template("home/index.html", overviews=look_over(get_datasets(user)))
