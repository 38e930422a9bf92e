"""Versions compared: which ones, their settings and figures side by side, and whether one is truly better."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from models import Dataset, Version, db
from serving import pairing
from web import comparing
from web.access import get_dataset

blueprint = Blueprint("comparisons", __name__, url_prefix="/datasets/<slug>/versions/compare")

MOST = 6  # versions beside each other; more are not readable


@blueprint.get("")
def show(slug: str) -> str:
    """Compare the versions that the address names (`?version=1&version=2`), or let them be chosen."""
    dataset = get_dataset(slug)
    chosen = _chosen(dataset)
    differing, same = comparing.settings_rows(chosen)
    return render_template(
        "versions/compare.html",
        dataset=dataset,
        versions=chosen,
        choices=_all(dataset),
        differing=differing,
        same=same,
        figures=comparing.figure_rows(chosen),
        pairs=[pairing.pair(chosen[0], other) for other in chosen[1:]],
        most=MOST,
    )


def _all(dataset: Dataset) -> list[Version]:
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    return list(db.session.scalars(query.order_by(Version.number.desc())))


def _chosen(dataset: Dataset) -> list[Version]:
    """The versions named, the lowest number first; aborts where one is none, or too many are."""
    names = dict.fromkeys(request.args.getlist("version"))
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        abort(400, "version must be a version's number.")
    if len(names) > MOST:
        abort(422, f"Choose at most {MOST} versions.")
    numbers = {int(name) for name in names}
    found = [version for version in _all(dataset) if version.number in numbers]
    if missing := numbers - {version.number for version in found}:
        abort(404, f"This dataset has no version {min(missing)}.")
    return found[::-1]
