"""What a recipe is given of its run, and how it says what it is doing and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning import backbones, inputs
from learning.embeddings import EmbeddingStore

STARTED = time.monotonic()  # of the process, nearly: how long its person has waited


class Stopped(Exception):
    """The run was asked to stop, or its process to end; what was computed is kept."""


@dataclass(frozen=True)
class Work:
    """One run as its recipe sees it.

    Attributes:
        folder: the run folder. A recipe writes evaluation.json, package/ and, to go on after a kill -9,
            checkpoint/ into it.
        settings: recipe, backbone, task, seed, dataset (its name), train_on_all, the folders `backbones` and
            `embeddings`, and the recipe's own options.
        labels: names in the order that travels with the version.
        read_items: yields the manifest's lines.
        report: `report(phase, done=None, total=None, **more)` writes a line of progress; it raises Stopped
            when an end is asked for.
        is_ending: whether an end is asked for, for those who must not be interrupted in the middle.
        write_result: keeps result.json, whole or not at all.
        show: prints a text for the person at the command line.
    """

    folder: Path
    settings: dict[str, Any]
    labels: list[str]
    read_items: Callable[[], Iterator[dict[str, Any]]]
    report: Callable[..., None]
    is_ending: Callable[[], bool]
    write_result: Callable[[dict[str, Any]], None]
    show: Callable[[str], None]

    @property
    def package(self) -> Path:
        """Where the package is written."""
        return self.folder / "package"

    def open_store(self) -> EmbeddingStore:
        """Open the store of the backbone's embeddings; the backbone must be prepared."""
        prepared = backbones.find(self.settings["backbone"], self.settings["backbones"])
        return EmbeddingStore(self.settings["embeddings"], prepared.identifier)

    def describe(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what package.json says of the run itself; `items` are those that were used."""
        return {
            **{key: self.settings.get(key) for key in ("recipe", "task", "seed")},
            "run": self.folder.name,
            "dataset_hash": inputs.hash_dataset(self.labels, items),
        }

    def settle(
        self, spec: dict[str, Any], count: int, refused: list[dict[str, str]], is_exported: bool = False
    ) -> None:
        """Write the result of a finished recipe: from here on the version answers.

        Args:
            spec: package.json's content.
            count: of the items that were used.
            refused: name, code and message of those that could not be read.
            is_exported: whether nothing is left to export.
        """
        result = {
            "state": "finished",
            "message": None,
            **spec["metrics"],
            "items": count,
            "labels": spec["labels"],
            "refused": refused,
            "package": self.package.name,
            "seconds": round(time.monotonic() - STARTED, 3),
            "dataset_hash": spec["dataset_hash"],
            "proven": spec["proven"],
            "is_exported": is_exported,
        }
        self.write_result(result)
        told = {key: result.get(key) for key in ("score", "accuracy", "interval", "seconds")}
        self.report("packaging", 1, 1, **told)
