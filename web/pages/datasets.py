"""Datasets: make one, look through its items, change what it is and who may use it."""

from __future__ import annotations

from flask import Blueprint, render_template

from web.access import get_dataset

blueprint = Blueprint("datasets", __name__, url_prefix="/datasets")


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> str:
    return render_template("datasets/new.html")


@blueprint.get("/<slug>/")
def show(slug: str) -> str:
    """Show the items of a dataset."""
    return render_template("datasets/show.html", dataset=get_dataset(slug))


@blueprint.route("/<slug>/settings", methods=["GET", "POST"])
def settings(slug: str) -> str:
    return render_template("datasets/settings.html", dataset=get_dataset(slug, "owner"))
