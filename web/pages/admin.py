"""Administration: who may sign in."""

from __future__ import annotations

from flask import Blueprint, render_template

from web.access import require_admin

blueprint = Blueprint("admin", __name__)


@blueprint.get("/admin")
def show() -> str:
    """Show every user."""
    require_admin()
    return render_template("admin/show.html")
