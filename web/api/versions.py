"""Versions over the API: what finished runs gave, and which one is live."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from models import Dataset, Version
from web.access import get_dataset
from web.answers import find_version
from web.api.shapes import answer_list, as_time, check_parameters
from web.auth import token_required

blueprint = Blueprint("api_versions", __name__, url_prefix="/api/v1/datasets/<slug>/versions")

METRICS = ("task", "score", "accuracy", "interval", "leave_one_out", "validation", "test")


@blueprint.get("")
@token_required("read")
def index(slug: str) -> Response:
    """List the versions, newest first."""
    dataset = get_dataset(slug)
    query = select(Version).filter_by(dataset_id=dataset.id).options(joinedload(Version.run))
    return answer_list(query, Version.id, lambda version: _as_json(version, dataset))


@blueprint.get("/<int:number>")
@token_required("read")
def show(slug: str, number: int) -> Response:
    """Give one version with its figures."""
    check_parameters()
    dataset = get_dataset(slug)
    return jsonify(_as_json(find_version(dataset, number), dataset))


def _as_json(version: Version, dataset: Dataset) -> dict:
    return {
        "number": version.number,
        "dataset": dataset.slug,
        "is_live": version.number == dataset.live_version,
        "labels": version.labels,
        "proven": version.proven,
        "metrics": {name: version.metrics.get(name) for name in METRICS},
        "run": url_for("api_runs.show", run_id=version.run_id),
        "created_at": as_time(version.created_at),
    }
