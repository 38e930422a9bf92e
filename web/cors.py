"""CORS: which pages of other sites may call the API from a browser, where a setting names them.

Never with credentials: a cookie counts for nothing here, and a page that has a token may send it.
The protocol: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re

from flask import Flask, Response, current_app, request

from config import BadSetting
from web.access import is_api_request

_ORIGIN = re.compile(r"https?://[^/\s?#@*]+\Z")
PATHS = ("/oauth/token", "/oauth/revoke", "/.well-known/oauth-authorization-server")  # beside the API
METHODS = "GET, POST, PUT, PATCH, DELETE"
SENT = "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
EXPOSED = (
    "Location, Retry-After, WWW-Authenticate, X-Request-Id, Idempotency-Replayed, Content-Disposition, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)
PREFLIGHT_SECONDS = 600  # how long a browser may remember that it may ask


def register(app: Flask) -> None:
    """Let the pages that `cors_origins` names call the API of `app`.

    Raises:
        BadSetting: something in it is neither `*` nor an origin.
    """
    app.extensions["cors_origins"] = _read_origins(app.config["PIGEONHOLE"].cors_origins)
    if app.extensions["cors_origins"]:
        app.before_request(_answer_preflight)
        app.after_request(_allow)


def _read_origins(text: str) -> frozenset[str]:
    origins = frozenset(part.strip().lower().rstrip("/") for part in text.split(",") if part.strip())
    if wrong := sorted(one for one in origins if one != "*" and not _ORIGIN.match(one)):
        raise BadSetting(
            f"CORS_ORIGINS: {wrong[0]!r} is no origin. Write https://host, with its port if any."
        )
    return origins


def _answer_preflight() -> Response | None:
    """Answer what a browser asks before it sends a request; no view is asked and nobody signs in."""
    is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not (is_preflight and _is_open() and _allowed_origin()):
        return None
    answer = Response(status=204)
    answer.headers["Access-Control-Allow-Methods"] = METHODS
    answer.headers["Access-Control-Allow-Headers"] = SENT
    answer.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return answer


def _allow(response: Response) -> Response:
    if not _is_open():
        return response
    response.vary.add("Origin")
    if origin := _allowed_origin():
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _is_open() -> bool:
    """Whether other sites may ask for this address at all: the API and what gives tokens for it."""
    return is_api_request() or request.path in PATHS


def _allowed_origin() -> str | None:
    """Return what the answer may say of the origin that asks, None where it was not named."""
    origins, origin = current_app.extensions["cors_origins"], request.headers.get("Origin")
    if not origin:
        return None
    return "*" if "*" in origins else (origin if origin in origins else None)
