"""Versions side by side: the settings that differ, and the figures."""

from __future__ import annotations

import hashlib
from typing import Any

from jobs import runs, training
from learning.choices import OPTIONS
from learning.evaluation import BLOCK_NAMES, SHARE_NAMES
from models import Run, Version
from web.formats import percent

# What a run's settings say of the machine and not of the training.
OF_THE_MACHINE = ("backbones", "embeddings", "dataset", "runs")
# How the others are put in order.
FIRST, LAST = ("recipe", "task", "backbone"), ("seed", "train_on_all", "code")
LONGEST = 200  # characters of a setting that are shown
# figure of a block -> what it is called; shares of 0 to 1 but for the log-loss
FIGURES = {"accuracy": "right", "micro_f1": "Micro F1", **SHARE_NAMES, "log_loss": "log-loss"}


def settings_of(run: Run) -> dict[str, Any]:
    """The settings of a run that mean something to its recipe, the chief ones first.

    Where things lie on the machine is left out.
    """
    try:
        given = runs.read_settings(training.folder_of(run))
    except (OSError, ValueError):
        given = {"recipe": run.recipe, "backbone": run.backbone, **(run.settings or {})}
    order = [*FIRST, *(name for name in given if name not in (*FIRST, *LAST)), *LAST]
    meant = [name for name in order if name not in OF_THE_MACHINE and _is_meant(name, run.recipe)]
    return {name: given[name] for name in meant if name in given}


def _is_meant(name: str, recipe: str) -> bool:
    if name == "train_on_all":
        return recipe == "quick"
    return name != "backbone" or recipe not in ("custom", "uploaded")


def settings_rows(versions: list[Version]) -> tuple[list[dict], list[dict]]:
    """Every setting as a row of a value a version: first those that differ, then those that are the same."""
    given = [settings_of(version.run) | _learnt_from(version) for version in versions]
    names = dict.fromkeys(name for settings in given for name in settings)
    rows = [{"name": as_words(name), "values": [as_text(one.get(name)) for one in given]} for name in names]
    differ = [row for row in rows if len(set(row["values"])) > 1]
    return differ, [row for row in rows if row not in differ]


def _learnt_from(version: Version) -> dict[str, Any]:
    """What else may explain a difference: how many images and labels there were."""
    return {"images": version.metrics.get("items"), "labels": len(version.labels)}


def as_words(name: str) -> str:
    """A setting's name as a person reads it."""
    if name in OPTIONS:
        return OPTIONS[name].title
    return name.replace("_", " ").capitalize()


def as_text(value: Any) -> str:
    """A setting's value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    if len(str(value)) > LONGEST:  # such as own code: told apart by its hash
        return f"{len(str(value)):,} characters ({hashlib.sha256(str(value).encode()).hexdigest()[:8]})"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figure_rows(versions: list[Version]) -> list[dict[str, Any]]:
    """Every figure that some version has, as a row: title, and for each version its value and interval."""
    rows = []
    for block, title in reversed(BLOCK_NAMES.items()):
        blocks = [version.metrics.get(block) or {} for version in versions]
        for name, words in FIGURES.items():
            if any(name in one for one in blocks):
                rows.append({"title": f"{title}: {words}", "cells": [_cell(one, name) for one in blocks]})
    return rows


def _cell(block: dict[str, Any], name: str) -> dict[str, str]:
    if block.get(name) is None:
        return {"value": "–", "interval": ""}
    if name == "log_loss":
        return {"value": f"{block[name]:.3f}", "interval": ""}
    chief = "accuracy" if "accuracy" in block else "micro_f1"  # the one the interval is of
    interval = block.get("interval") if name == chief else None
    words = f"{percent(interval[0])} to {percent(interval[1])} of {block['items']:,}" if interval else ""
    return {"value": percent(block[name]), "interval": words}
