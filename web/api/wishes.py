"""What may be asked of a run, as a run.yaml holds it: checked strictly, and told by the OpenAPI."""

from __future__ import annotations

import math
from typing import Any

from marshmallow import Schema, fields, validate

from learning import options, own_code
from learning.choices import Option
from web.errors import Refused
from web.recipes.custom import BACKBONE

RECIPES = ("quick", "fine-tune", "custom")  # those that need nothing but settings
JSON_KINDS = {"whole": int | float, "number": int | float, "switch": bool, "choice": str, "text": str}
KIND_WORDS = {bool: "true or false", str: "a text", int | float: "a number"}


def schema() -> type[Schema]:
    """Return the fields of a request: the recipe, `settings`, and by name every option of some recipe."""
    known = {name for recipe in RECIPES for name in options.of(recipe)}
    recipe = fields.Str(load_default=RECIPES[0], validate=validate.OneOf(RECIPES))
    together = fields.Dict(keys=fields.Str())
    return Schema.from_dict({"recipe": recipe, "settings": together} | {name: fields.Raw() for name in known})


def settle(recipe: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return `backbone` and every setting of a run, from options that stand alone or under `settings`.

    Aborts with 422, naming the field, at one that stands twice, is unknown to the recipe or can't be; own
    code is read, and not run.
    """
    given = _merge(dict(wishes))
    known = options.of(recipe)
    for name in given.keys() & known.keys():
        _check_kind(name, known[name], given[name])
    try:
        chosen = options.check(recipe, given)
        if recipe == "custom":
            own_code.parse(chosen["code"])
    except options.OptionRefused as error:
        raise Refused(str(error), error.field) from error
    except own_code.CodeRefused as error:
        raise Refused(str(error), "code") from error
    return {"backbone": BACKBONE, **chosen}


def _merge(wishes: dict[str, Any]) -> dict[str, Any]:
    settings = wishes.pop("settings", {})
    if twice := sorted(set(settings) & set(wishes)):
        raise Refused(f"{twice[0]!r} stands twice: beside the settings and among them.", twice[0])
    return {**settings, **wishes}


def _check_kind(name: str, option: Option, value: Any) -> None:
    """Refuse text for a number and the like, which a form may send and JSON has no need to."""
    kind = JSON_KINDS[option.kind]
    if isinstance(value, str) and value in option.choices:
        return
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)) or value == "":
        raise Refused(f"{name} must be {KIND_WORDS[kind]}.", name)


def body() -> dict[str, Any]:
    """Return the OpenAPI of a request's body: for each recipe, its options alone or under `settings`."""
    forms = [form for recipe in RECIPES for form in _forms(recipe)]
    return {"required": False, "content": {"application/json": {"schema": {"anyOf": forms}}}}


def _forms(recipe: str) -> list[dict[str, Any]]:
    named = {"recipe": {"type": "string", "enum": [recipe]}}
    known = {name: _tell(option) for name, option in options.of(recipe).items()}
    must = {} if recipe == RECIPES[0] else {"required": ["recipe"]}
    return [
        {**_object(f"{recipe}, options beside it", named | known), **must},
        {**_object(f"{recipe}, options together", named | {"settings": _object("Options", known)}), **must},
    ]


def _object(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "type": "object", "properties": properties, "additionalProperties": False}


def _tell(option: Option) -> dict[str, Any]:
    """Return the JSON schema of one option."""
    told = {"title": option.title, "description": option.words, "default": option.default}
    if option.kind == "switch":
        return told | {"type": "boolean"}
    if option.kind == "choice":
        return told | {"type": "string", "enum": list(option.choices)}
    if option.kind == "text":
        return told | {"type": "string", "minLength": 1, "maxLength": int(option.high)}
    number = {"type": "integer" if option.kind == "whole" else "number"}
    ends = {"minimum": option.low, "maximum": option.high}
    number |= {name: end for name, end in ends.items() if math.isfinite(end)}
    return told | ({"anyOf": [number, {"enum": list(option.choices)}]} if option.choices else number)
