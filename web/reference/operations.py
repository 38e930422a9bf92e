"""The operations of the API as the documentation's page and the Postman collection show them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app

from web.reference import snippets
from web.reference.document import document, server_address
from web.reference.examples import example
from web.reference.fields import Field, Shape, as_text, make_field, shapes_of
from web.reference.parts import Parts, Schema
from web.reference.snippets import PHOTO

METHODS = ("get", "post", "put", "patch", "delete")
JSON, FORM = "application/json", "multipart/form-data"
KEPT = 8
DOWNLOAD = "package.zip"
# What a file field is called in an example, by the field's name.
FILES = {"archive": "photos.zip", "manifest": "labels.csv", "model": "model.keras"}
# What a value in an address is, where the code says nothing of it.
PATH_WORDS = {
    "slug": "The dataset's short name, as in its page's address.",
    "number": "The version's number in its dataset.",
    "run_id": "The run's id.",
    "item_id": "The item's id.",
    "import_id": "The import's id.",
    "user_id": "The user's id.",
    "token_id": "The token's id.",
    "prediction_id": "The prediction's name: pr_ and its letters.",
    "public_id": "The prediction's name: pr_ and its letters.",
}


@dataclass(frozen=True)
class Body:
    """One way to send a body: `kind` is json, form or raw; of raw ones `types` may be sent."""

    kind: str
    types: tuple[str, ...]
    shapes: tuple[Shape, ...] = ()
    example: Any = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of its first shape, which examples use."""
        return self.shapes[0].fields if self.shapes else ()

    @property
    def text(self) -> str:
        """The example as a person edits it."""
        return json.dumps(self.example, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Answer:
    """What an operation answers with when all goes well."""

    status: int
    title: str
    types: tuple[str, ...]
    shapes: tuple[Shape, ...]
    example: str | None


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    name: str
    noun: str
    method: str
    path: str
    summary: str
    words: str
    scope: str
    is_open: bool  # may do without a token
    fields: tuple[Field, ...]  # of path, query and header
    bodies: tuple[Body, ...]
    answers: tuple[Answer, ...]
    snippets: tuple[snippets.Snippet, ...]

    @property
    def title(self) -> str:
        """What it does in a few words: its sentence up to the first pause."""
        return re.split(r"[,;:.]", self.summary, maxsplit=1)[0]


@dataclass(frozen=True)
class Noun:
    """The operations of one noun."""

    name: str
    title: str
    words: str
    operations: tuple[Operation, ...]


def list_nouns() -> tuple[Noun, ...]:
    """Return the nouns of the application at work with their operations, in the order of the document."""
    return _read(current_app._get_current_object(), server_address())


@lru_cache(maxsize=KEPT)
def _read(app: Flask, address: str) -> tuple[Noun, ...]:
    found = document()
    parts = Parts(found)
    operations = list(_operations(parts, found, address))
    nouns = []
    for tag in found["tags"]:
        name = tag["name"]
        own = tuple(one for one in operations if one.noun == name)
        nouns.append(Noun(name, name.replace("_", " ").capitalize(), tag.get("description", ""), own))
    return tuple(noun for noun in nouns if noun.operations)


def _operations(parts: Parts, found: dict[str, Any], address: str) -> Iterator[Operation]:
    for path, methods in found["paths"].items():
        for method in METHODS:
            if method in methods:
                shared = methods.get("parameters", [])
                yield _operation(parts, address, path, method, methods[method], shared)


def _operation(
    parts: Parts, address: str, path: str, method: str, told: dict[str, Any], shared: list[dict]
) -> Operation:
    scopes = [scope for way in told.get("security", []) for scope in way.get("oauth2", [])]
    fields = tuple(_parameter(parts, one) for one in [*shared, *told.get("parameters", [])])
    bodies = tuple(_bodies(parts, told.get("requestBody")))
    answers = tuple(_answers(parts, told["responses"]))
    return Operation(
        name=told["operationId"],
        noun=told["tags"][0],
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        words=told.get("description", ""),
        scope=scopes[0] if scopes else "",
        is_open={} in told.get("security", [{}]),
        fields=fields,
        bodies=bodies,
        answers=answers,
        snippets=snippets.write(_call(address, path, method.upper(), fields, bodies, answers)),
    )


def _parameter(parts: Parts, parameter: dict[str, Any]) -> Field:
    parameter = parts.resolve(parameter)
    name, where = parameter["name"], parameter["in"]
    words = parameter.get("description") or (PATH_WORDS.get(name, "") if where == "path" else "")
    return make_field(parts, name, where, parameter["schema"], parameter.get("required", False), words)


def _bodies(parts: Parts, told: dict[str, Any] | None) -> Iterator[Body]:
    """Yield the ways to send a body, those of a form first; all kinds of bare bytes are one way."""
    content = parts.resolve(told)["content"] if told else {}
    schemas = {kind: parts.resolve(one.get("schema", {})) for kind, one in content.items()}
    if FORM in schemas:
        yield Body("form", (FORM,), shapes_of(parts, schemas[FORM]))
    if JSON in schemas:
        yield Body(
            "json", (JSON,), shapes_of(parts, schemas[JSON]), example(parts, schemas[JSON], is_whole=False)
        )
    if raw := tuple(kind for kind in schemas if kind not in (FORM, JSON)):
        yield Body("raw", raw)


def _answers(parts: Parts, responses: dict[str, Any]) -> Iterator[Answer]:
    for status, response in sorted(responses.items()):
        if not status.isdigit() or int(status) >= 400:
            continue
        content = parts.resolve(response).get("content", {})
        schema: Schema = content.get(JSON, {}).get("schema", {})
        text = None
        if schema:
            text = json.dumps(example(parts, schema), indent=2, ensure_ascii=False)
        title = HTTPStatus(int(status)).phrase
        yield Answer(int(status), title, tuple(content), shapes_of(parts, schema), text)


def _call(
    address: str,
    path: str,
    method: str,
    fields: tuple[Field, ...],
    bodies: tuple[Body, ...],
    answers: tuple[Answer, ...],
) -> snippets.Call:
    """Return a call that shows how to use the operation: with what it needs and nothing more."""
    for one in fields:
        if one.where == "path":
            path = path.replace(f"{{{one.name}}}", one.example)
    query = urlencode({one.name: one.example for one in fields if one.where == "query" and one.is_required})
    return snippets.Call(
        method=method,
        address=f"{address}{path}" + (f"?{query}" if query else ""),
        answer=_kind_of_answer(answers),
        saves_as=DOWNLOAD,
        **(_sent(bodies[0]) if bodies else {}),
    )


def _kind_of_answer(answers: tuple[Answer, ...]) -> str:
    kinds = answers[0].types if answers else ()
    if not kinds:
        return "nothing"
    is_text = any(kind.startswith("text/") or kind.endswith(("yaml", "csv")) for kind in kinds)
    return "json" if JSON in kinds else "text" if is_text else "file"


def _sent(body: Body) -> dict[str, Any]:
    if body.kind == "json":
        return {"json": body.example}
    if body.kind == "raw":
        return {"raw": (body.types[0], PHOTO)}
    needed = [one for one in body.fields if one.is_required] or list(body.fields[:1])
    files = {one.name: file_name(one.name) for one in needed if one.is_file}
    return {"files": files, "form": {one.name: as_text(one.example) for one in needed if not one.is_file}}


def file_name(field: str) -> str:
    """Return what a file sent in this field is called in examples."""
    return FILES.get(field, PHOTO)
