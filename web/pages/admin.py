"""Administration: who may sign in."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from jobs import sandbox
from models import Invitation, User, db
from web import auth, invitations
from web.access import require_admin
from web.forms import InvitationForm

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.get("")
def show() -> str:
    """Show every user, and who is invited."""
    require_admin()
    return _page()


def _page(form: InvitationForm | None = None, link: str | None = None, link_name: str | None = None) -> str:
    return render_template(
        "admin/show.html",
        users=list(db.session.scalars(select(User).order_by(User.name))),
        waiting=invitations.list_open(),
        form=form or InvitationForm(formdata=None),
        link=link,
        link_name=link_name,
        may_own_code=current_app.config["PIGEONHOLE"].own_code,
        sandbox_words=sandbox.describe(),
    )


def _page_with_link(name: str, is_admin: bool = False) -> str:
    path = invitations.invite(name, is_admin)
    db.session.commit()
    return _page(link=request.url_root.rstrip("/") + path, link_name=name)


@blueprint.post("/invitations")
def invite() -> str | tuple[str, int]:
    """Make a link by which somebody new chooses a password, and show it, this once."""
    require_admin()
    form = InvitationForm()
    if form.validate() and auth.find_user(form.name.data):
        form.name.errors = ["Somebody of that name is here already."]
    if form.errors or form.name.errors:
        return _page(form), 422
    return _page_with_link(form.name.data, form.is_admin.data)


@blueprint.post("/invitations/<int:invitation_id>/withdraw")
def withdraw(invitation_id: int) -> Response:
    """Make an invitation useless."""
    require_admin()
    invitation = db.session.get(Invitation, invitation_id) or abort(404)
    name = invitation.user_name
    db.session.delete(invitation)
    db.session.commit()
    flash(f"The invitation for {name} is withdrawn.", "success")
    return redirect(url_for("admin.show"))


@blueprint.post("/users/<int:user_id>/reset")
def reset(user_id: int) -> str:
    """Make a link by which a user chooses a new password, and show it, this once."""
    require_admin()
    user = db.session.get(User, user_id) or abort(404)
    return _page_with_link(user.name)


@blueprint.post("/users/<int:user_id>/enable")
def enable(user_id: int) -> Response:
    """Let a user sign in again."""
    return _set_enabled(user_id, True, "may sign in again")


@blueprint.post("/users/<int:user_id>/disable")
def disable(user_id: int) -> Response:
    """Sign a user out and keep them out; their tokens stop working too."""
    return _set_enabled(user_id, False, "is disabled and signed out")


def _set_enabled(user_id: int, is_enabled: bool, words: str) -> Response:
    administrator = require_admin()
    user = db.session.get(User, user_id) or abort(404)
    try:
        auth.set_enabled(user, is_enabled, administrator)
    except auth.OwnAccount as problem:
        abort(409, str(problem))
    db.session.commit()
    flash(f"{user.name} {words}.", "success")
    return redirect(url_for("admin.show"))
