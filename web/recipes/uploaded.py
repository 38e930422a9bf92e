"""The form of an uploaded model: what was found in it, and what only its person can know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

from jobs import uploaded
from learning.options import of
from learning.uploads import facts as knowledge
from learning.uploads.facts import SCALINGS, Facts, ModelRefused
from models import Dataset
from web.recipes import fields

TITLE = "Your own model"
WORDS = "Takes a Keras model trained elsewhere, or one of Teachable Machine, and measures it on your images."
TEMPLATE = "runs/recipes/uploaded.html"


def refusal(dataset: Dataset) -> str | None:
    """Where there is no sandbox, no model is taken."""
    return uploaded.why_not()


def facts(dataset: Dataset) -> dict[str, Any]:
    """What was found in the model, its labels as far as they are known, and the scalings."""
    name = request.values.get("model", "")
    found = uploaded.find(dataset, name)
    return {
        "name": name,
        "found": found,
        "options": of("uploaded"),
        "scalings": SCALINGS,
        "labels": _labels(found, [label.name for label in dataset.labels]) if found else [],
        "is_waiting": found is None,
    }


def _labels(found: Facts, known: list[str]) -> list[str]:
    """What the field for labels begins with."""
    try:
        return knowledge.choose_labels(found, "", known)
    except ModelRefused:
        return list(found.labels or ())


def read(dataset: Dataset, form: Mapping[str, str], files: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of its options.

    Raises:
        FormRefused: some can't be, or do not fit the model.
    """
    chosen = fields.read_options("uploaded", form)
    try:
        found, _, _ = uploaded.choose(dataset, chosen, [label.name for label in dataset.labels])
    except ModelRefused as refused:
        field = {"labels": "model_labels", "scaling": "scaling"}.get(refused.code, "model")
        raise fields.FormRefused({field: str(refused)}) from refused
    return {**chosen, "backbone": found.sent_name[:60]}
