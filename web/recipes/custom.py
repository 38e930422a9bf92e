"""The form of a network of one's own: its code, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app

from jobs import sandbox, trainers
from learning import own_code
from learning.options import of
from models import Dataset
from web.recipes import fields

TITLE = "Your own code"
WORDS = "Trains a Keras network that you write here, on your images alone. For those who want full control."
TEMPLATE = "runs/recipes/custom.html"
VARIED = ("flip", "rotate", "zoom", "translate", "contrast")
BACKBONE = "own code"  # what stands in the place of one
GROUPS = {
    "chief": ("image_size", "colour", "epochs", "minutes", "batch_size", "loss"),
    "varied": VARIED,
    "code": ("code",),
}


def refusal(dataset: Dataset | None = None) -> str | None:
    """It runs only where an administrator allows it and a sandbox holds."""
    if not current_app.config["PIGEONHOLE"].own_code:
        return trainers.OWN_CODE_OFF
    return None if sandbox.probe() else sandbox.describe()


def facts(dataset: Dataset) -> dict[str, Any]:
    """Its options in groups, the sandbox's name and the first lines to begin from."""
    return {
        "groups": fields.grouped("custom", GROUPS),
        "code": of("custom")["code"],
        "sandbox": found.words if (found := sandbox.probe()) else None,
    }


def read(dataset: Dataset, form: Mapping[str, str], files: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of its options; the code is read, and not run.

    Raises:
        FormRefused: some can't be.
    """
    sent = {**form, "code": form.get("code", "").replace("\r\n", "\n")}
    chosen = fields.read_options("custom", sent)
    try:
        own_code.parse(chosen["code"])
    except own_code.CodeRefused as refused:
        raise fields.FormRefused({"code": str(refused)}) from refused
    return {**chosen, "backbone": BACKBONE}
