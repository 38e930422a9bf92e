"""Whether the server lives and whether it can answer, for whatever watches it."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from models import db
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
    """Say that the database answers too (otherwise the error handler says 503)."""
    db.session.execute(text("SELECT 1"))
    return jsonify(status="ready")
