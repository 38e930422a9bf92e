"""The pretrained networks by name, and their one-time conversion to LiteRT files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from learning import efficientnet, networks
from learning.efficientnet import KerasModel
from utils import lock_file, write_atomically

DEFAULT = "efficientnet-lite0"


class BackboneUnknown(ValueError):
    """No backbone of that name; the message lists them."""


@dataclass(frozen=True)
class Backbone:
    """A network without its head: `build(name, input_size)` gives its maps, the last layer's last."""

    name: str
    input_size: int
    build: Callable[[str, int], KerasModel]
    description: str


@dataclass(frozen=True)
class PreparedBackbone:
    """A backbone's LiteRT file; `identifier` is its SHA-256, which also names everything computed by it."""

    name: str
    identifier: str
    path: Path
    input_size: int
    embedding_size: int


BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(DEFAULT, 224, efficientnet.build, "Small and quick, for most photos."),
        Backbone("efficientnet-lite2", 260, efficientnet.build, "Sees more detail, half as quick."),
    )
}


def get(name: str) -> Backbone:
    """Return the backbone called `name`.

    Raises:
        BackboneUnknown: there is none.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        known = ", ".join(BACKBONES)
        raise BackboneUnknown(f"There is no backbone {name!r}. Choose one of: {known}.") from None


def find(name: str, folder: str | Path) -> PreparedBackbone | None:
    """Return the prepared backbone that `folder/<name>.json` tells of, or None when it has to be prepared."""
    get(name)
    folder = Path(folder)
    try:
        index = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        path = folder / index["file"]
        is_whole = path.stat().st_size == index["bytes"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    if not is_whole or index["embedding_version"] != networks.EMBEDDING_VERSION:
        return None
    return PreparedBackbone(name, index["identifier"], path, index["input_size"], index["embedding_size"])


def prepare(name: str, folder: str | Path) -> PreparedBackbone:
    """Return the prepared backbone, converting it first when `folder` does not hold it yet.

    Converting imports TensorFlow and takes some 10 s. Two processes never convert at once: the second waits
    and finds the first's work.

    Raises:
        BackboneUnknown: there is no backbone called `name`.
        WeightsRefused: its weights are not installed, or are not the published ones.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / "lock"):
        return find(name, folder) or _convert(name, folder)


def build_embedder(name: str) -> KerasModel:
    """Build the backbone in Keras, from images (batch, size, size, 3) to `[embedding, last feature map]`."""
    networks.load_tensorflow_quietly()
    backbone = get(name)
    return networks.add_embedding(backbone.build(name, backbone.input_size))


def _convert(name: str, folder: Path) -> PreparedBackbone:
    embedder = build_embedder(name)
    content = networks.convert(embedder)
    identifier = hashlib.sha256(content).hexdigest()
    index = {
        "name": name,
        "identifier": identifier,
        "file": f"{identifier}.tflite",
        "bytes": len(content),
        "input_size": BACKBONES[name].input_size,
        "embedding_size": embedder.outputs[0].shape[-1],
        "embedding_version": networks.EMBEDDING_VERSION,
    }
    write_atomically(folder / index["file"], content)
    write_atomically(folder / f"{name}.json", json.dumps(index, indent=1))
    return find(name, folder)
