"""Finding one's way in an OpenAPI document: references followed, choices laid out."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


class Parts:
    """Looks up the parts of one document."""

    def __init__(self, document: dict[str, Any]):
        self._document = document

    def resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return a part of the document, followed to where its `$ref` points."""
        while "$ref" in part:
            found: Any = self._document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def variants(self, schema: Schema) -> list[Schema]:
        """Return what a schema may be: itself, or each of its `oneOf` or `anyOf`."""
        schema = self.resolve(schema)
        several = schema.get("oneOf") or schema.get("anyOf")
        return [self.resolve(one) for one in several] if several else [schema]


def types(schema: Schema) -> list[str]:
    """Return the types that a schema names, null last; none where it may be anything."""
    named = schema.get("type", [])
    named = [named] if isinstance(named, str) else list(named)
    return sorted(named, key=lambda one: one == "null")
