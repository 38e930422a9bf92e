"""What every request and answer passes: hosts, sizes, rates, short transactions and safe headers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

from flask import Flask, Response, abort, current_app, request
from flask_limiter import Limiter
from flask_wtf import CSRFProtect
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from config import Config
from models import db
from web.access import View, get_user, is_static, refuse_strangers
from web.auth import load_token, note_token_use
from web.rates import ProcessMemory
from web.transactions import end_reading, start_reading

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_JSON_DEPTH = 32
MAX_FORM_FIELD = 500_000  # bytes of one text field, or of a whole urlencoded form
MAX_FORM_PARTS = 1_000
LARGEST_NUMBER = 2**63 - 1  # what every database holds as an integer
WRITES = ("POST", "PUT", "PATCH", "DELETE")

csrf = CSRFProtect()


@dataclass(frozen=True)
class Limits:
    """What one view takes: `body` names a setting in bytes, `rate` a kind of RATES."""

    body: str = "MAX_BODY"
    rate: str = "request"
    is_reading: bool = False


RATES: dict[
    str, Callable[[Config, bool], int]
] = {  # requests a minute, of settings and whether a stranger asks
    "request": lambda settings, is_stranger: settings.request_rate,
    "upload": lambda settings, is_stranger: settings.upload_rate,
    "predict": lambda settings, is_stranger: (
        settings.predict_rate_anonymous if is_stranger else settings.predict_rate_token
    ),
    # A page shows sixty thumbnails, so they get a rate of their own.
    "images": lambda settings, is_stranger: settings.request_rate * 60,
}


def limits(body: str = "MAX_BODY", rate: str = "request", is_reading: bool = False) -> Callable[[View], View]:
    """Declare what a view takes: put it under the route's line.

    Args:
        body: the setting (bytes) that bounds the request body, such as "MAX_ZIP"; above it 413.
        rate: a kind of RATES; above it 429 with Retry-After.
        is_reading: keep even a POST in a reading transaction, for views that work long before they write.
    """

    def declare(view: View) -> View:
        view.limits = Limits(body, rate, is_reading)
        return view

    return declare


def register(app: Flask) -> None:
    """Give `app` its limits, its hooks and its headers."""
    settings = app.config["PIGEONHOLE"]
    app.config.update(_flask_settings(settings))
    app.request_class = Request
    app.url_map.converters["int"] = StorableInteger
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)
    app.before_request(_open_request)
    app.before_request(load_token)
    _make_limiter().init_app(app)
    app.before_request(refuse_strangers)
    app.before_request(note_token_use)
    app.before_request(_end_reading_before_a_write)
    csrf.init_app(app)
    app.before_request(_receive_body)
    app.after_request(_add_headers)


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
        "PERMANENT_SESSION_LIFETIME": settings.session_idle_hours * 3600,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
    }


def _make_limiter() -> Limiter:
    """Count requests in memory: each web process counts for itself, so N of them let N times as many by."""
    return Limiter(
        key_func=_who,
        application_limits=[_rate],
        application_limits_exempt_when=is_static,
        headers_enabled=True,
        storage_uri=f"{ProcessMemory.STORAGE_SCHEME[0]}://",
    )


def limits_of_request() -> Limits:
    """Return what the view of this request has declared."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "limits", Limits())


def _rate() -> str:
    count = RATES[limits_of_request().rate]
    return f"{count(current_app.config['PIGEONHOLE'], get_user() is None)} per minute"


def _who() -> str:
    user = get_user()
    return f"{limits_of_request().rate}:{f'user {user.id}' if user else request.remote_addr}"


def _open_request() -> None:
    """Bound the body, refuse NUL characters, and read without a lock until somebody must write."""
    request.max_content_length = getattr(current_app.config["PIGEONHOLE"], limits_of_request().body.lower())
    texts = (request.path, *request.args.keys(), *request.args.values())
    if any("\0" in text for text in texts):
        abort(400, "The address holds a NUL character.")
    if not is_static() and request.endpoint != "health.livez":
        start_reading()


def _end_reading_before_a_write() -> None:
    """Hold no transaction while a slow body arrives: the view begins its own, which may write."""
    if request.method not in WRITES:
        return
    if limits_of_request().is_reading:
        end_reading()
    else:
        db.session.rollback()


def _receive_body() -> None:
    """Read the whole body now (files go to disk), so that no view waits for a client with a lock in hand."""
    if request.method not in WRITES:
        return
    if any("\0" in text for pair in request.form.items(multi=True) for text in pair):
        abort(400, "The form holds a NUL character.")
    if not request.files and not request.form:
        request.get_data(cache=True)
    if limits_of_request().is_reading:
        start_reading()


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["PIGEONHOLE"].secure_cookies:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if response.mimetype in ("text/html", "application/json"):
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


class _StrictFormParser(FormDataParser):
    """Refuses a damaged form where Werkzeug would give an empty one, and bounds urlencoded forms too."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{**options, "silent": False})

    def parse(self, stream, mimetype, content_length, options=None):
        try:
            parsed = super().parse(stream, mimetype, content_length, options)
        except RequestEntityTooLarge:
            raise
        except ValueError as error:
            abort(400, f"The form is damaged or cut short ({error}). Send it again.")
        if len(parsed[1]) > self.max_form_parts:
            raise RequestEntityTooLarge
        return parsed

    def _parse_urlencoded(self, stream, mimetype, content_length, options):
        if content_length is None or content_length > self.max_form_memory_size:
            raise RequestEntityTooLarge
        return super()._parse_urlencoded(stream, mimetype, content_length, options)


class Request(Flask.request_class):
    """A request whose form is either read whole or refused."""

    form_data_parser_class = _StrictFormParser

    def _get_file_stream(self, total_content_length, content_type, filename=None, content_length=None):
        """Let a zip arrive on the instance's own disk: the system's temporary folder may lie in memory."""
        if limits_of_request().body != "MAX_ZIP":
            return super()._get_file_stream(total_content_length, content_type, filename, content_length)
        return TemporaryFile(dir=current_app.config["PIGEONHOLE"].folder("uploads"))


class StorableInteger(IntegerConverter):
    """A whole number in an address; one that no database can hold is simply not found."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"max": LARGEST_NUMBER, **options})


def read_number(name: str) -> int | None:
    """Return a whole number of the query, None where it is missing; abort with 400 where it is no number."""
    text = request.args.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > LARGEST_NUMBER:
        abort(400, f"{name} must be a whole number.")
    return int(text)


def local_address(wanted: str, default: str) -> str:
    """Return the address wanted if it is a path of our own, else the default."""
    is_path = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if is_path and wanted.isprintable() else default


def read_json(fields: set[str] | None = None) -> dict[str, Any]:
    """Return the JSON object of the request body; with `fields`, refuse any other field by name.

    Aborts with 400 when it is not JSON, not an object, deeper than 32, or holds NaN, Infinity, a number of
    thousands of digits, or text that is not valid Unicode; with 415 when it does not say that it is JSON.
    """
    if not request.is_json:
        abort(415, "Send JSON, with Content-Type: application/json.")
    try:
        value = json.loads(request.get_data(cache=True), parse_constant=_refuse_constant)
    except RecursionError:
        abort(400, f"The JSON is nested deeper than {MAX_JSON_DEPTH}.")
    except ValueError as error:
        abort(400, f"The body is not valid JSON: {str(error)[:200]}")
    if not isinstance(value, dict):
        abort(400, "The body must be a JSON object.")
    _check_json(value)
    if fields is not None and (unknown := sorted(set(value) - fields)):
        abort(400, f"Unknown field {unknown[0][:100]!r}. Known are: {', '.join(sorted(fields))}.")
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _check_json(value: Any) -> None:
    """Walk a JSON value level by level; abort with 400 at what the rest of the house can't take."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        leaves = [child for child in level if not isinstance(child, dict | list)]
        if any(not _is_good_leaf(leaf) for leaf in leaves):
            abort(400, "The JSON holds a number or a text that can't be kept.")
        level = [inner for child in level for inner in _children(child)]
        if not level:
            return
    abort(400, f"The JSON is nested deeper than {MAX_JSON_DEPTH}.")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


def _is_good_leaf(leaf: Any) -> bool:
    if isinstance(leaf, str):
        return "\0" not in leaf and not any("\ud800" <= character <= "\udfff" for character in leaf)
    if isinstance(leaf, int):
        return abs(leaf) <= LARGEST_NUMBER
    return leaf is None or isinstance(leaf, dict | list) or math.isfinite(leaf)
