"""The quick recipe's form: which ready-made network looks at the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learning.backbones import BACKBONES
from models import Dataset
from web import work
from web.recipes.fields import choose

TITLE = "Quick"
WORDS = "Learns on top of a ready-made network. Takes seconds, and is right for most."
TEMPLATE = "runs/recipes/quick.html"


def refusal(dataset: Dataset) -> str | None:
    """It can always be chosen."""
    return None


def facts(dataset: Dataset) -> dict[str, Any]:
    """The backbones, and how far the dataset's images are known."""
    return {"backbones": list(BACKBONES), "embedding": work.embedding_of(dataset)}


def read(dataset: Dataset, form: Mapping[str, str], files: Mapping[str, Any]) -> dict[str, Any]:
    """The chosen backbone.

    Raises:
        FieldRefused: there is none of that name.
    """
    return {"backbone": choose(form, "backbone", tuple(BACKBONES))}
