"""What the form of a recipe holds: the values typed so far, and what is wrong with which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from learning import options
from learning.choices import Option
from learning.options import OptionRefused


class FormRefused(ValueError):
    """Values that can't be: `errors` says by field what would do, to be shown there."""

    def __init__(self, errors: Mapping[str, str]):
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Form:
    """Values by field; nothing where nothing was typed. `errors` are sentences by field."""

    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str, default: object = "") -> str:
        """What stands in the field; a whole number without its decimals."""
        value = self.values.get(name, default)
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)

    def is_on(self, name: str, option: Option) -> bool:
        """Whether a switch is on; a form that was sent says nothing of those that are off."""
        was_sent = "recipe" in self.values
        return self.get(name, "no" if was_sent else option.default).lower() in ("true", "yes", "on", "1")

    def has_error(self, names: Mapping[str, Any]) -> bool:
        """Whether one of these fields is wrong."""
        return any(name in self.errors for name in names)


def read_options(recipe: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return a value for every option of the recipe, as the form has them.

    Raises:
        FormRefused: with all that is wrong, not only the first.
    """
    given = {name: _given(name, option, form) for name, option in options.of(recipe).items()}
    errors = {}
    for name, value in given.items():
        try:
            options.check(recipe, {name: value})
        except OptionRefused as wrong:
            said = str(wrong).removeprefix(f"{name} ")  # its name as files have it; the field has a title
            errors[name] = said[:1].upper() + said[1:]
    if errors:
        raise FormRefused(errors)
    return options.check(recipe, given)


def _given(name: str, option: Option, form: Mapping[str, str]) -> str | None:
    if option.kind == "switch" and "recipe" in form:
        return form.get(name, "no")
    return form.get(name)


def grouped(recipe: str, groups: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Option]]:
    """Return the recipe's options by group; under "" those that no group names."""
    known = options.of(recipe)
    found = {title: {name: known[name] for name in names if name in known} for title, names in groups.items()}
    named = {name for names in groups.values() for name in names}
    return found | {"": {name: option for name, option in known.items() if name not in named}}
