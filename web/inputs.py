"""What a request carries, read whole or refused: its form, its numbers, its JSON, the way back."""

from __future__ import annotations

import json
import math
from tempfile import TemporaryFile
from typing import Any

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.routing import IntegerConverter

from web.limits import limits_of_request

MAX_JSON_DEPTH = 32
BLOCK = 256 * 1024
MAX_JSON_VALUES = 20_000  # a change may name 10,000 items; each value costs far more than its bytes
MAX_JSON_COMMAS = 5 * MAX_JSON_VALUES  # counted before it is read, those in texts too
LARGEST_NUMBER = 2**63 - 1  # what every database holds as an integer


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
        """Let large files arrive on the instance's disk: the system's temporary folder may lie in memory."""
        if limits_of_request().body not in ("MAX_ZIP", "MAX_MODEL"):
            return super()._get_file_stream(total_content_length, content_type, filename, content_length)
        return TemporaryFile(dir=current_app.config["PIGEONHOLE"].folder("uploads"))


class StorableInteger(IntegerConverter):
    """A whole number in an address; one that no database can hold is simply not found."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"max": LARGEST_NUMBER, **options})


def read_past_body() -> None:
    """Read the body for nothing: else the connection is closed under a client that sends on."""
    while request.stream.read(BLOCK):
        continue


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

    Aborts with 400 when it is not JSON, not an object, deeper than 32, or holds over 20,000 names and values,
    NaN, Infinity, a number of thousands of digits, or text that is not valid Unicode; with 415 when it does
    not say that it is JSON.
    """
    if not request.is_json:
        abort(415, "Send JSON, with Content-Type: application/json.")
    return parse_json(request.get_data(cache=True), fields)


def parse_json(text: str | bytes, fields: set[str] | None = None, what: str = "The body") -> dict[str, Any]:
    """Return a JSON object as `read_json` does; `what` names it where it is refused."""
    if text.count("," if isinstance(text, str) else b",") > MAX_JSON_COMMAS:
        _refuse_count()
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        abort(400, f"The JSON is nested deeper than {MAX_JSON_DEPTH}.")
    except ValueError as error:
        abort(400, f"{what} is not valid JSON: {str(error)[:200]}")
    if not isinstance(value, dict):
        abort(400, f"{what} must be a JSON object.")
    _check_json(value)
    if fields is not None and (unknown := sorted(set(value) - fields)):
        abort(400, f"Unknown field {unknown[0][:100]!r}. Known are: {', '.join(sorted(fields))}.")
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _refuse_count() -> None:
    abort(400, f"The JSON holds more than {MAX_JSON_VALUES:,} names and values.")


def _check_json(value: Any) -> None:
    """Walk a JSON value level by level; abort with 400 at what the rest of the house can't take."""
    level, left = [value], MAX_JSON_VALUES
    for _ in range(MAX_JSON_DEPTH):
        left -= len(level)
        if left < 0:
            _refuse_count()
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
        return "\0" not in leaf and _is_unicode(leaf)
    if isinstance(leaf, int):
        return abs(leaf) <= LARGEST_NUMBER
    return leaf is None or isinstance(leaf, dict | list) or math.isfinite(leaf)


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8, which half of a surrogate pair can't."""
    try:
        return text.isascii() or bool(text.encode("utf-8"))
    except UnicodeEncodeError:
        return False
