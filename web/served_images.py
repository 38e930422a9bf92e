"""Stored images as answers, to pages and programs: of our own decoding, harmless wherever they are opened."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, abort, request

from datasets import storage
from utils import ImageRefused

CONTENT_SECURITY_POLICY = "sandbox; default-src 'none'"
CACHE_SECONDS = 3600


def view(filename: str) -> Response:
    """Answer with the whole image upright, at most 1,600 pixels a side, as JPEG or PNG."""
    return _answer(f"view-{filename}", lambda: storage.read_view(filename))


def thumbnail(filename: str) -> Response:
    """Answer with the small square of an image, as JPEG."""
    return _answer(f"thumbnail-{filename}", lambda: (storage.read_thumbnail(filename), "image/jpeg"))


def _answer(tag: str, read: Callable[[], tuple[bytes, str]]) -> Response:
    """Answer with what `read` gives, bytes and media type, or with 304 where the client has it already."""
    response = Response()
    response.set_etag(tag)
    response.headers["Cache-Control"] = f"private, max-age={CACHE_SECONDS}"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if not request.if_none_match.contains(tag):
        try:
            content, response.mimetype = read()
        except FileNotFoundError:
            abort(404)
        except ImageRefused:
            abort(409, "The stored image is damaged. Restore it from a backup, or delete it.")
        response.set_data(content)
    return response.make_conditional(request)
