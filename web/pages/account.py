"""One's own account: signing in and out, password, tokens, and the links that make an account."""

from __future__ import annotations

from datetime import timedelta

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import logout_user
from werkzeug.wrappers import Response

from models import Invitation, Token, db, now
from web import auth, invitations, tokens
from web.access import get_user, public
from web.forms import AcceptForm, LoginForm, PasswordForm, SetupForm, TokenForm
from web.inputs import local_address
from web.oauth import given

blueprint = Blueprint("account", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
@public
def login() -> Response | str | tuple[str, int]:
    """Ask for name and password, and sign in."""
    if get_user():
        return redirect(_next_page())
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("account/login.html", form=form)
    try:
        user = auth.try_login(form.name.data, form.password.data)
    except auth.TooManyLogins as error:
        return _too_many(error, render_template("account/login.html", form=form, problem=str(error)))
    if user is None:
        problem = "Name and password don't go together."
        return render_template("account/login.html", form=form, problem=problem), 401
    auth.start_session(user)
    return redirect(_next_page())


def _too_many(error: auth.TooManyLogins, page: str) -> Response:
    response = make_response(page, 429)
    response.headers["Retry-After"] = str(error.retry_seconds)
    return response


def _next_page() -> str:
    """Return where the user wanted to go, if that is one of our own pages."""
    return local_address(request.args.get("next", ""), url_for("home.index"))


@blueprint.post("/logout")
@public
def logout() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("home.index"))


@blueprint.route("/setup/<token>", methods=["GET", "POST"])
@public
def setup(token: str) -> Response | str:
    """Make the first administrator."""
    form = SetupForm()
    invitation = _find_invitation(token, is_setup=True)
    if not form.validate_on_submit():
        return render_template("account/setup.html", form=form)
    return _accept(invitation, form.name.data, form.password.data)


@blueprint.route("/invitations/<token>", methods=["GET", "POST"])
@public
def accept(token: str) -> Response | str:
    """Let somebody invited choose a password."""
    form = AcceptForm()
    invitation = _find_invitation(token)
    if not form.validate_on_submit():
        return render_template("account/accept.html", form=form, name=invitation.user_name)
    return _accept(invitation, invitation.user_name, form.password.data)


def _find_invitation(token: str, is_setup: bool = False) -> Invitation:
    try:
        return invitations.find(token, is_setup)
    except invitations.InvitationSpent as error:
        abort(404, str(error))


def _accept(invitation: Invitation, name: str, password: str) -> Response:
    db.session.rollback()  # hashing takes long, so it is done without a lock
    password_hash = auth.hash_password(password)
    try:
        user = invitations.accept(invitation, name, password_hash)
    except invitations.InvitationSpent as error:
        abort(404, str(error))
    db.session.commit()
    if not user.is_enabled:
        abort(403, "The password was set, but an administrator has disabled this account.")
    auth.start_session(user)
    return redirect(url_for("home.index"))


@blueprint.get("/account")
def show() -> str:
    """Show one's password form and tokens."""
    return _page()


def _page(password_form: PasswordForm | None = None, token_form: TokenForm | None = None, **more: str) -> str:
    days = current_app.config["PIGEONHOLE"].token_days
    return render_template(
        "account/show.html",
        tokens=tokens.list_tokens(get_user()),
        let_in=given.list_let_in(get_user()),
        password_form=password_form or PasswordForm(formdata=None),
        token_form=token_form or TokenForm(formdata=None, days=days),
        now=now(),
        **more,
    )


@blueprint.post("/account/password")
def change_password() -> Response | str | tuple[str, int]:
    """Set a new password, which signs the user out everywhere else."""
    form, user = PasswordForm(), get_user()
    if not form.validate():
        return _page(password_form=form), 422
    try:
        known = auth.try_login(user.name, form.current.data)
    except auth.TooManyLogins as error:
        return _too_many(error, _page(password_form=form, problem=str(error)))
    if known is None:
        form.current.errors = ["This is not your present password."]
        return _page(password_form=form), 422
    auth.set_password(user, auth.hash_password(form.password.data))
    db.session.commit()
    auth.start_session(user)
    flash("Your password is changed. You are signed out everywhere else.", "success")
    return redirect(url_for("account.show"))


@blueprint.post("/account/tokens")
def add_token() -> str | tuple[str, int]:
    """Make a token and show it, this once."""
    form, user = TokenForm(), get_user()
    if not form.validate():
        return _page(token_form=form), 422
    expires_at = now() + timedelta(days=form.days.data) if form.days.data else None
    try:
        _, text = tokens.make_token(user, form.name.data, form.scopes.data, expires_at)
    except ValueError as error:
        form.scopes.errors = [str(error)]
        return _page(token_form=form), 422
    db.session.commit()
    return _page(new_token=text)


@blueprint.post("/account/tokens/<int:token_id>/revoke")
def revoke_token(token_id: int) -> Response:
    """Make a token useless at once."""
    token = db.session.get(Token, token_id)
    if token is None or token.user_id != get_user().id:
        abort(404)
    token.revoked_at = token.revoked_at or now()
    db.session.commit()
    flash(f"The token “{token.name}” is revoked.", "success")
    return redirect(url_for("account.show"))
