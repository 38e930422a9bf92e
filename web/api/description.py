"""What programs read of the API: its OpenAPI document and a Postman collection. Both are public."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request

from web.access import public
from web.reference.document import KEPT, document, server_address
from web.reference.postman import collection

blueprint = Blueprint("description", __name__, url_prefix="/api/v1")


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    """Give the OpenAPI 3.1 document."""
    return _answer(document)


@blueprint.get("/postman.json")
@public
def postman() -> Response:
    """Give the Postman collection."""
    return _answer(collection)


def _answer(make: Callable[[], dict[str, Any]]) -> Response:
    """Answer with an ETag, so that a program that asks again is told 304."""
    written = _write(current_app._get_current_object(), server_address(), make)
    response = Response(written, mimetype="application/json")
    response.add_etag()
    return response.make_conditional(request)


@lru_cache(maxsize=2 * KEPT)
def _write(app: Flask, address: str, make: Callable[[], dict[str, Any]]) -> bytes:
    return json.dumps(make(), ensure_ascii=False).encode()
