"""Members of a dataset: owners add, change and remove them, and anybody may leave."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, url_for
from werkzeug.wrappers import Response

from datasets import members
from models import User, db
from web.access import get_dataset, get_user
from web.auth import find_user
from web.forms import MemberForm
from web.pages.datasets import settings_page

blueprint = Blueprint("members", __name__, url_prefix="/datasets/<slug>/members")


@blueprint.post("")
def set_role(slug: str) -> Response | tuple[str, int]:
    """Add a member by name, or change a member's role."""
    dataset = get_dataset(slug, "owner")
    form = MemberForm()
    user = find_user(form.name.data or "")
    if not form.validate() or user is None:
        form.name.errors = ["Nobody of that name has an account here. An administrator can invite them."]
        return settings_page(dataset, member_form=form), 422
    try:
        members.set_role(dataset, user, form.role.data)
    except members.MemberRefused as error:
        return settings_page(dataset, problem=str(error)), 409
    db.session.commit()
    flash(f"{user.name} is now {'an' if form.role.data != 'viewer' else 'a'} {form.role.data}.", "success")
    return redirect(url_for("datasets.settings", slug=slug))


@blueprint.post("/<int:user_id>/remove")
def remove(slug: str, user_id: int) -> Response | tuple[str, int]:
    """Remove a member, or leave."""
    is_leaving = user_id == get_user().id
    dataset = get_dataset(slug, "viewer" if is_leaving else "owner")
    user = db.session.get(User, user_id) or abort(404)
    try:
        members.remove(dataset, user)
    except members.MemberRefused as error:
        return settings_page(dataset, problem=str(error)), 409
    db.session.commit()
    flash(f"You have left “{dataset.name}”." if is_leaving else f"{user.name} is removed.", "success")
    return redirect(url_for("home.index") if is_leaving else url_for("datasets.settings", slug=slug))
