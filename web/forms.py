"""The forms of the pages: their fields and what is checked before anything is touched."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    URLField,
)
from wtforms import TextAreaField as TextField
from wtforms.validators import EqualTo, InputRequired, Length, NumberRange, Optional, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from jobs.addresses import MAX_ADDRESS
from models import ROLES, SCOPES
from web.auth import MAX_PASSWORD, MAX_USER_NAME, MIN_PASSWORD, NAME_HINT, USER_NAME, strip_name
from web.tokens import SCOPE_WORDS

PASSWORD_HINT = f"At least {MIN_PASSWORD} characters. A few words in a row are easy to remember."
TASK_CHOICES = [
    ("single-label", "Exactly one label for each image"),
    ("multi-label", "Any number of labels for each image"),
]
EVENT_WORDS = {
    "run.finished": "A training run has ended: finished, failed or cancelled",
    "import.finished": "An import of a zip, a folder or samples has ended",
}
EXPIRY_CHOICES = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"), (0, "Never")]


def _strip(text: str | None) -> str | None:
    return strip_name(text) if text else text


def _new_password(label: str) -> PasswordField:
    length = Length(MIN_PASSWORD, MAX_PASSWORD, f"Choose {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    keywords = {"autocomplete": "new-password"}
    return PasswordField(label, [InputRequired(), length], description=PASSWORD_HINT, render_kw=keywords)


def _repeated_password() -> PasswordField:
    same = EqualTo("password", "The two passwords differ.")
    return PasswordField(
        "Password again", [InputRequired(), same], render_kw={"autocomplete": "new-password"}
    )


def _user_name(label: str = "Name") -> StringField:
    checks = [InputRequired(), Length(max=MAX_USER_NAME), Regexp(USER_NAME, message=NAME_HINT)]
    keywords = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
    return StringField(label, checks, filters=[_strip], description=NAME_HINT, render_kw=keywords)


class LoginForm(FlaskForm):
    """Name and password."""

    name = StringField(
        "Name",
        [InputRequired("Type your name."), Length(max=100)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = PasswordField(
        "Password",
        [InputRequired("Type your password."), Length(max=MAX_PASSWORD)],
        render_kw={"autocomplete": "current-password"},
    )


class SetupForm(FlaskForm):
    """The first administrator."""

    name = _user_name("Your name")
    password = _new_password("Password")
    again = _repeated_password()


class AcceptForm(FlaskForm):
    """The password of somebody invited."""

    password = _new_password("Password")
    again = _repeated_password()


class PasswordForm(FlaskForm):
    """A new password in place of the present one."""

    current = PasswordField(
        "Present password",
        [InputRequired(), Length(max=MAX_PASSWORD)],
        render_kw={"autocomplete": "current-password"},
    )
    password = _new_password("New password")
    again = _repeated_password()


class TokenForm(FlaskForm):
    """A new personal token."""

    name = StringField(
        "What is it for?", [InputRequired(), Length(max=100)], filters=[_strip], description="Such as: camera"
    )
    scopes = SelectMultipleField(
        "It may",
        choices=[(scope, SCOPE_WORDS[scope]) for scope in SCOPES if scope != "admin"],
        default=["predict"],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    days = SelectField("It expires after", choices=EXPIRY_CHOICES, coerce=int)


class InvitationForm(FlaskForm):
    """Somebody new."""

    name = _user_name("Their name")
    is_admin = BooleanField("May administer: manage users and see every dataset")


class DatasetForm(FlaskForm):
    """A new dataset."""

    name = StringField(
        "Name", [InputRequired("Give it a name."), Length(max=100)], render_kw={"autocomplete": "off"}
    )
    description = TextField("Description", [Optional(), Length(max=2_000)], render_kw={"rows": 2})
    task = SelectField("Every image has", choices=TASK_CHOICES)


class DatasetSettingsForm(FlaskForm):
    """What a dataset is called, and how its predictions are shown and kept."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=100)])
    description = TextField("Description", [Optional(), Length(max=2_000)], render_kw={"rows": 2})
    is_public = BooleanField("Anybody with the address may use the Predict page")
    prediction_days = IntegerField(
        "Keep predictions for (days)",
        [Optional(), NumberRange(1, 3_650, "Choose 1 to 3,650 days.")],
        description="Empty: as long as this server keeps all predictions.",
    )
    is_promoting = BooleanField(
        "New versions go live by themselves when they are not worse",
        description="Judged on the same test images as the live version. Off: somebody has to say so.",
    )


class MemberForm(FlaskForm):
    """Somebody who may use a dataset."""

    name = StringField("Name", [InputRequired(), Length(max=100)], filters=[_strip])
    role = SelectField("Role", choices=[(role, role.capitalize()) for role in ROLES])


class WebhookForm(FlaskForm):
    """An address to call, and what about."""

    address = URLField(
        "Address",
        [InputRequired("Type the address to call."), Length(max=MAX_ADDRESS)],
        description="https:// or http://, without name and password.",
        render_kw={"placeholder": "https://example.org/pigeonhole", "autocomplete": "off"},
    )
    events = SelectMultipleField(
        "It is told when",
        [InputRequired("Choose at least one.")],
        choices=list(EVENT_WORDS.items()),
        default=list(EVENT_WORDS),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
