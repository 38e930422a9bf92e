"""The API's documentation: every operation to read and to try, and the files that go with it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, render_template, send_from_directory
from markupsafe import Markup, escape

from web.access import DOCS, get_user, public
from web.reference.document import document, server_address
from web.reference.operations import list_nouns
from web.reference.snippets import TOKEN

blueprint = Blueprint("reference", __name__)

FOLDER = Path(__file__).parents[2] / "docs"
CLIENT = "client/pigeonhole.py"
# What a method does to what is there, for its colour.
LOOKS = {"GET": "reads", "POST": "adds", "PUT": "changes", "PATCH": "changes", "DELETE": "deletes"}


@blueprint.get(DOCS)
@public
def show() -> str:
    """Show how to sign in, and every operation."""
    flows = document()["components"]["securitySchemes"]["oauth2"]["flows"]
    return render_template(
        "reference/show.html",
        nouns=list_nouns(),
        address=server_address(),
        scopes=flows["clientCredentials"]["scopes"],
        looks=LOOKS,
        client=CLIENT,
        files=_files(),
        is_known=get_user() is not None,
        token_variable=TOKEN,
    )


@blueprint.get(f"{DOCS}/<path:name>")
@public
def file(name: str) -> Response:
    """Give the Python client or one of the examples, as text to read or to keep."""
    if name not in _files():
        abort(404)
    return send_from_directory(FOLDER, name, mimetype="text/plain")


@blueprint.app_template_filter()
def with_code(text: str) -> Markup:
    """Return a text whose words between backticks are set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


@cache
def _files() -> dict[str, str]:
    """Return the client and the examples by their names under docs/, with what each says of itself first."""
    examples = (path for path in (FOLDER / "examples").iterdir() if path.suffix != ".md")
    paths = [FOLDER / CLIENT, *sorted(examples)]
    return {path.relative_to(FOLDER).as_posix(): _first_sentence(path) for path in paths if path.is_file()}


def _first_sentence(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#!")), "")
    return first.strip(' "#/')
