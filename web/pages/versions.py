"""Versions: which there are, how good each is and where it errs, which one is live, and taking one away."""

from __future__ import annotations

from typing import Any

import numpy as np
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as AnyResponse

from jobs import disk, live, removal
from models import Dataset, Item, Version, db
from serving import evaluations
from web import confusion_charts, figures, going_live, packages, readiness, tag_charts, work
from web.access import get_dataset
from web.answers import find_version
from web.inputs import read_number

blueprint = Blueprint("versions", __name__, url_prefix="/datasets/<slug>/versions")

WRONG_SHOWN = 24
ROWS_SHOWN = 500  # of the table beside the confusion matrix: the most frequent
CELL = ("true", "predicted", "label", "decision")


@blueprint.get("/")
def index(slug: str) -> str:
    """List the versions, newest first."""
    dataset = get_dataset(slug)
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    versions = db.session.scalars(query.order_by(Version.number.desc())).all()
    return render_template(
        "versions/index.html",
        dataset=dataset,
        versions=versions,
        score_of=figures.score_of,
        live=going_live.describe(dataset),
    )


@blueprint.get("/<int:number>")
def show(slug: str, number: int) -> str:
    """Show how good a version is and where it errs."""
    dataset, version = _find(slug, number)
    evaluation = evaluations.of(version)
    wrong = evaluation.most_wrong() if evaluation else np.array([], dtype=np.int64)
    return render_template(
        "versions/show.html",
        dataset=dataset,
        version=version,
        figures=figures.of(version, evaluation),
        confusion=_confusion(dataset, version),
        most_in_matrix=confusion_charts.MOST_IN_MATRIX,
        decisions=_decisions(dataset, version, evaluation),
        wrong=_with_items(dataset, evaluation.judged(wrong[:WRONG_SHOWN])) if evaluation else [],
        wrong_count=len(wrong),
        job=work.describe(version.run.job),
        formats=packages.list_formats(version),
        name_to_type=_name(version),
        few=readiness.FEW,
        live=going_live.describe(dataset),
    )


@blueprint.get("/<int:number>/items")
def cell(slug: str, number: int) -> AnyResponse:
    """Lead from where a cell's images were shown until now to where they are put right."""
    get_dataset(slug)
    queue = "cell" if request.args.keys() & set(CELL) else "wrong"
    query = {name: request.args[name] for name in CELL if name in request.args}
    return redirect(url_for("mistakes.show", slug=slug, number=number, queue=queue, **query), 301)


@blueprint.post("/<int:number>/live")
def make_live(slug: str, number: int) -> AnyResponse:
    """Let this version answer from now on; with `from` only where that one is live."""
    dataset, version = _find(slug, number, "editor")
    before = dataset.live_version
    if not going_live.make_live(dataset, version, read_number("from")):
        flash(f"Version {number} is live already.", "success")
        return redirect(url_for("versions.show", slug=slug, number=number), 303)
    undo = None
    if before and live.find_previous(dataset) == before:  # going back may have to pass over it
        undo = url_for("live.roll_back", slug=slug, **{"from": number})
    flash({"text": f"Version {number} answers now.", "undo": undo}, "success")
    return redirect(url_for("versions.show", slug=slug, number=number), 303)


@blueprint.get("/<int:number>/package")
def package(slug: str, number: int) -> AnyResponse:
    """Give the package as a zip, or one proven file of it with `?format=tflite` or `keras`."""
    dataset, version = _find(slug, number)
    return packages.send(dataset, version, request.args.get("format", packages.WHOLE))


@blueprint.post("/<int:number>/delete")
def delete(slug: str, number: int) -> AnyResponse:
    """Delete a version that is not live, with its run and its predictions, once its name has been typed."""
    _, version = _find(slug, number, "editor")
    if request.form.get("confirm", "").strip() != _name(version):
        flash(f"Nothing was deleted: type “{_name(version)}” to confirm.", "danger")
        return redirect(url_for("versions.show", slug=slug, number=number), 303)
    try:
        folder = removal.delete_version(version)
    except removal.NotRemovable as problem:
        abort(409, str(problem))
    db.session.commit()
    disk.remove([folder])
    flash(f"Version {number} is deleted.", "success")
    return redirect(url_for("versions.index", slug=slug), 303)


def _name(version: Version) -> str:
    """What has to be typed before the version goes."""
    return f"Version {version.number}"


def _find(slug: str, number: int, role: str = "viewer") -> tuple[Dataset, Version]:
    dataset = get_dataset(slug, role)
    return dataset, find_version(dataset, number)


def _with_items(dataset: Dataset, judged: list[evaluations.Judged]) -> list[dict[str, Any]]:
    """Each judged item with its row of today; None where it was deleted since."""
    hashes = [one.sha256 for one in judged]
    query = select(Item).where(
        Item.dataset_id == dataset.id, Item.sha256.in_(hashes), Item.deleted_at.is_(None)
    )
    items = {item.sha256: item for item in db.session.scalars(query)}
    return [{"judged": one, "item": items.get(one.sha256)} for one in judged]


def _confusion(dataset: Dataset, version: Version) -> dict[str, Any] | None:
    """The chart and the same as rows: what was confused with what, the most frequent first."""
    counts = np.array(
        (version.metrics.get(evaluations.judged_by(version)) or {}).get("confusion") or [], dtype=np.int64
    )
    if counts.shape != (len(version.labels),) * 2:
        return None
    base = url_for("mistakes.show", slug=dataset.slug, number=version.number, queue="cell")
    urls = {(int(t), int(p)): f"{base}?true={t}&predicted={p}" for t, p in np.argwhere(counts)}
    rows = [
        {"true": version.labels[t], "predicted": version.labels[p], "count": int(counts[t, p]), "url": url}
        for (t, p), url in urls.items()
    ]
    rows.sort(key=lambda row: (row["true"] == row["predicted"], -row["count"]))
    return {
        "chart": confusion_charts.confusion_matrix(version.labels, counts, urls),
        "rows": rows[:ROWS_SHOWN],
    }


def _decisions(
    dataset: Dataset, version: Version, evaluation: evaluations.Evaluation | None
) -> dict[str, Any] | None:
    """Of a multi-label version, the chart of what each label was and the same as rows."""
    if evaluation is None or not evaluation.has_several:
        return None
    counts = evaluation.count_decisions(evaluations.judged_by(version))
    base = url_for("mistakes.show", slug=dataset.slug, number=version.number, queue="cell")
    names = evaluations.DECISIONS
    urls = {(int(r), int(c)): f"{base}?label={r}&decision={names[c]}" for r, c in np.argwhere(counts)}
    rows = [
        {
            "label": label,
            "cells": [(int(counts[row, column]), urls.get((row, column))) for column in range(3)],
        }
        for row, label in enumerate(version.labels)
    ]
    return {"chart": tag_charts.decision_matrix(version.labels, counts, urls), "rows": rows}
