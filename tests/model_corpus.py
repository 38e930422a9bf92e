"""Models made in code: good ones, and SAFETY's hostile ones (57 to 85). No Keras is needed to write them.

A hostile model that ran would touch the marker file; the tests see that it stays absent.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIDE = 16
LABELS = 3
LABELS_TEXT = "0 red\n1 green\n2 blue\n"


def layer(kind: str, config: dict[str, Any], module: str = "keras.layers") -> dict[str, Any]:
    """A layer as Keras 3 writes it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def network(
    *between: dict[str, Any], units: int = LABELS, side: Any = SIDE, ending: str = "softmax"
) -> dict[str, Any]:
    """A Sequential: mean colours, `between`, then a softmax (or another ending) over the labels."""
    shape = side if isinstance(side, list) else [None, side, side, 3]
    layers = [
        layer("InputLayer", {"batch_shape": shape, "dtype": "float32", "name": "image"}),
        layer("GlobalAveragePooling2D", {"name": "mean"}),
        *between,
        layer("Dense", {"name": "answer", "units": units, "activation": ending}),
    ]
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "colours", "layers": layers, "build_input_shape": shape},
        "registered_name": None,
    }


def numbers(units: int = LABELS) -> tuple[np.ndarray, np.ndarray]:
    """The weights of the last layer: red, green and blue answer to their own mean."""
    return (np.eye(3, units) * 8).astype(np.float32), np.zeros(units, np.float32)


def h5_bytes(fill: Callable[[h5py.File], None]) -> bytes:
    """An HDF5 file as bytes."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file.getvalue()


def keras_weights(units: int = LABELS) -> bytes:
    """model.weights.h5 of `network()`."""

    def fill(file: h5py.File) -> None:
        variables = file.create_group("layers/dense/vars")
        for index, value in enumerate(numbers(units)):
            variables[str(index)] = value

    return h5_bytes(fill)


def zip_bytes(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip as bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def as_keras(config: dict[str, Any] | str, weights: bytes | None = None, **more: bytes) -> bytes:
    """A .keras file."""
    text = config if isinstance(config, str) else json.dumps(config)
    members = {"metadata.json": b'{"keras_version": "3.15.1"}', "config.json": text.encode()}
    weights = keras_weights() if weights is None else weights
    return zip_bytes({**members, "model.weights.h5": weights, **more})


def as_h5(config: dict[str, Any] | str, change: Callable[[h5py.File], None] | None = None) -> bytes:
    """An .h5 file as Keras 2 and 3 write it; `change` may spoil it."""

    def fill(file: h5py.File) -> None:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(old(config))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"mean", b"answer"]
        weights.create_group("mean").attrs["weight_names"] = np.array([])
        answer = weights.create_group("answer")
        answer.attrs["weight_names"] = [b"answer/kernel:0", b"answer/bias:0"]
        for name, value in zip(("kernel:0", "bias:0"), numbers(), strict=True):
            answer[f"answer/{name}"] = value
        if change is not None:
            change(file)

    return h5_bytes(fill)


def old(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as Keras 2 wrote it: no modules, `batch_input_shape`."""
    inner = {key: value for key, value in config["config"].items() if key != "build_input_shape"}
    layers = [{"class_name": one["class_name"], "config": dict(one["config"])} for one in inner["layers"]]
    first = layers[0]["config"]
    if "batch_shape" in first:
        first["batch_input_shape"] = first.pop("batch_shape")
    return {"class_name": config["class_name"], "config": {**inner, "layers": layers}}


def _old_layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def _old_input(name: str, *shape: int) -> dict[str, Any]:
    return _old_layer("InputLayer", name, batch_input_shape=[None, *shape], dtype="float32")


def _old_functional() -> dict[str, Any]:
    """One DepthwiseConv2D as Keras 2 wrote a functional model."""
    image = _old_input("input_1", 32, 32, 3)
    depthwise = _old_layer("DepthwiseConv2D", "depthwise", kernel_size=[1, 1], use_bias=False, groups=1)
    layers = [
        {**image, "name": "input_1", "inbound_nodes": []},
        {**depthwise, "name": "depthwise", "inbound_nodes": [[["input_1", 0, 0, {}]]]},
    ]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [["depthwise", 0, 0]]}
    return _old_layer("Functional", "mobilenet", layers=layers, **ends)


def teachable_machine() -> bytes:
    """A zip as Teachable Machine exports it: Sequentials in a Sequential, written by Keras 2."""
    mean = _old_layer("GlobalAveragePooling2D", "mean")
    looks = [_old_input("mobilenet_input", 32, 32, 3), _old_functional(), mean]
    shape = {"batch_input_shape": [None, 3]}
    answer = _old_layer("Dense", "dense_Dense2", units=LABELS, activation="softmax", use_bias=False, **shape)
    answers = [_old_input("dense_input", 3), answer]
    layers = [
        _old_input("sequential_input", 32, 32, 3),
        _old_layer("Sequential", "looks", layers=looks),
        _old_layer("Sequential", "answers", layers=answers),
    ]
    config = _old_layer("Sequential", "sequential_4", layers=layers)

    def fill(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"looks", b"answers"]
        for name, path, value in (
            ("looks", "depthwise/depthwise_kernel:0", np.ones((1, 1, 3, 1), np.float32)),
            ("answers", "dense_Dense2/kernel:0", numbers()[0]),
        ):
            group = weights.create_group(name)
            group.attrs["weight_names"] = [path.encode()]
            group[path] = value

    return zip_bytes({"keras_model.h5": h5_bytes(fill), "labels.txt": LABELS_TEXT.encode()})


def good() -> dict[str, bytes]:
    """The three kinds that are taken, by a file name."""
    return {
        "colours.keras": as_keras(network()),
        "colours.h5": as_h5(network()),
        "converted_keras.zip": teachable_machine(),
    }


def function(module: str, name: str) -> dict[str, Any]:
    """A function as Keras 3 writes it."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


def _calling(module: str, name: str, *arguments: Any) -> dict[str, Any]:
    """A Lambda that calls a function by its name."""
    config = {"name": "evil", "function": function(module, name), "arguments": {"args": list(arguments)}}
    return layer("Lambda", config)


def _bytecode(marker: Path) -> list[Any]:
    """The old Lambda's marshalled code would go here; that it is a Lambda must be enough to refuse it."""
    return [f"4wAAAAAA{marker.name}", None, None]


def _deep(depth: int) -> str:
    text = json.dumps(network())
    return text[:-1] + ', "more": ' + "[" * depth + "]" * depth + "}"


def _bomb(file: h5py.Group, path: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(path, shape, np.float32, chunks=(min(shape[0], 4096), *shape[1:]), compression="gzip")


def _spoilt_keras(change: Callable[[h5py.Group], None]) -> bytes:
    def fill(file: h5py.File) -> None:
        variables = file.create_group("layers/dense/vars")
        variables["1"] = numbers()[1]
        change(variables)

    return as_keras(network(), h5_bytes(fill))


def _replace(path: str, change: Callable[[h5py.Group, str], None]) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        group, name = file[path].parent, path.rsplit("/", 1)[1]
        del group[name]
        change(group, name)

    return spoil


KERNEL = "model_weights/answer/answer/kernel:0"


def _external(file: h5py.Group, name: str) -> None:
    file.create_dataset(name, (3, LABELS), np.float32, external=[("/etc/passwd", 0, 36)])


def _virtual(file: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((3, LABELS), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, LABELS))
    file.create_virtual_dataset(name, layout)


def _linked(link: Any) -> Callable[[h5py.Group, str], None]:
    def change(file: h5py.Group, name: str) -> None:
        file[name] = link

    return change


def _holding(value: float) -> Callable[[h5py.Group, str], None]:
    def change(file: h5py.Group, name: str) -> None:
        file[name] = np.full((3, LABELS), value, np.float32)

    return change


def _twice(**changes: Callable[[h5py.Group, str], None]) -> dict[str, bytes]:
    """The same spoilt weights in both formats."""
    made = {}
    for name, change in changes.items():
        made[f"{name} in .keras"] = _spoilt_keras(lambda group, change=change: change(group, "0"))
        made[f"{name} in .h5"] = as_h5(network(), _replace(KERNEL, change))
    return made


def _lookup() -> dict[str, Any]:
    return layer("StringLookup", {"name": "words", "vocabulary": "/etc/passwd"})


def _everywhere(**layers: dict[str, Any]) -> dict[str, bytes]:
    return {name: as_keras(network(evil)) for name, evil in layers.items()}


def hostile(marker: Path) -> dict[str, bytes]:
    """Cases 57 to 84, name to file; every one must be refused."""
    touch = f"touch {marker}"
    function_list = {"name": "evil", "function": _bytecode(marker)}
    node = layer("Functional", {"name": "f", "layers": [], "node": function("os", "system")}, "keras.models")
    payload = {"class_name": "__lambda__", "config": {"value": touch}}
    return {
        "57 Lambda in .keras": as_keras(network(layer("Lambda", {"name": "evil", "function": payload}))),
        "58 Lambda in .h5": as_h5(network(layer("Lambda", {"name": "evil", "function": payload}))),
        "59 old Lambda in .h5": as_h5(network(layer("Lambda", function_list))),
        "61 os.system as a node": as_keras(network(node)),
        "62 Popen class": as_keras(network(layer("Popen", {"args": touch, "shell": True}, "subprocess"))),
        "62 Dense of a strange module": as_keras(network(layer("Dense", {"units": 3}, "subprocess"))),
        **_everywhere(
            **{
                "60 os.system Lambda": _calling("os", "system", touch),
                "63 enable_unsafe_deserialization": _calling("keras.config", "enable_unsafe_deserialization"),
                "64 set_global_attribute": _calling("keras.src.backend.common.global_state", "set", "a", 1),
                "65 get_file": _calling("keras.utils", "get_file", "http://127.0.0.1/x"),
                "66 load_model": _calling("keras.models", "load_model", "x.keras", False),
                "67 Lambda set_floatx": _calling("keras.config", "set_floatx", "float16"),
                "67 function as activation": layer(
                    "Activation", {"activation": function("keras.config", "set_floatx"), "name": "a"}
                ),
                "68 TFSMLayer": layer("TFSMLayer", {"filepath": "/tmp/x", "name": "evil"}),
                "69 TorchModuleWrapper": layer("TorchModuleWrapper", {"module": "gASV", "name": "evil"}),
                "70 vocabulary": _lookup(),
            }
        ),
        **_twice(
            **{
                "71 external link": _linked(h5py.ExternalLink("/etc/passwd", "/x")),
                "72 external dataset": _external,
                "73 virtual dataset": _virtual,
                "74 soft link": _linked(h5py.SoftLink("/elsewhere")),
                "75 shape bomb": lambda group, name: _bomb(group, name, (2**34,)),
                "77 weights bomb": lambda group, name: _bomb(group, name, (64 * 2**20,)),
                "83 NaN weights": _holding(np.nan),
            }
        ),
        **_bombs(),
        **_broken(),
        **_misshapen(),
    }


def _bombs() -> dict[str, bytes]:
    padding = " " * (17 * 2**20)
    text = json.dumps(network())
    members = {"metadata.json": b"{}", "config.json": text.encode()}
    return {
        "76 config bomb": zip_bytes(
            {**members, "config.json": (text + padding).encode(), "model.weights.h5": keras_weights()},
            zipfile.ZIP_DEFLATED,
        ),
        "76 config bomb in .h5": as_h5(text + padding),
        "77 weights bomb in the zip": _zeros(members, 520),
        "78 asset bomb": as_keras(network(), **{"assets/x": bytes(2**20)}),
        "79 ../ asset": as_keras(network(), **{"assets/../../x": b"x"}),
        "80 deep config": as_keras(_deep(100_000)),
        "80 config deeper than 64": as_keras(_deep(80)),
        "81 Dense of two thousand million": as_keras(network(units=2_000_000_000)),
        "too many layers": as_keras(network(*[layer("ReLU", {"name": f"r{i}"}) for i in range(2_001)])),
    }


def _zeros(members: dict[str, bytes], mebibytes: int) -> bytes:
    """A small .keras file whose weights unpack to that many mebibytes."""
    file = io.BytesIO(zip_bytes(members))
    archive = zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("model.weights.h5", "w") as member:
        for _ in range(mebibytes):
            member.write(bytes(2**20))
    return file.getvalue()


def _broken() -> dict[str, bytes]:
    config, weights = json.dumps(network()).encode(), keras_weights()
    return {
        "82 no config": zip_bytes({"metadata.json": b"{}", "model.weights.h5": weights, "x": b""}),
        "82 no weights": zip_bytes({"metadata.json": b"{}", "config.json": config, "x": b""}),
        "82 broken config": as_keras(config.decode()[:-40]),
        "82 config of something else": as_keras(json.dumps([1])),
        "82 broken weights": as_keras(network(), weights[:-600]),
        "82 empty weights": as_keras(network(), b""),
        "82 weights without numbers": as_keras(network(), h5_bytes(lambda file: None)),
        "82 truncated .h5": as_h5(network())[:2_000],
        "82 weights only": h5_bytes(lambda file: file.create_dataset("x", data=[1.0])),
        "82 an empty file": b"",
        "82 a page of HTML": b"<html></html>",
        "82 a zip of other files": zip_bytes({"a.txt": b"a"}),
    }


def _misshapen() -> dict[str, bytes]:
    return {
        "84 takes rows": as_keras(network(side=[None, 16])),
        "84 takes oblongs": as_keras(network(side=[None, 16, 24, 3])),
        "84 takes four channels": as_keras(network(side=[None, 16, 16, 4])),
    }


def refused_by_the_probe() -> dict[str, bytes]:
    """What only running it tells: every one passes the gate and must be refused by the probe."""
    shape = layer("Reshape", {"name": "square", "target_shape": [1, 3]})
    return {
        "82 weights of another network": as_keras(network(), keras_weights(units=5)),
        "84 answers with a square": as_keras(network(shape)),
    }
