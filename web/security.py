"""What every request and answer passes: hosts, sizes, rates, short transactions and safe headers."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, abort, current_app, g, request, session
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Config
from models import db
from transactions import start_reading
from web import cors, crowding, idempotency, measures, rates, request_ids
from web.access import is_static, refuse_strangers
from web.auth import load_token, note_token_use
from web.inputs import Request, StorableInteger, read_past_body
from web.limits import limits_of_request, most_bytes

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
FORM_TARGETS = "form-action 'self'"
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_FORM_FIELD = 500_000  # bytes of one text field, or of a whole urlencoded form
MAX_FORM_PARTS = 1_000
WRITES = ("POST", "PUT", "PATCH", "DELETE")

csrf = CSRFProtect()


def register(app: Flask) -> None:
    """Give `app` its limits, its hooks and its headers."""
    settings = app.config["PIGEONHOLE"]
    app.config.update(_flask_settings(settings))
    app.request_class = Request
    app.url_map.converters["int"] = StorableInteger
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)
    measures.register(app)
    request_ids.register(app)
    cors.register(app)
    crowding.register(app)
    app.before_request(_open_request)
    app.before_request(load_token)
    app.before_request(request_ids.note_user)
    rates.register(app)
    app.before_request(refuse_strangers)
    app.before_request(note_token_use)
    app.before_request(_end_reading_before_a_body)
    csrf.init_app(app)
    app.before_request(_receive_body)
    app.before_request(_read_on_after_a_body)
    idempotency.register(app)
    app.after_request(_add_headers)


def policy_for_forms(source: str) -> str:
    """Return the policy of a page whose form is answered with a redirect to `source`, which Chrome checks."""
    return CONTENT_SECURITY_POLICY.replace(FORM_TARGETS, f"{FORM_TARGETS} {source}")


def _flask_settings(settings: Config) -> dict[str, Any]:
    hosts = [host.strip() for host in settings.trusted_hosts.split(",") if host.strip()]
    return {
        "TRUSTED_HOSTS": hosts or None,
        "MAX_CONTENT_LENGTH": settings.max_body,
        "MAX_FORM_MEMORY_SIZE": MAX_FORM_FIELD,
        "MAX_FORM_PARTS": MAX_FORM_PARTS,
        "SESSION_COOKIE_NAME": "pigeonhole",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "SESSION_REFRESH_EACH_REQUEST": False,  # a late thumbnail would bring back an older session
        "PERMANENT_SESSION_LIFETIME": settings.session_idle_hours * 3600,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
    }


def _open_request() -> None:
    """Bound the body, refuse NUL characters, and read without a lock until somebody must write."""
    request.max_content_length = most_bytes(current_app.config["PIGEONHOLE"])
    texts = (request.path, *request.args.keys(), *request.args.values())
    if any("\0" in text for text in texts):
        abort(400, "The address holds a NUL character.")
    if not is_static() and request.endpoint != "health.livez":
        start_reading()


def _end_reading_before_a_body() -> None:
    """Hold no lock while a slow body arrives: the view begins a transaction of its own, which may write."""
    if request.method in WRITES:
        db.session.rollback()


def _read_on_after_a_body() -> None:
    """Let a view that is declared as reading begin with what is true now, locking nobody out."""
    if request.method in WRITES and limits_of_request().is_reading:
        start_reading()


def _receive_body() -> None:
    """Read the whole body now (files go to disk), so that no view waits for a client with a lock in hand."""
    if request.method not in WRITES:
        return
    if _is_refused_anyway():
        read_past_body()
        return
    if any("\0" in text for pair in request.form.items(multi=True) for text in pair):
        abort(400, "The form holds a NUL character.")
    if not request.files and not request.form:
        request.get_data(cache=True)
        request.stream.read()  # 413 where a body that does not tell its length was cut off at the bound


def _is_refused_anyway() -> bool:
    """Whether the API will answer 401, so that nothing of a stranger's body is kept for a moment."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "wants_token", False) and g.get("token") is None


def _add_headers(response: Response) -> Response:
    if response.mimetype == "text/html" and response.status_code < 400 and session.permanent:
        session.modified = True  # only pages put off the end of an idle session
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["PIGEONHOLE"].secure_cookies:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if response.mimetype in ("text/html", "application/json"):
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
