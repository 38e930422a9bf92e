"""Whether the server lives and whether it can answer, for whatever watches it."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from models import db
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
    """Say that the database answers too (else it is 503), and that every live version has answered once."""
    db.session.execute(text("SELECT 1"))
    warm_up()
    return jsonify(status="ready")
