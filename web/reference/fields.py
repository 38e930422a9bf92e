"""The fields of a JSON schema in words, for a person who reads the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from web.reference.examples import example
from web.reference.parts import Parts, Schema, types

DEEPEST = 3  # objects within objects that get a line of their own
LARGEST_TOLD = 2**31 - 1  # from here on a limit is the database's and tells a reader nothing
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


@dataclass(frozen=True)
class Shape:
    """One way an object may look: `title` says which, where there are several."""

    title: str
    fields: tuple[Field, ...]


def shapes_of(parts: Parts, schema: Schema, where: str = "body") -> tuple[Shape, ...]:
    """Return the ways an object may look, each with its fields in the order of its schema."""
    variants = parts.variants(schema)
    found: dict[str, dict[str, Field]] = {}
    for one in variants:
        fields = found.setdefault(_title(one) if len(variants) > 1 else "", {})
        for field in _walk(parts, one, where, "", DEEPEST):
            fields.setdefault(field.name, field)
    return tuple(Shape(title, tuple(fields.values())) for title, fields in found.items() if fields)


def _title(schema: Schema) -> str:
    """Return what sets a variant apart: the field with one choice only, or else what it requires."""
    for name, part in schema.get("properties", {}).items():
        if len(part.get("enum", [])) == 1:
            return f"`{name}`: `{part['enum'][0]}`"
    needed = schema.get("required") or list(schema.get("properties", {}))[:1]
    return "with " + " and ".join(f"`{name}`" for name in needed)


def _walk(parts: Parts, schema: Schema, where: str, prefix: str, depth: int) -> Iterator[Field]:
    properties = schema.get("properties", {})
    for name, part in properties.items():
        part = parts.resolve(part)
        yield make_field(parts, prefix + name, where, part, name in schema.get("required", []))
        inner, mark = _object_within(parts, part)
        repeats = inner and set(inner["properties"]) <= set(properties)  # the same fields in another place
        if inner and depth > 1 and not repeats:
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
