"""The API as a Postman collection (format v2.1.0): a folder for each noun, ready to be imported."""

from __future__ import annotations

import json
from typing import Any

from web.reference.document import document, server_address
from web.reference.fields import Field
from web.reference.operations import Body, Operation, file_name, list_nouns
from web.reference.snippets import PHOTO

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection() -> dict[str, Any]:
    """Return the collection: fill in its variables `baseUrl` (this server) and `token`, then send."""
    info = document()["info"]
    return {
        "info": {"name": info["title"], "description": info["description"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "baseUrl", "value": server_address(), "type": "string"},
            {"key": "token", "value": "", "type": "string", "description": "A personal token: pgh_…"},
        ],
        "item": [
            {"name": noun.title, "description": noun.words, "item": [_item(one) for one in noun.operations]}
            for noun in list_nouns()
        ],
    }


def _item(operation: Operation) -> dict[str, Any]:
    body = operation.bodies[0] if operation.bodies else None
    needs = f"Needs the scope `{operation.scope}`." if operation.scope else ""
    request: dict[str, Any] = {
        "method": operation.method,
        "description": "\n\n".join(text for text in (operation.words, needs) if text),
        "header": [_entry(one) for one in operation.fields if one.where == "header"],
        "url": _url(operation),
    }
    if body:
        request["header"] += _content_type(body)
        request["body"] = _body(body)
    return {"name": operation.summary, "request": request, "response": []}


def _url(operation: Operation) -> dict[str, Any]:
    """Return the address in Postman's pieces; `{slug}` is `:slug` there."""
    path = [
        f":{part[1:-1]}" if part.startswith("{") else part for part in operation.path.strip("/").split("/")
    ]
    query = [_entry(one) for one in operation.fields if one.where == "query"]
    return {
        "raw": "{{baseUrl}}/" + "/".join(path),
        "host": ["{{baseUrl}}"],
        "path": path,
        "query": query,
        "variable": [
            {"key": one.name, "value": one.example, "description": one.words}
            for one in operation.fields
            if one.where == "path"
        ],
    }


def _entry(field: Field) -> dict[str, Any]:
    """Return a query parameter or a header, switched off where it may be left out."""
    value = field.default if field.default is not None else field.example
    return {"key": field.name, "value": value, "description": field.words, "disabled": not field.is_required}


def _content_type(body: Body) -> list[dict[str, Any]]:
    return [] if body.kind == "form" else [{"key": "Content-Type", "value": body.types[0]}]


def _body(body: Body) -> dict[str, Any]:
    if body.kind == "json":
        options = {"raw": {"language": "json"}}
        return {
            "mode": "raw",
            "raw": json.dumps(body.example, indent=2, ensure_ascii=False),
            "options": options,
        }
    if body.kind == "raw":
        return {"mode": "file", "file": {"src": PHOTO}}
    return {"mode": "formdata", "formdata": [_part(one) for one in body.fields]}


def _part(field: Field) -> dict[str, Any]:
    kind = (
        {"type": "file", "src": file_name(field.name)}
        if field.is_file
        else {"type": "text", "value": field.example}
    )
    return {"key": field.name, "description": field.words, "disabled": not field.is_required, **kind}
