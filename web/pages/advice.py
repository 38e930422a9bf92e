"""What would help: warnings, what more images would bring, and images that look alike."""

from __future__ import annotations

from flask import Blueprint, flash, jsonify, redirect, render_template, url_for
from werkzeug.wrappers import Response

from jobs import examining, queue
from learning.gains import MORE
from models import db
from web import advice_charts, what_helps
from web.access import get_dataset, get_user

blueprint = Blueprint("advice", __name__, url_prefix="/datasets/<slug>/advice")
PAIRS_SHOWN = 24


@blueprint.get("/")
def show(slug: str) -> str:
    """Say what would help the dataset, and how far the looking is."""
    dataset = get_dataset(slug)
    told = what_helps.of(dataset)
    curve = told.findings.curve if told.findings else None
    return render_template(
        "advice/show.html",
        dataset=dataset,
        advice=told,
        curve=curve,
        chart=advice_charts.learning_curve(curve, told.score_title) if curve else None,
        job=what_helps.describe_job(dataset),
        pairs_shown=PAIRS_SHOWN,
        more=MORE,
    )


@blueprint.get("/progress.json")
def progress(slug: str) -> Response:
    """How far the looking is, for the page to follow."""
    return jsonify(what_helps.describe_job(get_dataset(slug)))


@blueprint.post("/again")
def again(slug: str) -> Response:
    """Look through the dataset anew."""
    dataset = get_dataset(slug, "editor")
    try:
        examining.request_examination(dataset, get_user())
    except queue.TooManyWaiting as problem:
        flash(str(problem), "danger")
    db.session.commit()
    return redirect(url_for("advice.show", slug=slug), 303)
