"""BokehJS, served from the installed package."""

from __future__ import annotations

from pathlib import Path

import bokeh
from flask import Blueprint, Response, abort, send_from_directory, url_for

blueprint = Blueprint("charts", __name__)

FOLDER = Path(bokeh.__file__).parent / "server" / "static" / "js"
FILES = ("bokeh.min.js",)  # all that our charts need
YEAR_SECONDS = 365 * 24 * 60 * 60


@blueprint.get("/static/bokeh/<version>/<filename>", endpoint="static")
def script(version: str, filename: str) -> Response:
    """A file of BokehJS; the version in its address lets browsers keep it for good."""
    if filename not in FILES or version != bokeh.__version__:
        abort(404)
    response = send_from_directory(FOLDER, filename, mimetype="text/javascript", max_age=YEAR_SECONDS)
    response.cache_control.public = True
    response.cache_control.immutable = True
    return response


@blueprint.app_template_global()
def bokeh_url() -> str:
    """The address of BokehJS, for templates."""
    return url_for("charts.static", version=bokeh.__version__, filename=FILES[0])
