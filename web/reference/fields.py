"""The fields of a JSON schema in words, for a person who reads the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from web.reference.examples import example
from web.reference.parts import Parts, Schema, types

DEEPEST = 3  # objects within objects that get a line of their own
LARGEST_TOLD = 2**31  # above it a limit is the database's and tells a reader nothing
TYPE_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}


@dataclass(frozen=True)
class Field:
    """One parameter of an address, or one field of a body; `name` is dotted within objects: `items[].id`."""

    name: str
    where: str  # path, query, header or body
    kind: str
    words: str
    is_required: bool
    default: str | None
    choices: tuple[str, ...]
    is_file: bool
    is_list: bool
    example: str


def fields_of(parts: Parts, schema: Schema, where: str = "body") -> list[Field]:
    """Return the fields of an object in the order of its schema, those of all its variants."""
    found: dict[str, Field] = {}
    variants = parts.variants(schema)
    for variant in variants:
        for field in _walk(parts, variant, where, "", DEEPEST):
            found.setdefault(field.name, field)
    if len(variants) > 1:  # what one of them requires may be missing in the others
        return [replace(field, is_required=False) for field in found.values()]
    return list(found.values())


def _walk(parts: Parts, schema: Schema, where: str, prefix: str, depth: int) -> Iterator[Field]:
    for name, part in schema.get("properties", {}).items():
        part = parts.resolve(part)
        yield make_field(parts, prefix + name, where, part, name in schema.get("required", []))
        inner, mark = _object_within(parts, part)
        if inner and depth > 1:
            yield from _walk(parts, inner, where, f"{prefix}{name}{mark}.", depth - 1)


def _object_within(parts: Parts, part: Schema) -> tuple[Schema | None, str]:
    """Return the object within a field, if there is one, and how its name is marked."""
    is_list = "array" in types(part)
    for inner in parts.variants(part.get("items", {}) if is_list else part):
        if "properties" in inner:
            return inner, "[]" if is_list else ""
    return None, ""


def make_field(
    parts: Parts, name: str, where: str, schema: Schema, is_required: bool, words: str = ""
) -> Field:
    """Return one field of this schema in words."""
    item = parts.resolve(schema.get("items", {}))
    kind = kind_of(parts, schema)
    default = schema.get("default")
    return Field(
        name=name,
        where=where,
        kind=kind if where == "body" else kind.replace(" or null", ""),  # left out, it is null
        words=words or schema.get("description", ""),
        is_required=is_required,
        default=None if default is None else as_text(default),
        choices=tuple(str(one) for one in schema.get("enum", [])),
        is_file="binary" in (schema.get("format"), item.get("format")),
        is_list="array" in types(schema),
        example=as_text(example(parts, schema, name.split(".")[-1])),
    )


def kind_of(parts: Parts, schema: Schema) -> str:
    """Return what a value of this schema is, in words: `whole number, 1 to 500`."""
    schema = parts.resolve(schema)
    variants = parts.variants(schema)
    if variants != [schema]:
        return " or ".join(dict.fromkeys(kind_of(parts, one) for one in variants))
    if schema.get("format") == "binary":
        return "file"
    if "array" in types(schema):
        inner = kind_of(parts, schema.get("items", {}))
        return f"list: {inner}" + _bounds(schema, "minItems", "maxItems", " entries")
    words = " or ".join(TYPE_WORDS[one] for one in types(schema)) or "anything"
    return words + (_bounds(schema, "minimum", "maximum") or _bounds(schema, "", "maxLength", " characters"))


def _bounds(schema: Schema, low: str, high: str, unit: str = "") -> str:
    least, most = schema.get(low), schema.get(high)
    if most is not None and most < LARGEST_TOLD:
        return f", {least} to {most}{unit}" if least is not None else f", at most {most}{unit}"
    return f", at least {least}{unit}" if least else ""


def as_text(value: Any) -> str:
    """Return a value as it is typed into a form: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
