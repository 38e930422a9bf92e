"""The addresses of OAuth2 that programs call; they sign in as clients, never by a cookie."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from models import db
from web.access import public
from web.limits import limits
from web.oauth import metadata, server

blueprint = Blueprint("oauth_programs", __name__)


@blueprint.post("/oauth/token")
@public
@limits(rate="token")
def token() -> Response:
    """Give a client tokens."""
    answer = server.answer_token_request()
    db.session.commit()
    return answer


@blueprint.post("/oauth/revoke")
@public
def revoke() -> Response:
    """End a token of the client's."""
    answer = server.answer_revocation()
    db.session.commit()
    return answer


@blueprint.post("/oauth/introspect")
@public
@limits(is_reading=True)
def introspect() -> Response:
    """Tell a client what a token is worth."""
    return server.answer_introspection()


@blueprint.get("/.well-known/oauth-authorization-server")
@public
def describe() -> Response:
    """Tell a client what it needs to know of this server."""
    return jsonify(metadata.describe())
