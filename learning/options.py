"""What was chosen, checked: values come in as text or as YAML and JSON give them, and go out as meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from learning import backbones
from learning.choices import OPTIONS, RECIPES, Option

LONGEST_NUMBER = 10**40  # that is written out; Python refuses to write one of 4,300 digits


class OptionRefused(ValueError):
    """A value that can't be; `field` names the option, and the message says what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


def of(recipe: str) -> dict[str, Option]:
    """Return the options that `recipe` knows, by name, in the order in which a form shows them."""
    known = {name: option for name, option in OPTIONS.items() if recipe in option.recipes}
    if recipe == "quick":  # it can use only what knows something already
        named = tuple(name for name, one in backbones.BACKBONES.items() if one.is_pretrained)
        known["backbone"] = replace(OPTIONS["backbone"], choices=named)
    if recipe == "fine-tune":  # who has minutes has time for the larger network, which brings the most
        known["backbone"] = replace(OPTIONS["backbone"], default="efficientnet-lite2")
        rate, side = OPTIONS["learning_rate"], OPTIONS["image_size"]
        words = f"{rate.words} “usual” is 0.0003 for a network that knows something, 0.001 from nothing."
        known["learning_rate"] = replace(rate, default="usual", choices=("usual", "auto"), words=words)
        words = f"{side.words} “auto” learns from squares small enough for 12 epochs in the time there is."
        words += " Answers are given at the backbone's own side, or at this where it is larger."
        known["image_size"] = replace(side, default="auto", choices=("auto",), words=words)
    return known


def check(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every option of the recipe, the defaults where nothing was given.

    Args:
        recipe: `quick`, `fine-tune`, `custom` or `uploaded`.
        given: values by option, as text or as YAML and JSON have them; an empty text or None counts as not
            given.

    Raises:
        OptionRefused: there is no such recipe or option, or a value is not one of those allowed.
    """
    check_recipe(recipe)
    known = of(recipe)
    for name in given:
        if name not in known:
            raise OptionRefused(name, f"The recipe “{recipe}” knows no {name!r}. It knows {_list(known)}.")
    said = {name: value for name, value in given.items() if value is not None and value != ""}
    return {
        name: _check(name, option, said[name]) if name in said else option.default
        for name, option in known.items()
    }


def check_recipe(recipe: Any) -> None:
    """Raise OptionRefused where there is no such recipe."""
    if recipe not in RECIPES:
        said = _shorten(recipe)
        raise OptionRefused("recipe", f"There is no recipe {said}. Choose one of {_list(RECIPES)}.")


def _check(name: str, option: Option, value: Any) -> Any:
    if option.kind == "choice":
        return _check_choice(name, option, value)
    if option.kind == "switch":
        return _check_switch(name, value)
    if option.kind == "text":
        return _check_text(name, option, value)
    return value if value in option.choices else _check_number(name, option, value)


def _check_choice(name: str, option: Option, value: Any) -> str:
    word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value  # as YAML reads
    if word not in option.choices:
        said, choices = _shorten(value), _list(option.choices)
        raise OptionRefused(name, f"{name} can't be {said}. Choose one of {choices}.")
    return word


def _check_switch(name: str, value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    said = str(value).lower() if isinstance(value, bool | str) or value in (0, 1) else ""
    if said not in words:
        raise OptionRefused(name, f"{name} must be true or false, not {_shorten(value)}.")
    return words[said]


def _check_text(name: str, option: Option, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionRefused(name, f"{name} must be a text, not {_shorten(value)}.")
    if len(value) > option.high:
        raise OptionRefused(name, f"{name} may have {option.high:,} characters at most.")
    return value


def _check_number(name: str, option: Option, value: Any) -> int | float:
    number = _as_number(value)
    is_whole = number is not None and number == int(number)
    if number is None or not option.low <= number <= option.high or (option.kind == "whole" and not is_whole):
        what = "a whole number" if option.kind == "whole" else "a number"
        instead = f", or {_list(option.choices)}" if option.choices else ""
        limits = f"from {option.low:g} to {option.high:g}"
        raise OptionRefused(name, f"{name} must be {what} {limits}{instead}, not {_shorten(value)}.")
    return int(number) if option.kind == "whole" else number


def _as_number(value: Any) -> float | None:
    """Return what the value says in numbers, or None where that is nothing finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shorten(value: Any) -> str:
    """Return a value for a message, without writing out what may be endless: a YAML can hold itself."""
    if isinstance(value, int) and abs(value) >= LONGEST_NUMBER:
        return "a number of so many digits"
    if not isinstance(value, bool | int | float | str):
        return f"a {type(value).__name__}"
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"


def _list(names: Any) -> str:
    return ", ".join(names)
