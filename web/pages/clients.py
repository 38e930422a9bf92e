"""Programs that people may let in: whoever makes one gives it its addresses, its rights and its secret."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from models import Client, db
from web.access import get_client, get_user
from web.oauth import clients, given, metadata
from web.oauth.forms import GRANT_WORDS, ChangeClientForm, ClientForm

blueprint = Blueprint("clients", __name__)


@blueprint.get("/clients")
def index() -> str:
    """Show the programs that the user has made, and how to make one."""
    return _index_page(_blank_form())


def _blank_form() -> ClientForm:
    form = ClientForm(formdata=None)
    form.offer(get_user())
    return form


def _index_page(form: ClientForm) -> str:
    may_passwords = current_app.config["PIGEONHOLE"].oauth_password_grant
    made = clients.list_of(get_user())
    return render_template("clients/index.html", clients=made, form=form, may_passwords=may_passwords)


@blueprint.post("/clients")
def add() -> str | tuple[str, int]:
    """Make a program and show its secret, this once."""
    form, user = ClientForm(), get_user()
    form.offer(user)
    if not form.validate():
        return _index_page(form), 422
    try:
        client, secret = clients.create(user, form.chosen(), form.kind.data == "public")
    except clients.ClientRefused as error:
        form[error.field].errors = [str(error)]
        return _index_page(form), 422
    db.session.commit()
    return _page(client, secret=secret, is_new=True)


@blueprint.get("/clients/<public_id>")
def show(public_id: str) -> str:
    """Show a program, and let it be changed."""
    return _page(get_client(public_id))


def _page(client: Client, form: ChangeClientForm | None = None, **more: str | bool) -> str:
    if form is None:
        kept = {"name": client.name, "grants": client.grants, "scopes": client.scopes}
        kept["redirect_uris"] = "\n".join(client.redirect_uris)
        form = ChangeClientForm(formdata=None, data=kept)
        form.offer(client.user, client)
    ways = [GRANT_WORDS[grant] for grant in client.grants]
    addresses = metadata.describe()
    return render_template(
        "clients/show.html", client=client, form=form, ways=ways, addresses=addresses, **more
    )


@blueprint.post("/clients/<public_id>")
def change(public_id: str) -> Response | tuple[str, int]:
    """Change a program's name, ways in, addresses and rights."""
    client, form = get_client(public_id), ChangeClientForm()
    form.offer(client.user, client)
    if not form.validate():
        return _page(client, form), 422
    try:
        clients.change(client, form.chosen())
    except clients.ClientRefused as error:
        form[error.field].errors = [str(error)]
        return _page(client, form), 422
    db.session.commit()
    flash(f"“{client.name}” is changed.", "success")
    return redirect(url_for("clients.show", public_id=public_id))


@blueprint.post("/clients/<public_id>/secret")
def renew_secret(public_id: str) -> str | tuple[str, int]:
    """Give a program a new secret and show it, this once."""
    client = get_client(public_id)
    if client.secret_hash is None:
        return _page(client, problem="This program has no secret. Make another one that has."), 409
    secret = clients.renew_secret(client)
    db.session.commit()
    return _page(client, secret=secret)


@blueprint.post("/clients/<public_id>/delete")
def delete(public_id: str) -> Response | tuple[str, int]:
    """Delete a program, by name; all that it was ever given ends at once."""
    client = get_client(public_id)
    if request.form.get("confirm", "").strip() != client.name:
        return _page(client, problem="Type the program's name to confirm that it goes."), 422
    db.session.delete(client)
    db.session.commit()
    flash(f"“{client.name}” is deleted, and nothing it was given works any more.", "success")
    return redirect(url_for("clients.index"))


@blueprint.post("/account/programs/<int:client_id>/withdraw")
def withdraw(client_id: int) -> Response:
    """End all that the user has let a program do."""
    given.withdraw(get_user(), client_id)
    db.session.commit()
    flash("The program is out. It can act for you no more, until you let it in again.", "success")
    return redirect(url_for("account.show") + "#programs")
