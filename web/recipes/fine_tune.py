"""The form of fine-tuning: the whole network learns, within a time budget, from images that are varied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models import Dataset
from web.recipes import fields

TITLE = "Fine-tune"
WORDS = "Teaches the network itself. Takes minutes, and gains most where images are unlike ordinary photos."
TEMPLATE = "runs/recipes/fine_tune.html"
VARIED = ("flip", "rotate", "zoom", "translate", "contrast", "mixup")
GROUPS = {"chief": ("backbone", "minutes", "class_weights"), "varied": VARIED}


def refusal(dataset: Dataset) -> str | None:
    """It can always be chosen."""
    return None


def facts(dataset: Dataset) -> dict[str, Any]:
    """Its options in groups."""
    return {"groups": fields.grouped("fine-tune", GROUPS)}


def read(dataset: Dataset, form: Mapping[str, str], files: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of its options.

    Raises:
        FormRefused: some can't be.
    """
    return fields.read_options("fine-tune", form)
