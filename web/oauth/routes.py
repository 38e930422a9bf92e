"""The addresses of OAuth2 that programs call; they sign in as clients, never by a cookie."""

from __future__ import annotations

from flask import Blueprint, Response

from models import db
from web.access import public
from web.limits import limits
from web.oauth import server

blueprint = Blueprint("oauth_programs", __name__)


@blueprint.post("/oauth/token")
@public
@limits(rate="token")
def token() -> Response:
    """Give a client tokens."""
    answer = server.answer_token_request()
    db.session.commit()
    return answer
