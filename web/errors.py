"""Every error as a page that says what to do next, or as the one JSON error under /api/ and for .json."""

from __future__ import annotations

import errno
import logging
import re

from flask import Flask, Response, current_app, jsonify, redirect, render_template, request, url_for
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import (
    Conflict,
    HTTPException,
    InternalServerError,
    SecurityError,
    ServiceUnavailable,
    TooManyRequests,
)
from werkzeug.wrappers import Response as AnyResponse

from jobs.queue import TooManyWaiting
from serving.classifier import VersionUnusable
from transactions import start_reading
from web.access import is_api_request, is_oauth_request
from web.request_ids import route

logger = logging.getLogger(__name__)

# status -> code for programs, title and sentence for a person
ERRORS = {
    400: ("bad_request", "That request can't be read", "Go back, reload the page and try again."),
    401: ("unauthorized", "Please sign in", "Your session has ended, or you have not signed in yet."),
    403: ("forbidden", "You may look, but not change this", "Ask an owner of the dataset for a higher role."),
    404: ("not_found", "Nothing here", "The address is wrong, or it is not yours to see."),
    405: ("method_not_allowed", "That can't be done here", "Go back and use the buttons of the page."),
    409: ("conflict", "That doesn't fit with what is there now", "Reload the page and try again."),
    413: ("too_large", "That is too much at once", "Send fewer or smaller files."),
    415: ("unsupported_type", "That kind of file is not taken", "Send JPEG, PNG, WebP, GIF or BMP images."),
    422: ("refused", "That was refused", "Go back, mend it and send it again."),
    429: ("too_many_requests", "Too fast", "Wait a minute, then try again."),
    500: ("internal_error", "Something broke on our side", "It was written to the log. Please try again."),
    503: ("busy", "Busy just now", "Try again in a few seconds."),
    507: ("disk_full", "The disk is full", "Free some disk space on the server, then try again."),
}
RETRY_SECONDS = 5
QUEUE_RETRY_SECONDS = 60  # where the user's own jobs are in the way
# RFC 6749's codes for what is no fault of the request; all else is invalid_request.
OAUTH_CODES = {401: "invalid_client", 500: "server_error"} | dict.fromkeys(
    (429, 503, 507), "temporarily_unavailable"
)


class InsufficientStorage(HTTPException):
    """The disk is full (or nearly): nothing more is taken until there is room."""

    code = 507
    description = ERRORS[507][2]


class Refused(HTTPException):
    """Something in the request is not taken: 422 (400 where it can't be read at all), a sentence, and the
    field or file it is about; `word` is the error's code for programs.
    """

    code = 422

    def __init__(
        self,
        message: str,
        field: str | None = None,
        file: str | None = None,
        word: str | None = None,
        status: int = 422,
    ):
        super().__init__(message)
        self.code = status
        self.about = {"code": word or ERRORS[status][0], "field": field, "file": file}


def register(app: Flask) -> None:
    """Answer every error of `app` in the house's way."""
    app.aborter.mapping[507] = InsufficientStorage
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(OperationalError, _answer_database_error)
    app.register_error_handler(OSError, _answer_system_error)
    app.register_error_handler(TooManyWaiting, _answer_too_many_waiting)
    app.register_error_handler(UnicodeEncodeError, _answer_bad_text)
    app.register_error_handler(VersionUnusable, _answer_unusable_version)


def api_error(
    status: int, code: str, message: str, field: str | None = None, file: str | None = None
) -> Response:
    """Return the API's one error shape; `field` and `file` name what the error is about."""
    error = {"code": code, "message": message, "field": field, "file": file}
    response = jsonify(error={key: value for key, value in error.items() if value is not None})
    response.status_code = status
    return response


def oauth_error(status: int, sentence: str) -> Response:
    """Return an error in the shape of RFC 6749, 5.2, whose sentences hold ASCII only."""
    words = re.sub(r"[^ !#-\[\]-~]+", " ", sentence)
    response = jsonify(error=OAUTH_CODES.get(status, "invalid_request"), error_description=words)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def wants_json() -> bool:
    """Whether the answer goes to a program: API, OAuth2, a page's .json twin, or a script that asks so."""
    is_asked = request.accept_mimetypes.best == "application/json"
    return is_api_request() or is_oauth_request() or request.path.endswith(".json") or is_asked


def _answer(error: HTTPException) -> AnyResponse:
    status = error.code if error.code in ERRORS else (400 if (error.code or 500) < 500 else 500)
    if (error.code or 500) < 400:  # a redirect of the router
        return error.get_response()
    if isinstance(error, SecurityError):  # a forged host: there is no address to link to
        return Response("This server does not answer to that name.\n", 400, mimetype="text/plain")
    if status == 401 and request.method in ("GET", "HEAD") and not wants_json():
        return redirect(url_for("account.login", next=_here()))
    if status < 500:
        start_reading()  # the page names the user; what the view had begun to write is taken back
    response = _in_shape(status, _sentence(error, status), getattr(error, "about", None))
    response.headers.extend(_extra_headers(error, status))
    return response


def _here() -> str:
    return request.full_path if request.query_string else request.path


def _in_shape(status: int, sentence: str, about: dict | None = None) -> Response:
    code, title, advice = ERRORS[status]
    if wants_json() and request.path.startswith(("/oauth/", "/o/")):
        return oauth_error(status, sentence)
    if wants_json():
        return api_error(status, **{"code": code, "message": sentence, **(about or {})})
    facts = {"status": status, "title": title, "sentence": sentence, "advice": advice}
    page = render_template("errors/error.html", **facts, is_bare=status >= 500)
    return Response(page, status, mimetype="text/html")


def _sentence(error: HTTPException, status: int) -> str:
    """Return what the code that refused has said, or else the status's own advice."""
    is_own = error.description and error.description != type(error).description
    is_safe = status not in (401, 500) and not str(type(error).__module__).startswith("flask_limiter")
    return error.description if is_own and is_safe else ERRORS[status][2]


def _extra_headers(error: HTTPException, status: int) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")]
    if status == 401 and is_api_request():
        kept.append(("WWW-Authenticate", 'Bearer realm="pigeonhole"'))
    if status == 503 and not any(name == "Retry-After" for name, _ in kept):
        kept.append(("Retry-After", str(RETRY_SECONDS)))
    return kept


def _answer_database_error(error: OperationalError) -> AnyResponse:
    words = str(error.orig).lower()
    if "locked" in words or "busy" in words:
        return _answer(ServiceUnavailable("Somebody else is writing just now. Try again in a few seconds."))
    if "full" in words:
        return _answer(InsufficientStorage())
    return _answer_unexpected(error)


def _answer_system_error(error: OSError) -> AnyResponse:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _answer(InsufficientStorage())
    return _answer_unexpected(error)


def _answer_too_many_waiting(error: TooManyWaiting) -> AnyResponse:
    return _answer(TooManyRequests(str(error), retry_after=QUEUE_RETRY_SECONDS))


def _answer_unusable_version(error: VersionUnusable) -> AnyResponse:
    return _answer(Conflict(str(error)))


def _answer_bad_text(error: UnicodeEncodeError) -> AnyResponse:
    """A lone surrogate in what the client sent can't be stored as text."""
    return _in_shape(400, "The request holds text that is not valid Unicode.")


def _answer_unexpected(error: Exception) -> AnyResponse:
    if current_app.testing:
        raise error
    logger.error("%s %s failed", request.method, route(), exc_info=error)
    return _answer(InternalServerError(original_exception=error))
