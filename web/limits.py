"""What one view takes: how large a body, how many requests a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flask import current_app, request

from config import Config
from web.access import View

# Files of a multipart form go to disk; any other body goes through memory, and is bounded by less.
IN_MEMORY = {
    "MAX_IMAGE_BATCH": "MAX_PREDICT_BODY",
    "MAX_ZIP": "MAX_BODY",
    "MAX_CSV": "MAX_BODY",
    "MAX_MODEL": "MAX_BODY",
}


@dataclass(frozen=True)
class Limits:
    """What one view takes: `body` names a setting in bytes, `rate` is one of those of `limits`."""

    body: str = "MAX_BODY"
    rate: str = "request"
    is_reading: bool = False
    rate_of_explaining: str | None = None


def limits(
    body: str = "MAX_BODY",
    rate: str = "request",
    is_reading: bool = False,
    rate_of_explaining: str | None = None,
) -> Callable[[View], View]:
    """Declare what a view takes: put it under the route's line.

    Args:
        body: the setting (bytes) that bounds the request body, such as "MAX_ZIP"; above it 413. See IN_MEMORY
            for what is no multipart form.
        rate: request, upload, predict, token or images (see `requests_a_minute`); above it 429, Retry-After.
        is_reading: keep even a POST in a reading transaction, for views that work long before they write.
        rate_of_explaining: the rate instead, where `?explain` asks a network.
    """

    def declare(view: View) -> View:
        view.limits = Limits(body, rate, is_reading, rate_of_explaining)
        return view

    return declare


def limits_of_request() -> Limits:
    """Return what the view of this request has declared."""
    view = current_app.view_functions.get(request.endpoint or "")
    declared = getattr(view, "limits", Limits())
    if declared.rate_of_explaining and is_explaining():
        return replace(declared, rate=declared.rate_of_explaining)
    return declared


def is_explaining() -> bool:
    """Whether the address asks why an answer is what it is: `?explain=true`."""
    return request.args.get("explain", "") in ("1", "true")


def most_bytes(settings: Config) -> int:
    """Return how large the body of this request may be."""
    name = limits_of_request().body
    if request.mimetype != "multipart/form-data":
        name = IN_MEMORY.get(name, name)
    return getattr(settings, name.lower())


def requests_a_minute(settings: Config, is_stranger: bool) -> int:
    """Return how many requests of this request's kind one user or address may make in a minute."""
    rates = {
        "request": settings.request_rate,
        "upload": settings.upload_rate,
        "token": settings.token_rate,
        "predict": settings.predict_rate_anonymous if is_stranger else settings.predict_rate_token,
        # A page shows sixty thumbnails, so they get a rate of their own.
        "images": settings.request_rate * 60,
    }
    return rates[limits_of_request().rate]
