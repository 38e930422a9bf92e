"""The name of every request: in its answer, in its log lines and on the page of an error."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from flask import Flask, Response, current_app, g, has_request_context, request

from web.access import get_user, is_static

HEADER = "X-Request-Id"
_GOOD = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
NO_ROUTE = "(no route)"

logger = logging.getLogger("web.requests")


def register(app: Flask) -> None:
    """Name every request of `app`, and log a line of each where `log_requests` says so."""
    logger.setLevel(logging.INFO if app.config["PIGEONHOLE"].log_requests else logging.WARNING)
    app.before_request(_begin)
    app.after_request(_end)
    app.log_exception = _log_exception
    app.jinja_env.globals["request_id"] = request_id


def request_id() -> str:
    """Return this request's name: what the client has sent if it is fit for a log, else one of our own."""
    if "request_id" not in g:
        sent = request.headers.get(HEADER, "")
        g.request_id = sent if _GOOD.match(sent) else secrets.token_hex(12)
    return g.request_id


def route() -> str:
    """Return the path template of this request; never its path, which may hold secrets or line breaks."""
    return request.url_rule.rule if request.url_rule else NO_ROUTE


def milliseconds() -> float:
    """Return how long this request has been at work."""
    return 1000 * (time.perf_counter() - g.began) if "began" in g else 0.0


def note_user() -> None:
    """Remember who asks, for log lines written when no row may be read any more."""
    if not is_static() and request.endpoint != "health.livez":
        user = get_user()
        g.user_id = user.id if user else None


def _log_exception(exc_info: Any) -> None:
    """Log an error nobody foresaw; Flask's own line would hold the path."""
    logger.error("%s %s failed", request.method, route(), exc_info=exc_info)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    if current_app.config["PIGEONHOLE"].log_requests and not is_static():
        known = {"status": response.status_code, "milliseconds": round(milliseconds(), 1)}
        words = f"{request.method} {route()} {known['status']} in {known['milliseconds']:.1f} ms"
        logger.info(words, extra=known)
    return response


class OfRequest(logging.Filter):
    """Adds to every record of a request: its name, method, path template and user."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add them; the record is always kept."""
        if has_request_context():
            record.request_id = request_id()
            record.method, record.route = request.method, route()
            record.user_id = g.get("user_id")
        return True
