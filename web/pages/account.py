"""One's own account: signing in and out, password, tokens, and the links that make an account."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask_login import logout_user
from werkzeug.wrappers import Response

from web.access import get_user, public

blueprint = Blueprint("account", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
@public
def login() -> Response | str:
    return render_template("account/login.html")


@blueprint.post("/logout")
def logout() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("home.index"))


@blueprint.get("/account")
def show() -> str:
    return render_template("account/show.html", user=get_user())
