"""The networks that Keras brings along, by their names there, scaling inside; and one from nothing.

Weights are those of ImageNet: from `<weights folder>/<name>.h5` where that is, else as Keras downloads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.efficientnet import KerasModel

# As Keras downloads them: the name under which a file is to lie is ours, its content is Keras's own.
WHERE = "https://keras.io/api/applications/"
CAFFE_MEANS = (123.68, 116.779, 103.939)  # of red, green and blue, as VGG and ResNet were trained
TORCH_MEANS, TORCH_SPREADS = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SMALL_FILTERS = (32, 64, 128, 256)


class WeightsMissing(RuntimeError):
    """The weights are neither in the folder nor to be had from the network; the message names the file."""


@dataclass(frozen=True)
class Application:
    """A network of keras.applications: its input's side, and how pixels are scaled (`inside`: by itself)."""

    input_size: int
    scaling: str


APPLICATIONS = {
    "MobileNetV2": Application(224, "minus one to one"),
    "MobileNetV3Small": Application(224, "inside"),
    "MobileNetV3Large": Application(224, "inside"),
    "EfficientNetB0": Application(224, "inside"),
    "EfficientNetV2B0": Application(224, "inside"),
    "EfficientNetV2B1": Application(240, "inside"),
    "EfficientNetV2S": Application(384, "inside"),
    "ConvNeXtTiny": Application(224, "inside"),
    "ResNet50": Application(224, "caffe"),
    "ResNet50V2": Application(224, "minus one to one"),
    "DenseNet121": Application(224, "torch"),
    "InceptionV3": Application(299, "minus one to one"),
    "Xception": Application(299, "minus one to one"),
    "VGG16": Application(224, "caffe"),
    "VGG19": Application(224, "caffe"),
}


def build(name: str, input_size: int, weights: Path | None, is_pretrained: bool = True) -> KerasModel:
    """Build a network of keras.applications.

    Args:
        weights: the folder in which `<name>.h5` may lie.
        is_pretrained: false leaves its weights as they are drawn.

    Returns:
        A model from float32 (batch, size, size, 3), 0 to 255, to its last map.

    Raises:
        WeightsMissing: there is no file of weights and none can be downloaded, or it is damaged.
    """
    import keras

    scaling = APPLICATIONS[name].scaling
    image = keras.Input((input_size, input_size, 3), name="image")
    make = getattr(keras.applications, name)
    file = weights / f"{name}.h5" if weights else None
    source = None if not is_pretrained else str(file) if file and file.exists() else "imagenet"
    try:
        network = make(include_top=False, weights=source, input_tensor=_scale(image, scaling))
    except Exception as error:  # a download may fail in any way, and so may a file
        raise WeightsMissing(_how_to_get(name, file, error)) from error
    return keras.Model(image, [network.outputs[0]], name=name)


def _how_to_get(name: str, file: Path | None, error: Exception) -> str:
    place = file or f"weights/{name}.h5 in the instance folder"
    return (
        f"The weights of {name} could not be had ({str(error)[:200]}). Put Keras's file for it, without "
        f"the top ({WHERE}), there: {place}"
    )


def _scale(image: Any, scaling: str) -> Any:
    """Return the pixels as the network was trained on them, by layers that are saved with it."""
    import keras

    if scaling == "minus one to one":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    if scaling == "torch":
        factors = [1 / spread for spread in TORCH_SPREADS]
        offsets = [-mean / spread for mean, spread in zip(TORCH_MEANS, TORCH_SPREADS, strict=True)]
        return keras.layers.Rescaling(factors, offset=offsets, name="scale")(image)
    if scaling == "caffe":
        red, green, blue = (image[..., place : place + 1] for place in range(3))
        turned = keras.layers.Concatenate(name="blue_first")([blue, green, red])
        offsets = [-mean for mean in reversed(CAFFE_MEANS)]
        return keras.layers.Rescaling(1.0, offset=offsets, name="scale")(turned)
    return image


def build_small(input_size: int) -> KerasModel:
    """Build `small-cnn`: four stages of two convolutions, their weights drawn at random.

    Returns:
        A model from float32 (batch, size, size, 3), 0 to 255, to its last map.
    """
    import keras

    image = keras.Input((input_size, input_size, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    for stage, filters in enumerate(SMALL_FILTERS):
        for place in range(2):
            name = f"stage{stage}_{place}"
            stride = 2 if place == 0 else 1
            x = keras.layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=name)(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_normalisation")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.Model(image, [x], name="small-cnn")
