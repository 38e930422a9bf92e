"""What the form of a recipe holds: the values typed so far, and what is wrong with which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class FieldRefused(ValueError):
    """A value that can't be; the message says what would do and is shown at the field of that name."""

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.field = name


@dataclass(frozen=True)
class Form:
    """Values by field, as text; nothing where nothing was typed. `errors` are sentences by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str, default: object = "") -> str:
        """What stands in the field."""
        return str(self.values.get(name, default))


def choose(form: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return the form's choice, the first where it says nothing.

    Raises:
        FieldRefused: it names none of `choices`.
    """
    chosen = form.get(name, choices[0])
    if chosen not in choices:
        raise FieldRefused(name, f"There is no {name} {chosen[:60]!r}. Choose one of {', '.join(choices)}.")
    return chosen
