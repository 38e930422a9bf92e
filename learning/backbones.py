"""The pretrained networks by name, and their one-time conversion to LiteRT files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from learning import applications, efficientnet, networks
from learning.efficientnet import KerasModel
from utils import lock_file, write_atomically

DEFAULT = "efficientnet-lite0"


class BackboneUnknown(ValueError):
    """No backbone of that name, or none that knows anything yet; the message lists those there are."""


@dataclass(frozen=True)
class Backbone:
    """A network without its head.

    Attributes:
        build: (name, input size, folder of weights or None, is_pretrained) -> a Keras model from images to
            its maps, the last layer's last.
        is_pretrained: whether it knows anything before it is trained; else the quick recipe can't use it.
    """

    name: str
    input_size: int
    build: Callable[[str, int, Path | None, bool], KerasModel]
    description: str
    is_pretrained: bool = True


@dataclass(frozen=True)
class PreparedBackbone:
    """A backbone's LiteRT file; `identifier` is its SHA-256, which also names everything computed by it."""

    name: str
    identifier: str
    path: Path
    input_size: int
    embedding_size: int


def _build_lite(name: str, input_size: int, weights: Path | None, is_pretrained: bool) -> KerasModel:
    return efficientnet.build(name, input_size, is_pretrained=is_pretrained)


def _build_small(name: str, input_size: int, weights: Path | None, is_pretrained: bool) -> KerasModel:
    return applications.build_small(input_size)


BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(DEFAULT, 224, _build_lite, "Small and quick, for most photos."),
        Backbone("efficientnet-lite2", 260, _build_lite, "Sees more detail, half as quick."),
        Backbone("small-cnn", 96, _build_small, "Begins from nothing; for drawings, signs and scans.", False),
        *(
            Backbone(name, known.input_size, applications.build, "From Keras; weights are downloaded.")
            for name, known in applications.APPLICATIONS.items()
        ),
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
        BackboneUnknown: there is no backbone called `name`, or it knows nothing yet, as `small-cnn`.
        WeightsMissing: it is one of Keras's, and its weights can't be had.
        WeightsRefused: its weights are not installed, or are not the published ones.
    """
    if not get(name).is_pretrained:
        raise BackboneUnknown(f"{name} knows nothing before it is trained. Choose recipe “fine-tune”.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / "lock"):
        return find(name, folder) or _convert(name, folder)


def build_embedder(
    name: str, folder: str | Path | None = None, is_pretrained: bool = True, side: int | None = None
) -> KerasModel:
    """Build the backbone in Keras, from images (batch, side, side, 3) to `[embedding, last feature map]`.

    Args:
        folder: of the prepared backbones; weights from elsewhere lie in `weights` beside it.
        is_pretrained: false leaves its weights as they are drawn.
        side: of the images, in pixels; its own unless given.
    """
    networks.load_tensorflow_quietly()
    backbone = get(name)
    weights = Path(folder).parent / "weights" if folder else None
    return networks.add_embedding(backbone.build(name, side or backbone.input_size, weights, is_pretrained))


def _convert(name: str, folder: Path) -> PreparedBackbone:
    embedder = build_embedder(name, folder)
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
