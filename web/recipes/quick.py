"""The quick recipe's form: which ready-made network looks at the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models import Dataset
from web import work
from web.recipes import fields

TITLE = "Quick"
WORDS = "Learns on top of a ready-made network. Takes seconds, and is right for most."
TEMPLATE = "runs/recipes/quick.html"
GROUPS = {"chief": ("backbone",)}


def refusal(dataset: Dataset) -> str | None:
    """It can always be chosen."""
    return None


def facts(dataset: Dataset) -> dict[str, Any]:
    """Its options in groups, and how far the dataset's images are known."""
    return {"groups": fields.grouped("quick", GROUPS), "embedding": work.embedding_of(dataset)}


def read(dataset: Dataset, form: Mapping[str, str], files: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of its options.

    Raises:
        FormRefused: one can't be.
    """
    return fields.read_options("quick", form)
