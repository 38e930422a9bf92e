"""Reads weights from PyTorch's legacy (non-zip) files without PyTorch, and without running anything in them.

The layout, from torch/serialization.py: four pickles (magic number, protocol version, system, the tensors'
shapes), a fifth with the storage keys in order, then for each storage its element count and its bytes.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DTYPE_OF_STORAGE = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class WeightsRefused(ValueError):
    """The file is not the one we know, or not of the format; the message names it."""


class _Tensor(NamedTuple):
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: str, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Knows four names and nothing else, so that a pickle can do no more than describe tensors."""

    def __init__(self, file: IO[bytes]):
        super().__init__(file)
        self.dtypes: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPE_OF_STORAGE:
            return name
        raise WeightsRefused(f"The weights file asks for {module}.{name}, which weights do not need.")

    def persistent_load(self, identity: tuple) -> str:
        """Note a storage's dtype; `identity` is ('storage', type, key, device, element count, view)."""
        _, kind, key, *_ = identity
        self.dtypes[key] = DTYPE_OF_STORAGE[kind]
        return key


def read_torch_weights(path: str | Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the tensors of a legacy PyTorch file by name, float32 or int64, in PyTorch's axis order.

    Raises:
        WeightsRefused: the file is missing, its SHA-256 is not `sha256`, or it is of another format.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WeightsRefused(f"The weights {path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsRefused(f"The weights {path} are not the published ones. Install the package anew.")
    return _read(io.BytesIO(content))


def _read(file: IO[bytes]) -> dict[str, np.ndarray]:
    magic, version, _ = (_Unpickler(file).load() for _ in range(3))
    if (magic, version) != (MAGIC_NUMBER, PROTOCOL_VERSION):
        raise WeightsRefused("The weights are not in PyTorch's legacy format.")
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    keys = _Unpickler(file).load()
    storages = {key: _read_storage(file, unpickler.dtypes[key]) for key in keys}
    return {name: _as_array(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _read_storage(file: IO[bytes], dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * dtype.itemsize)
    if len(content) != count * dtype.itemsize:
        raise WeightsRefused("The weights file is cut short.")
    return np.frombuffer(content, dtype)


def _as_array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    size = storage.itemsize  # np.ndarray itself refuses strides that leave the buffer
    strides = tuple(stride * size for stride in tensor.strides)
    return np.ndarray(tensor.shape, storage.dtype, storage, tensor.offset * size, strides)
