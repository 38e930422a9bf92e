"""Uploaded models on their way to a run: looked at in throwaway processes, kept until a run takes a copy.

Each lies in a folder of its own under `uploads/`, named at random, which is swept when nobody used it for an
hour; a run's folder holds its own copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import current_app

from datasets import storage
from jobs import sandbox
from jobs.enclosing import enclose
from learning.uploads import facts, throwaway
from learning.uploads.facts import Facts, ModelRefused
from models import Dataset
from utils import generate_random_name, lock_file, write_atomically

FACTS = "facts.json"
USUAL_SIZE = 224  # pixels a side: what a network that takes any is tried with
PATIENCE_SECONDS = 20  # while another model is looked at
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")


class LookingBusy(RuntimeError):
    """Too many models are being looked at; the message says to try again."""


def why_not() -> str | None:
    """Return why no model may be uploaded here, for a person; None where one may."""
    allowed = current_app.config["PIGEONHOLE"].model_uploads
    if allowed == "always":
        return None
    if allowed != "sandbox":
        return "Uploading models is switched off on this server (MODEL_UPLOADS)."
    if sandbox.probe() is None:
        return (
            f"Uploaded models are looked at in a sandbox, and this machine has none. {sandbox.why_none()} "
            "An administrator can allow it without one (MODEL_UPLOADS)."
        )
    return None


def make_folder() -> Path:
    """Return a new folder for one upload, once there is disk enough.

    Raises:
        StorageFull: the disk is nearly full.
    """
    storage.require_free_space(facts.MAX_MODEL)
    folder = _root() / generate_random_name()
    folder.mkdir()
    return folder


def look(folder: Path, sent: Path, sent_name: str, dataset_id: int) -> str:
    """Let a sent file through the gate and the probe; return the name under which its clean copy is kept.

    Args:
        folder: as `make_folder` gave it; gone if the model is refused.
        sent: the file as it was sent; gone in any case.
        dataset_id: whose editors may use it.

    Raises:
        ModelRefused: the message names the file.
        LookingBusy: others are being looked at.
    """
    try:
        with _turn():
            found = throwaway.take(sent, sent_name, folder, enclose)
            told = throwaway.look(folder, found, found.size or USUAL_SIZE, enclose)
        if found.labels is not None:
            facts.check_outputs(found.labels, told["outputs"])
        known = {**found.as_json(), "outputs": told["outputs"], "parameters": told["parameters"]}
        write_atomically(folder / FACTS, json.dumps({"dataset": dataset_id, "facts": known}))
        sent.unlink()
        return folder.name
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _turn() -> Iterator[None]:
    """One at a time in the whole house: TensorFlow takes a second of processor time and memory to begin."""
    path = current_app.config["PIGEONHOLE"].instance / "looking.lock"
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with lock_file(path, wait=False):
                yield
                return
        except BlockingIOError:
            if time.monotonic() > patience_ends:
                raise LookingBusy("Another model is being looked at. Try again in a moment.") from None
            time.sleep(0.2)


def find(dataset: Dataset, name: str) -> Facts | None:
    """Return what is known of an upload of this dataset's, or None; asking counts as using it."""
    if not _NAME.fullmatch(name):
        return None
    folder = _root() / name
    try:
        kept = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        os.utime(folder)
    except (OSError, ValueError):
        return None
    return facts.from_json(kept["facts"]) if kept["dataset"] == dataset.id else None


def choose(
    dataset: Dataset, chosen: dict[str, Any], known: list[str]
) -> tuple[Facts, list[str], dict[str, Any]]:
    """Return an upload's facts, the labels of its version and the run's settings.

    Raises:
        ModelRefused: it was swept meanwhile, or the scaling or the labels have to be said.
    """
    found = find(dataset, chosen["model"])
    if found is None:
        raise ModelRefused("model", "Choose a model. One that waited for over an hour has to be sent again.")
    labels, settled = facts.choose(found, chosen, known)
    return found, labels, settled


def place(name: str, found: Facts, run_folder: Path) -> None:
    """Give a run's folder its own copy of an upload."""
    model = _root() / name / found.file
    try:
        os.link(model, run_folder / found.file)
    except OSError:
        shutil.copyfile(model, run_folder / found.file)
    write_atomically(run_folder / FACTS, json.dumps(found.as_json(), ensure_ascii=False) + "\n")


def forget(name: str) -> None:
    """Delete an upload; runs that took their copy keep it."""
    if _NAME.fullmatch(name):
        shutil.rmtree(_root() / name, ignore_errors=True)


def _root() -> Path:
    return current_app.config["PIGEONHOLE"].folder("uploads")
