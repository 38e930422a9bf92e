"""The OpenAPI document as it is sent: with this server's address, its nouns by their plain names."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from flask import Flask, current_app, request

from web.api import frame

KEPT = 8  # a server has few addresses, however many a stranger makes up
_TAG_PREFIX = "api_"


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the application at work. Do not change it: it is kept."""
    return _read(current_app._get_current_object(), server_address())


def server_address() -> str:
    """Return where this request reached us, such as `https://pigeonhole.example`, with no slash behind."""
    return request.root_url.rstrip("/")


@lru_cache(maxsize=KEPT)
def _read(app: Flask, address: str) -> dict[str, Any]:
    with app.app_context():
        found = json.loads(json.dumps(frame.openapi()))
    found["servers"] = [{"url": address}]
    for tag in found["tags"]:
        tag["name"] = tag["name"].removeprefix(_TAG_PREFIX)
    for methods in found["paths"].values():
        for operation in (value for value in methods.values() if isinstance(value, dict)):
            operation["tags"] = [name.removeprefix(_TAG_PREFIX) for name in operation["tags"]]
    return found
