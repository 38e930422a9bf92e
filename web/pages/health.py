"""Whether the server lives and whether it can answer, for whatever watches it."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import and_, func, select

from models import Dataset, Version, db
from serving.warmup import warm_up
from web.access import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/livez")
@public
def livez() -> Response:
    """Say that this process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Say that the database answers too (else it is 503), and that every live version has answered once.

    `faulty` counts the live versions that are not served, since their files disagree or are damaged.
    """
    is_live = and_(Version.dataset_id == Dataset.id, Version.number == Dataset.live_version)
    query = select(func.count()).select_from(Dataset).join(Version, is_live).where(Version.fault.is_not(None))
    faulty = db.session.scalar(query)
    warm_up()
    return jsonify(status="ready", faulty=faulty)
