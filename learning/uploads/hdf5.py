"""The gate's half that reads HDF5: weights are copied number by number into a new file, and nothing else is.

The format can point at other files, at itself, and at shapes a thousand times its size; what is copied is
plain arrays under hard links, counted before they are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np

from learning.uploads.facts import ANEW, SMALLER, ModelRefused

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS = 20_000
MAX_DEPTH = 64
MAX_PARAMETERS = 200_000_000
MAX_EXPANSION = 100  # of a compressed array over 1 MiB
MIB = 1024 * 1024
BLOCK = 4 * MIB  # numbers read at once
NAMES = re.compile(r"(layer_names|weight_names)\d*|name|backend|keras_version")
MAX_NAMES = 4 * MIB  # bytes of one list of names


class WeightsCopy:
    """Copies the weights of one file; every refusal names the file."""

    def __init__(self, file: str):
        self.file = file
        self.parameters = 0
        self.objects = 0
        self._seen: set[tuple[int, object]] = set()

    def refuse(self, code: str, what: str, remedy: str = ANEW) -> NoReturn:
        """Raise `ModelRefused` about this file."""
        raise ModelRefused(code, f"{self.file}: {what} {remedy}")

    def copy(
        self, source: h5py.Group, target: h5py.Group, skip: tuple[str, ...] = (), depth: int = 0
    ) -> None:
        """Copy groups, their lists of names and their arrays, down to the last.

        Args:
            skip: names at this level that are left out.

        Raises:
            ModelRefused: links other than hard ones, arrays kept elsewhere, shapes or numbers beyond the
                limits, or numbers that are not finite.
        """
        if depth > MAX_DEPTH:
            self.refuse("weights_too_deep", f"its weights are nested deeper than {MAX_DEPTH}.")
        self._copy_names(source, target)
        for name in self._names(source):
            if name in skip:
                continue
            child = source[name]
            self._count(child)
            if isinstance(child, h5py.Group):
                self.copy(child, target.create_group(name), depth=depth + 1)
            else:
                self._copy_array(name, child, target)

    def _names(self, group: h5py.Group) -> Iterator[str]:
        """Yield the names of what lies in a group, once its link is known to stay in this file."""
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                self.refuse("link", f"its weights point elsewhere (“{name[:60]}” is a link).")
            yield name

    def _count(self, child: h5py.HLObject) -> None:
        """Count an object, and see that it is a group or an array that was not met before."""
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            self.refuse("weights_too_many", f"it holds more than {MAX_OBJECTS:,} arrays and groups.")
        if not isinstance(child, h5py.Group | h5py.Dataset):
            self.refuse("weights_damaged", "it holds something that is neither an array nor a group.")
        information = h5py.h5o.get_info(child.id)
        key = (information.fileno, information.addr)
        if key in self._seen:
            self.refuse("link", "its weights hold the same thing twice.")
        self._seen.add(key)

    def _copy_array(self, name: str, array: h5py.Dataset, target: h5py.Group) -> None:
        self._check_array(name, array)
        copied = target.create_dataset(name, array.shape, array.dtype)
        if not array.shape:
            copied[()] = self._finite(name, np.asarray(array[()]))
            return
        rows = max(1, BLOCK // max(1, array.size // max(1, array.shape[0])))
        for start in range(0, array.shape[0], rows):
            copied[start : start + rows] = self._finite(name, array[start : start + rows])

    def _check_array(self, name: str, array: h5py.Dataset) -> None:
        if array.external or array.is_virtual:
            self.refuse("link", f"the weights “{name[:60]}” lie in another file.")
        if array.dtype.kind not in "fiub" or array.shape is None:
            self.refuse("weights_damaged", f"the weights “{name[:60]}” are no plain numbers.")
        self.parameters += array.size
        if self.parameters > MAX_PARAMETERS:
            self.refuse("too_many_parameters", "it has more than 200 million weights.", SMALLER)
        stored = array.id.get_storage_size()
        if array.nbytes > MIB and array.nbytes > MAX_EXPANSION * stored:
            self.refuse("weights_bomb", f"the weights “{name[:60]}” unpack to far more than the file holds.")

    def _finite(self, name: str, numbers: np.ndarray) -> np.ndarray:
        if not np.isfinite(numbers).all():
            self.refuse(
                "weights_not_finite",
                f"the weights “{name[:60]}” hold NaN or infinity.",
                "Train the model anew.",
            )
        return numbers

    def _copy_names(self, source: h5py.Group, target: h5py.Group) -> None:
        for index in range(h5py.h5a.get_num_attrs(source.id)):
            name = h5py.h5a.open(source.id, index=index).name.decode("utf-8", "replace")
            if NAMES.fullmatch(name):
                names = self._read_names(source, name)
                target.attrs.create(name, names, dtype=h5py.string_dtype())

    def _read_names(self, source: h5py.Group, name: str) -> list[str] | str:
        attribute = source.attrs.get_id(name)
        if math.prod(attribute.shape or ()) * attribute.dtype.itemsize > MAX_NAMES:
            self.refuse("weights_damaged", "its lists of names are too long.")
        value = source.attrs[name]
        if not isinstance(value, np.ndarray):
            return _as_text(value)
        names = [_as_text(entry) for entry in value.ravel().tolist()]
        if sum(map(len, names)) > MAX_NAMES:
            self.refuse("weights_damaged", "its lists of names are too long.")
        return names


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def create(path: Path) -> h5py.File:
    """Make a new HDF5 file; its newest format takes lists of names of any length."""
    return h5py.File(path, "w", libver="latest")


def open_for_reading(path: Path, file: str) -> h5py.File:
    """Open an HDF5 file that begins as one.

    Raises:
        ModelRefused: it does not, or is damaged.
    """
    with path.open("rb") as opened:
        if opened.read(len(SIGNATURE)) != SIGNATURE:
            raise ModelRefused("weights_damaged", f"{file}: its weights are missing or damaged. {ANEW}")
    return h5py.File(path, "r")
