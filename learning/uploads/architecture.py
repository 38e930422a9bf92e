"""The gate's half that reads a model's configuration: what may stand in it, and what it says of the network.

Every object in it must be on the lists below, whatever module it claims to be from; a name that is missing
here is refused, so what Keras learns to do next year stays outside until somebody has looked at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from learning.uploads.facts import ANEW, PLAIN, SMALLER, ModelRefused

MAX_CONFIG = 16 * 1024 * 1024  # bytes
MAX_DEPTH = 64
MAX_LAYERS = 2_000
LARGEST_NUMBER = 1_000_000  # units, filters, sides

MODELS = {"Sequential", "Functional", "Model"}
LAYERS = {
    *("InputLayer", "Dense", "Activation", "Softmax", "ReLU", "LeakyReLU", "PReLU", "ELU", "Identity"),
    *("Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D"),
    *("SeparableConv2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("ZeroPadding2D", "Cropping2D", "UpSampling2D", "Resizing", "CenterCrop", "Rescaling", "Normalization"),
    *("Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Add", "Subtract", "Multiply"),
    *("Average", "Maximum", "Minimum", "Dot", "BatchNormalization", "LayerNormalization", "LayerScale"),
    *("GroupNormalization", "UnitNormalization", "RMSNormalization", "Dropout", "SpatialDropout1D"),
    *("SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("MultiHeadAttention", "Attention", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation"),
    *("RandomContrast", "RandomBrightness", "RandomCrop"),
    # What is left of `x + y`, `x * 2`, keras.ops.relu(x) in a functional model
    *("TrueDivide", "Negative", "Relu", "Relu6", "Sigmoid", "Silu", "Tanh", "HardSigmoid", "Mean"),
}
SMALL_PARTS = {
    *("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling"),
    *("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal", "Orthogonal"),
    *("L1", "L2", "L1L2", "MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"),
    *("DTypePolicy", "Policy", "__keras_tensor__"),
}
ACTIVATIONS = {
    *("linear", "relu", "relu6", "softmax", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softplus"),
    *("softsign", "selu", "elu", "gelu", "silu", "swish", "hard_silu", "hard_swish", "leaky_relu", "mish"),
    *("exponential", "log_softmax", "celu", "glu"),
}
MODULES = {
    *("keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers"),
    *("keras.constraints", "keras.dtype_policies", "keras.activations", "builtins"),
    *("keras.src.models.functional", "keras.src.models.sequential", "keras.src.ops.numpy"),
    *("keras.src.ops.nn", "keras.src.applications.convnext"),
}
# What only training needs; a seed may be any number.
DROPPED = ("compile_config", "quantization_config", "seed")
ENDINGS = {"softmax": "softmax", "sigmoid": "sigmoid"}


class Reader:
    """Reads one file's configuration; every refusal names the file."""

    def __init__(self, file: str):
        self.file = file
        self.layers = 0  # seen so far, those of models inside it too

    def refuse(self, code: str, what: str, remedy: str = ANEW) -> NoReturn:
        """Raise `ModelRefused` about this file."""
        raise ModelRefused(code, f"{self.file}: {what} {remedy}")

    def parse(self, content: bytes | str) -> dict[str, Any]:
        """Return the configuration, checked and without what is dropped.

        Raises:
            ModelRefused: it is too large, too deep, no JSON, or holds what is not on the lists.
        """
        if len(content) > MAX_CONFIG:
            self.refuse("config_too_large", "its configuration is larger than 16 MiB.", PLAIN)
        try:
            config = json.loads(content, parse_constant=self._refuse_constant)
        except RecursionError:
            self._refuse_depth()
        except ValueError:
            self.refuse("config_damaged", "its configuration is damaged.")
        if not isinstance(config, dict):
            self.refuse("config_damaged", "its configuration is no model's.")
        for value in self._walk(config):
            self._check(value)
        if config.get("class_name") not in MODELS:
            self.refuse(
                "not_a_model", "it holds no Sequential or Functional model.", "Save with model.save()."
            )
        return config

    def _refuse_constant(self, word: str) -> NoReturn:
        self.refuse("config_damaged", f"its configuration holds {word}.")

    def _refuse_depth(self) -> NoReturn:
        self.refuse("config_too_deep", f"it is nested deeper than {MAX_DEPTH}.", PLAIN)

    def _walk(self, config: dict[str, Any]) -> Iterator[Any]:
        """Yield every value, level by level, dropping what is not needed as it goes."""
        level: list[Any] = [config]
        for _ in range(MAX_DEPTH):
            for value in level:
                if isinstance(value, dict):
                    self._strip(value)
            yield from level
            level = [inner for value in level for inner in _children(value)]
            if not level:
                return
        self._refuse_depth()

    def _strip(self, value: dict[str, Any]) -> None:
        for name in DROPPED:
            value.pop(name, None)
        if not isinstance(value.get("shared_object_id", 0), int):
            self.refuse("config_damaged", "its configuration is no model's.")

    def _check(self, value: Any) -> None:
        if isinstance(value, dict):
            self._check_object(value)
        elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:  # NaN too
            self.refuse("number_too_large", f"its configuration holds {value:.4g}.", SMALLER)

    def _check_object(self, value: dict[str, Any]) -> None:
        if "class_name" in value:
            self._check_class(value)
        for name in ("activation", "recurrent_activation"):
            self._check_activation(value.get(name))

    def _check_class(self, value: dict[str, Any]) -> None:
        name, module = value["class_name"], value.get("module")
        if name == "function":
            return self._check_function(value)
        if not isinstance(name, str) or name not in MODELS | LAYERS | SMALL_PARTS:
            self._refuse_class(name)
        if module is not None and module not in MODULES:
            self._refuse_class(f"{module}.{name}")
        if value.get("registered_name") not in (None, name):
            self._refuse_class(value["registered_name"])
        return self._count(name)

    def _count(self, name: str) -> None:
        self.layers += name in LAYERS
        if self.layers > MAX_LAYERS:
            self.refuse("too_many_layers", f"it has more than {MAX_LAYERS:,} layers.", SMALLER)

    def _refuse_class(self, name: Any) -> NoReturn:
        self.refuse(
            "layer_not_allowed",
            f"it holds “{str(name)[:60]}”, which may not be in an uploaded model.",
            "Build it from Keras's own image layers; of Lambda layers make layers such as Rescaling.",
        )

    def _check_function(self, value: dict[str, Any]) -> None:
        if value.get("module") not in ("builtins", "keras.activations"):
            self._refuse_class(f"{value.get('module')}.{value.get('config')}")
        self._check_activation(value.get("config"))
        if value.get("registered_name") not in (None, "function", value["config"]):
            self._refuse_class(value["registered_name"])

    def _check_activation(self, name: Any) -> None:
        if isinstance(name, str) and name not in ACTIVATIONS:
            self._refuse_class(name)


def _children(value: Any) -> list[Any]:
    """What lies in a value; the numbers that tell shared objects apart mean nothing and may be large."""
    if isinstance(value, dict):
        return [inner for name, inner in value.items() if name != "shared_object_id"]
    return value if isinstance(value, list) else []


def layers_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a model's configuration, old or new; empty where it has none that can be told."""
    inner = config.get("config")
    listed = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    found = listed if isinstance(listed, list) else []
    return [layer for layer in found if isinstance(layer, dict) and isinstance(layer.get("class_name"), str)]


def mend(config: dict[str, Any]) -> None:
    """Put what Keras 2 wrote into the words of Keras 3, which fails at them (every Teachable Machine file).

    A DepthwiseConv2D may not say `groups: 1`, and one input or output stands by itself, not in a list.
    """
    inner = config.get("config")
    for end in ("input_layers", "output_layers") if isinstance(inner, dict) else ():
        named = inner.get(end)
        if isinstance(named, list) and len(named) == 1 and isinstance(named[0], list):
            inner[end] = named[0]
    for layer in layers_of(config):
        if layer["class_name"] in MODELS:
            mend(layer)
        elif layer["class_name"] == "DepthwiseConv2D" and isinstance(layer.get("config"), dict):
            layer["config"].pop("groups", None)


def input_shape(config: dict[str, Any]) -> list[int | None] | None:
    """Return the shape of the one input, without the batch, or None where the file doesn't say."""
    layers = layers_of(config)
    if not layers:
        return None
    first = _named(config, "input_layers") or layers[0]
    shape = _own_shape(first)
    if shape is None and first["class_name"] in MODELS:
        return input_shape(first)
    return shape


def _own_shape(layer: dict[str, Any]) -> list[int | None] | None:
    inner = layer.get("config")
    if not isinstance(inner, dict):
        return None
    shape = inner.get("batch_shape") or inner.get("batch_input_shape") or inner.get("build_input_shape")
    is_shape = isinstance(shape, list) and all(side is None or isinstance(side, int) for side in shape)
    return shape[1:] if is_shape and shape else None


def output_of(config: dict[str, Any]) -> tuple[int | None, str]:
    """Return how many numbers come out (None where the file doesn't say) and softmax, sigmoid or logits."""
    layers = layers_of(config)
    last = _named(config, "output_layers") or (layers[-1] if layers else None)
    if last is None:
        return None, "logits"
    if last["class_name"] in MODELS:
        return output_of(last)
    inner = last.get("config") if isinstance(last.get("config"), dict) else {}
    if last["class_name"] in ("Softmax", "Activation") and len(layers) > 1 and layers[-1] is last:
        units = output_of({**config, "config": {"layers": layers[:-1]}})[0]
    else:
        units = inner.get("units")
    return units if isinstance(units, int) else None, _ending(last["class_name"], inner.get("activation"))


def _ending(kind: str, activation: Any) -> str:
    name = activation.get("config") if isinstance(activation, dict) else activation
    if kind in ("Softmax", "Sigmoid"):
        return kind.lower()
    return ENDINGS.get(name, "logits") if isinstance(name, str) else "logits"


def _named(config: dict[str, Any], end: str) -> dict[str, Any] | None:
    """The layer that a functional model names as its input or output, None where it names none or several."""
    inner = config.get("config")
    named = inner.get(end) if isinstance(inner, dict) else None
    while isinstance(named, list) and named and isinstance(named[0], list):
        named = named[0] if len(named) == 1 else None
    if not isinstance(named, list) or not named:
        return None
    return next((layer for layer in layers_of(config) if layer.get("name") == named[0]), None)


def has_scaling(config: dict[str, Any]) -> bool:
    """Whether one of its first layers scales the input by itself."""
    for layer in layers_of(config)[:4]:
        if layer["class_name"] in ("Rescaling", "Normalization"):
            return True
        if layer["class_name"] in MODELS and has_scaling(layer):
            return True
    return False
