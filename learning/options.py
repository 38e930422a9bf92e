"""What may be chosen of each recipe, once for the command line, YAML files, the page's form and the API.

No TensorFlow, no rows: a value comes in as text or as YAML and JSON give it, and goes out checked.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from learning import backbones, facts, own_code

RECIPES = ("quick", "fine-tune", "custom", "uploaded")
LEARNING = ("fine-tune", "custom")  # those that go through the images in epochs
MOST_CHARACTERS = 100_000  # of a YAML file


class OptionRefused(ValueError):
    """A value that can't be; `field` names the option, and the message says what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Option:
    """One thing to choose.

    Attributes:
        kind: `whole` and `number` (from `low` to `high`), `choice`, `switch` (true or false) or `text`.
        default: what holds when nothing was said.
        title: its name for a person, with the unit where there is one.
        words: what it does, in a sentence or two.
        recipes: who knows it.
        choices: of a `choice`; of a number, the words allowed in its place.
        low, high: the least and the greatest number allowed; of a text, `high` counts characters.
    """

    kind: str
    default: Any
    title: str
    words: str
    recipes: tuple[str, ...]
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf


OPTIONS: dict[str, Option] = {
    "backbone": Option(
        "choice",
        backbones.DEFAULT,
        "Backbone",
        "The ready-made network that looks at the images.",
        ("quick", "fine-tune"),
        tuple(backbones.BACKBONES),
    ),
    "weights": Option(
        "choice",
        "pretrained",
        "Weights to begin with",
        "What the backbone learnt from ImageNet, or none: it then begins from nothing, as small-cnn does.",
        ("fine-tune",),
        ("pretrained", "none"),
    ),
    "minutes": Option(
        "number",
        5.0,
        "Time budget (minutes)",
        "As many epochs as fit in this time are done, and no more than “epochs” says.",
        LEARNING,
        low=0.1,
        high=1440,
    ),
    "epochs": Option(
        "whole",
        30,
        "Epochs, at most",
        "How often every image is learnt from.",
        LEARNING,
        low=1,
        high=1000,
    ),
    "batch_size": Option(
        "whole",
        16,
        "Images a step",
        "The network learns from this many images at once. Larger is steadier and needs more memory.",
        LEARNING,
        low=2,
        high=256,
    ),
    "learning_rate": Option(
        "number",
        0.001,
        "Learning rate",
        "How large the steps are at their largest. “auto” looks for it first and shows the curve.",
        LEARNING,
        ("auto",),
        low=1e-7,
        high=1.0,
    ),
    "weight_decay": Option(
        "number",
        0.02,
        "Weight decay",
        "Pulls weights towards zero, against learning the images by heart.",
        LEARNING,
        low=0,
        high=1,
    ),
    "label_smoothing": Option(
        "number",
        0.1,
        "Label smoothing",
        "How much doubt is kept in every label: it makes the network less sure of itself, and often better.",
        LEARNING,
        low=0,
        high=0.5,
    ),
    "flip": Option(
        "choice",
        "horizontal",
        "Mirroring",
        "Images are mirrored at random. Choose “none” where left and right, as in writing, mean something; "
        "“both” where up and down mean nothing, as seen from above.",
        LEARNING,
        ("horizontal", "both", "none"),
    ),
    "rotate": Option(
        "number",
        10.0,
        "Turning (degrees)",
        "Images are turned at random, this far at most to either side.",
        LEARNING,
        low=0,
        high=180,
    ),
    "zoom": Option(
        "number",
        0.15,
        "Zooming (share)",
        "Images are made larger or smaller at random, by this share at most.",
        LEARNING,
        low=0,
        high=0.9,
    ),
    "translate": Option(
        "number",
        0.05,
        "Shifting (share)",
        "Images are shifted at random, by this share of their side at most.",
        LEARNING,
        low=0,
        high=0.5,
    ),
    "contrast": Option(
        "number",
        0.1,
        "Contrast (share)",
        "Contrast is raised or lowered at random, by this share at most.",
        LEARNING,
        low=0,
        high=0.9,
    ),
    "mixup": Option(
        "number",
        0.0,
        "Mixing two images",
        "Two images and their labels are blended, more evenly the greater this is (0.2 is usual). "
        "Helps most in long trainings.",
        ("fine-tune",),
        low=0,
        high=2,
    ),
    "class_weights": Option(
        "switch",
        False,
        "Weigh rare labels more",
        "Every label counts alike however few images it has.",
        LEARNING,
    ),
    "patience": Option(
        "whole",
        10,
        "Patience (epochs)",
        "Training ends early when validation got no better for this many epochs.",
        LEARNING,
        low=1,
        high=1000,
    ),
    "mixed_precision": Option(
        "choice",
        "auto",
        "Half precision",
        "Quicker on most GPUs and never on a processor: “auto” uses it where there is a GPU.",
        ("fine-tune",),
        ("auto", "on", "off"),
    ),
    "code": Option(
        "text",
        own_code.TEMPLATE,
        "Code",
        "Python that defines build_model(input_shape, labels) and returns a Keras model; or lines of "
        "model.add(…), to which the last layer is added. At the command line, the name of a file.",
        ("custom",),
        high=own_code.MOST_BYTES,
    ),
    "image_size": Option(
        "whole",
        128,
        "Side of the images (pixels)",
        "Every image is made a square of this side. Larger shows more and takes longer.",
        ("custom",),
        low=16,
        high=512,
    ),
    "colour": Option(
        "choice",
        "colour",
        "Colour",
        "Whether the network is given three channels or one.",
        ("custom",),
        ("colour", "greyscale"),
    ),
    "loss": Option(
        "choice",
        "auto",
        "Loss",
        "What it learns to make small. “auto” is what the code compiles, else cross-entropy.",
        ("custom",),
        ("auto", "cross-entropy", "focal", "mean-squared-error"),
    ),
    "model": Option(
        "text",
        "",
        "Model",
        "A .keras or .h5 file, or a zip from Teachable Machine.",
        ("uploaded",),
        high=1024,
    ),
    "scaling": Option(
        "choice",
        facts.AUTO,
        "Pixels were scaled to",
        "What its training did to the values 0 to 255; “auto” where the file itself tells.",
        ("uploaded",),
        (facts.AUTO, *facts.SCALINGS),
    ),
    "model_labels": Option(
        "text",
        "",
        "Its labels, in order",
        "One a line, or with commas between them, in the order of the outputs; empty: labels.txt beside it, "
        "or this dataset's in alphabetical order.",
        ("uploaded",),
        high=1_000_000,
    ),
    "input_size": Option(
        "whole",
        224,
        "Side of its images (pixels)",
        "Used where the network takes images of any size.",
        ("uploaded",),
        low=8,
        high=1024,
    ),
    "seed": Option(
        "whole",
        1,
        "Seed",
        "Of everything drawn at random: the same seed on the same machine gives the same result.",
        ("quick", *LEARNING),
        low=0,
        high=2**31 - 1,
    ),
}


def of(recipe: str) -> dict[str, Option]:
    """Return the options that `recipe` knows, by name, in the order in which a form shows them."""
    known = {name: option for name, option in OPTIONS.items() if recipe in option.recipes}
    if recipe == "quick":  # it can use only what knows something already
        named = tuple(name for name, one in backbones.BACKBONES.items() if one.is_pretrained)
        known["backbone"] = replace(OPTIONS["backbone"], choices=named)
    if recipe == "fine-tune":  # who has minutes has time for the larger network, which brings the most
        known["backbone"] = replace(OPTIONS["backbone"], default="efficientnet-lite2")
        rate = OPTIONS["learning_rate"]
        words = f"{rate.words} “usual” is 0.00005 for a network that knows something, 0.001 from nothing."
        known["learning_rate"] = replace(rate, default="usual", choices=("usual", "auto"), words=words)
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
    if recipe not in RECIPES:
        raise OptionRefused("recipe", f"There is no recipe {recipe!r}. Choose one of {_list(RECIPES)}.")
    known = of(recipe)
    for name in given:
        if name not in known:
            raise OptionRefused(name, f"The recipe “{recipe}” knows no {name!r}. It knows {_list(known)}.")
    said = {name: value for name, value in given.items() if value is not None and value != ""}
    return {
        name: _check(name, option, said[name]) if name in said else option.default
        for name, option in known.items()
    }


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
        raise OptionRefused(name, f"{name} can't be {_short(value)}. Choose one of {_list(option.choices)}.")
    return word


def _check_switch(name: str, value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise OptionRefused(name, f"{name} must be true or false, not {_short(value)}.") from None


def _check_text(name: str, option: Option, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionRefused(name, f"{name} must be a text, not {_short(value)}.")
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
        raise OptionRefused(name, f"{name} must be {what} {limits}{instead}, not {_short(value)}.")
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


def _short(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"


def _list(names: Any) -> str:
    return ", ".join(names)


def write_yaml(settings: Mapping[str, Any]) -> str:
    """Return a run's settings as YAML that `read_yaml` reads and `training.py --config` repeats it from.

    Args:
        settings: of a run; what says where it ran, as folders, is left out.
    """
    recipe = settings["recipe"]
    chosen = {"recipe": recipe} | {name: settings[name] for name in of(recipe) if name in settings}
    return yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True)


def read_yaml(text: str) -> tuple[str, dict[str, Any]]:
    """Return the recipe a YAML text names (`quick` where it names none) and its other values, unchecked.

    Raises:
        OptionRefused: it is no YAML, or no list of names and values.
    """
    if len(text) > MOST_CHARACTERS:
        raise OptionRefused("config", f"It is longer than {MOST_CHARACTERS:,} characters.")
    try:
        said = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OptionRefused("config", f"It is not YAML: {str(error)[:500]}") from None
    if not isinstance(said, dict) or not all(isinstance(name, str) for name in said):
        raise OptionRefused("config", "It must be lines of “name: value”, as “minutes: 5”.")
    recipe = said.pop("recipe", "quick")
    if recipe not in RECIPES:
        raise OptionRefused("recipe", f"There is no recipe {_short(recipe)}. Choose one of {_list(RECIPES)}.")
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
