"""The forms in which a program is made and changed."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from models import Client, User
from web.oauth import clients, metadata, scopes
from web.tokens import SCOPE_WORDS

KINDS = [
    ("secret", "A server that keeps a secret"),
    ("public", "People's machines: no secret"),
]
GRANT_WORDS = {
    "authorization_code": "People let it in on a page of this server (authorization code)",
    "refresh_token": "It stays let in without asking again (refresh token)",
    "client_credentials": "It acts for you by itself, with its secret (client credentials)",
    "password": "It takes people's passwords (password)",
}


class ChangeClientForm(FlaskForm):
    """What may be changed of a program."""

    name = StringField(
        "Name",
        [InputRequired("Give it a name."), Length(max=100)],
        description="People read it when they are asked to let it in.",
        render_kw={"autocomplete": "off"},
    )
    grants = SelectMultipleField(
        "Its way in",
        default=["authorization_code", "refresh_token"],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    redirect_uris = TextAreaField(
        "Where people are sent back to",
        [Length(max=10_000)],
        description="One address a line, compared to the letter: https://…, http://127.0.0.1/… for a program "
        "on one's own machine (without a port: any), or com.example.app:/… for an app.",
        render_kw={"rows": 2, "spellcheck": "false", "autocapitalize": "none"},
    )
    scopes = SelectMultipleField(
        "It may ask for",
        default=["read", "predict"],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )

    def offer(self, maker: User, client: Client | None = None) -> None:
        """Set what can be chosen for a program of this user's; one that is there keeps what it has."""
        grants = {*metadata.offered_grants(), *(client.grants if client else [])}
        self.grants.choices = [(grant, words) for grant, words in GRANT_WORDS.items() if grant in grants]
        self.scopes.choices = [(scope, SCOPE_WORDS[scope]) for scope in scopes.may_give(maker)]

    def chosen(self) -> clients.Choices:
        """Return what was chosen."""
        addresses = (self.redirect_uris.data or "").split()
        return clients.Choices(self.name.data, self.grants.data, self.scopes.data, addresses)


class ClientForm(ChangeClientForm):
    """A new program."""

    kind = SelectField("It runs on", choices=KINDS)
