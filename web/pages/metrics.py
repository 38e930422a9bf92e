"""The figures that Prometheus reads."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from web import measures, tokens
from web.access import get_user, public

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@public
def show() -> Response:
    """Show them to an administrator (by session, or a token with the scope `admin`), or as `metrics` says."""
    openness = current_app.config["PIGEONHOLE"].metrics
    if openness == "off":
        abort(404)
    if openness != "open" and not _is_administrator():
        response = Response("Send a token with the scope admin.\n", 401, mimetype="text/plain")
        response.headers["WWW-Authenticate"] = 'Bearer realm="pigeonhole"'
        return response
    return Response(measures.read(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _is_administrator() -> bool:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        token = tokens.find_token(text.strip())
        return token is not None and tokens.has_scope(token, "admin")
    user = get_user()
    return user is not None and user.is_admin
