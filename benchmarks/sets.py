"""Sets that benchmarks learn from: zips of class folders, embedded once by the default backbone."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets import manifest
from learning import backbones, embeddings, inputs


@dataclass(frozen=True)
class Items:
    """Images of one set: embeddings, places of their labels, SHA-256 and which of them are for test."""

    embeddings: np.ndarray
    truth: np.ndarray
    hashes: np.ndarray
    is_test: np.ndarray


def read_arguments(name: str, rounds: str, default: int) -> tuple[dict[str, Items], int]:
    """Return the sets that the command line names, embedded, by name, and how many rounds it asks for.

    Args:
        name: of the benchmark's module.
        rounds: the option that says how many rounds, such as `--seeds`. With `--folder`, embeddings are kept.
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}")
    parser.add_argument("zips", nargs="+", type=Path)
    parser.add_argument(rounds, dest="rounds", type=int, default=default)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        sets = {path.stem: embed(path, chosen.folder or Path(place)) for path in chosen.zips}
    return sets, chosen.rounds


def embed(path: Path, folder: Path) -> Items:
    """Embed a zip of class folders with the default backbone, splits as an import would choose them."""
    labels, lines = manifest.read_path(path, manifest.Shares())
    lines = list(lines)
    prepared = backbones.prepare(backbones.DEFAULT, folder / "backbones")
    store = embeddings.EmbeddingStore(folder / "embeddings", prepared.identifier)
    embeddings.embed_missing(prepared, store, inputs.list_images(lines))
    known = store.get(line["sha256"] for line in lines)
    return Items(
        np.stack([known[line["sha256"]] for line in lines]),
        np.array([labels.index(line["labels"][0]) for line in lines]),
        np.array([line["sha256"] for line in lines]),
        np.array([line["split"] == "test" for line in lines]),
    )
