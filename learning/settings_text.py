"""A run's settings as people write them: as YAML, and as arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import yaml

from learning import options
from learning.choices import OPTIONS

# What PyYAML's constructors raise, beside its own errors, for values that lie about themselves.
LOST_IN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
MOST_CHARACTERS = 100_000  # of a YAML file


def write_yaml(settings: Mapping[str, Any]) -> str:
    """Return a run's settings as YAML that `read_yaml` reads and `training.py --config` repeats it from.

    Args:
        settings: of a run; what says where it ran, as folders, is left out.
    """
    recipe = settings["recipe"]
    chosen = {"recipe": recipe} | {name: settings[name] for name in options.of(recipe) if name in settings}
    return yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True)


def read_yaml(text: str) -> tuple[str, dict[str, Any]]:
    """Return the recipe a YAML text names (`quick` where it names none) and its other values, unchecked.

    Raises:
        OptionRefused: it is no YAML, or no list of names and values.
    """
    if len(text) > MOST_CHARACTERS:
        raise options.OptionRefused("config", f"It is longer than {MOST_CHARACTERS:,} characters.")
    try:
        said = yaml.safe_load(text) or {}
    except (yaml.YAMLError, *LOST_IN) as error:
        raise options.OptionRefused("config", f"It is not YAML: {str(error)[:500]}") from None
    if not isinstance(said, dict) or not all(isinstance(name, str) for name in said):
        raise options.OptionRefused("config", "It must be lines of “name: value”, as “minutes: 5”.")
    recipe = said.pop("recipe", "quick")
    options.check_recipe(recipe)
    return recipe, said


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the command line an argument for every option, `--label-smoothing` for `label_smoothing`."""
    group = parser.add_argument_group("what may be chosen (docs/training.md)")
    for name, option in OPTIONS.items():
        words = f"{option.words} ({', '.join(option.recipes)}; {option.default})".replace("%", "%%")
        group.add_argument(_flag(name), dest=name, metavar="VALUE", default=argparse.SUPPRESS, help=words)


def given_in(arguments: argparse.Namespace) -> dict[str, str]:
    """Return those options that the command line names, as texts."""
    return {name: getattr(arguments, name) for name in OPTIONS if hasattr(arguments, name)}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
