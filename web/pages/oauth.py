"""The page that asks a user whether a program may act for them."""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, abort, make_response, render_template, request

from models import db
from web.access import get_user
from web.oauth import redirects, server
from web.oauth.grants import CodeGrant
from web.security import policy_for_forms
from web.tokens import SCOPE_WORDS

blueprint = Blueprint("oauth", __name__)


@blueprint.route("/oauth/authorize", methods=["GET", "POST"])
def authorize() -> Response:
    """Ask whether the program may; send the browser back to it with the answer."""
    user = get_user()
    try:
        grant = server.check_authorization(user)
    except OAuth2Error as error:
        if not error.redirect_uri:
            abort(400, f"{error.description} Tell whoever made the program that sent you here.")
        return server.answer_refusal(error)
    if request.method != "POST":
        return _ask(grant)
    is_let_in = request.form.get("decision") == "allow"
    answer = server.answer_authorization(grant, user if is_let_in else None)
    db.session.commit()
    return answer


def _ask(grant: CodeGrant) -> Response:
    client, address = grant.request.client, grant.redirect_uri
    source = redirects.policy_source(address)
    wishes = [SCOPE_WORDS[scope] for scope in grant.request.scope.split()]
    # What was read is what is agreed to, whatever the program may ask for by then.
    answer_to = f"?{urlencode({**request.args.to_dict(), 'scope': grant.request.scope})}"
    facts = {"client": client, "place": redirects.place(address), "wishes": wishes, "answer_to": answer_to}
    page = make_response(render_template("oauth/authorize.html", **facts))
    page.headers["Content-Security-Policy"] = policy_for_forms(source)
    page.headers["Cache-Control"] = "no-store"
    return page
