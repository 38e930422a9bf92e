"""Values that fit a JSON schema and read like real ones."""

from __future__ import annotations

from typing import Any

from web.reference.parts import Parts, Schema, types

DEEPEST = 4  # objects within objects; what lies deeper is left empty
A_TIME = "2026-01-31T12:00:00Z"
# By the field's name: a reader sees flowers, not "string".
BY_NAME = {
    "slug": "flowers",
    "dataset": "flowers",
    "name": "Flowers",
    "description": "Photos from the garden",
    "label": "daisy",
    "labels": ["daisy"],
    "image": "<base64>",
    "images": ["<base64>", "<base64>"],
    "recipe": "quick",
    "backbone": "efficientnet-lite0",
    "state": "running",
    "phase": "solving",
    "message": None,
    "version": 3,
    "number": 3,
    "live_version": 3,
    "probability": 0.973,
    "prediction": "pr_7HkQ2f",
    "prediction_id": "pr_7HkQ2f",
    "public_id": "pr_7HkQ2f",
    "reason": None,
    "rejected": False,
    "next": None,
    "cursor": None,
    "done": 12,
    "total": 12,
    "filename": "k3VtW9.jpg",
    "file": "IMG_1.jpg",
    "sent_name": "IMG_1.jpg",
    "user": "bob",
    "role": "editor",
    "split": "train",
    "task": "single-label",
    "scopes": ["read", "predict"],
    "proven": ["litert", "keras"],
    "url": "/api/v1/runs/1",
    "run": "/api/v1/runs/1",
    "width": 1600,
    "height": 1200,
}
OBJECTS = {
    "image": {"url": "/images/k3VtW9.jpg", "width": 1600, "height": 1200},
    "milliseconds": {"decode": 4.1, "network": 3.5, "total": 8.0},
    "settings": {},
    "counts": {"daisy": 120, "rose": 98},
}
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", type(None): "null"}


def example(parts: Parts, schema: Schema, name: str = "", is_whole: bool = True, depth: int = DEEPEST) -> Any:
    """Return a value that fits the schema of the field called `name`.

    Args:
        is_whole: with every field, as in an answer; else with what a request needs, its required fields or
            the first one where none is.
        depth: how many objects and lists within each other at most.
    """
    schema = parts.variants(schema)[0]
    for known in ("example", "const", "default"):
        if schema.get(known) is not None:
            return schema[known]
    if schema.get("examples"):
        return schema["examples"][0]
    if name in BY_NAME and _fits(BY_NAME[name], schema):
        return BY_NAME[name]
    if name in OBJECTS and types(schema) == ["object"] and not schema.get("properties"):
        return OBJECTS[name]
    if schema.get("enum"):
        return schema["enum"][0]
    return _make_up(parts, schema, name, is_whole, depth)


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a value is of one of the schema's types, and one of its choices where it names them."""
    if schema.get("enum") and value not in schema["enum"]:
        return False
    return not types(schema) or _KINDS[type(value)] in types(schema)


def _make_up(parts: Parts, schema: Schema, name: str, is_whole: bool, depth: int) -> Any:
    kind = types(schema)[0] if types(schema) else "object"
    if kind == "array":
        is_known = depth and schema.get("items")
        return [example(parts, schema["items"], name, is_whole, depth - 1)] if is_known else []
    if kind == "object":
        return _make_object(parts, schema, is_whole, depth)
    if kind == "string":
        return A_TIME if name.endswith("_at") else "…"
    return {"integer": max(1, schema.get("minimum", 1)), "number": 0.5, "boolean": True}.get(kind)


def _make_object(parts: Parts, schema: Schema, is_whole: bool, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {}) if depth else {}
    needed = [name for name in schema.get("required", []) if name in properties]
    wanted = list(properties) if is_whole else needed or list(properties)[:1]
    return {name: example(parts, properties[name], name, is_whole, depth - 1) for name in wanted}
