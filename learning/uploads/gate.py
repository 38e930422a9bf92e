"""The static gate: what an uploaded model must pass before Keras sees it, and the clean copy that is kept.

python -m learning.uploads.gate FILE SENT_NAME FOLDER    prints the facts, or why the file is refused, as JSON

Neither Keras nor TensorFlow is imported. HDF5's own reader is not made for hostile files, so the web side
runs this in a process of its own, which limits itself before it opens anything.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, NoReturn

import h5py

from learning import confinement
from learning.uploads import architecture, facts, hdf5
from learning.uploads.facts import ANEW, MAX_MODEL, PLAIN, SMALLER, Facts, ModelRefused

MIB = 1024 * 1024
GIB = 1024 * MIB
MAX_LABELS = MIB  # bytes of labels.txt
KERAS_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
TEACHABLE_MEMBERS = {"keras_model.h5", "labels.txt"}
SKIPPED = re.compile(r"__MACOSX/.*|(.*/)?\.[^/]*|(.*/)?Thumbs\.db")
MEMORY = 3 * GIB
SECONDS = 120
SMALLEST, LARGEST = 8, 1024  # pixels a side
# What zipfile, h5py and HDF5 raise for files that lie about themselves.
DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, AttributeError, EOFError)
DAMAGE += (zipfile.BadZipFile, zlib.error, NotImplementedError, OverflowError, RecursionError, SystemError)


def take(path: str | Path, sent_name: str, folder: str | Path) -> Facts:
    """Check a .keras, an .h5 or a Teachable Machine zip, and write the clean copy `Facts.file` into `folder`.

    The content decides what it is, not the name. The copy holds the checked configuration and the weights,
    nothing that only training needs, and none of the file's own structure.

    Raises:
        ModelRefused: with a code and a message that names the file; nothing is kept in `folder`.
    """
    path, folder = Path(path), Path(folder)
    try:
        return _Gate(path, sent_name, folder).take()
    except ModelRefused:
        _clear(folder)
        raise
    except DAMAGE as error:
        _clear(folder)
        raise ModelRefused(
            "model_damaged",
            f"{sent_name}: the file is damaged ({type(error).__name__}). {ANEW}",
        ) from error
    except MemoryError as error:
        _clear(folder)
        raise ModelRefused("model_too_large", f"{sent_name}: reading it takes too much memory.") from error


def _clear(folder: Path) -> None:
    for name in ("model.keras", "model.h5", "unpacked.h5", "clean.h5"):
        (folder / name).unlink(missing_ok=True)


class _Gate:
    """One file on its way through."""

    def __init__(self, path: Path, file: str, folder: Path):
        self.path, self.file, self.folder = path, file, folder
        self.reader = architecture.Reader(file)
        self.weights = hdf5.WeightsCopy(file)

    def refuse(self, code: str, what: str, remedy: str = ANEW) -> NoReturn:
        raise ModelRefused(code, f"{self.file}: {what} {remedy}")

    def take(self) -> Facts:
        if self.path.stat().st_size > MAX_MODEL:
            self.refuse("model_too_large", "it is larger than 512 MiB.", SMALLER)
        with self.path.open("rb") as opened:
            beginning = opened.read(8)
        if beginning == hdf5.SIGNATURE:
            return self._take_h5(self.path)
        if not beginning.startswith(b"PK\3\4"):
            self.refuse("not_a_model", "this is no .keras, .h5 or Teachable Machine file.", "Choose another.")
        with zipfile.ZipFile(self.path) as archive:
            return self._take_zip(archive)

    def _take_zip(self, archive: zipfile.ZipFile) -> Facts:
        members = archive.infolist()
        self._check_members(members)
        if sorted(member.filename for member in members) == sorted(KERAS_MEMBERS):
            return self._take_keras(archive)
        wanted = [
            member for member in members if not SKIPPED.fullmatch(member.filename) and not member.is_dir()
        ]
        names = {member.filename.rsplit("/", 1)[-1]: member for member in wanted}
        if len(wanted) != 2 or set(names) != TEACHABLE_MEMBERS:
            self.refuse(
                "wrong_members",
                f"it holds {len(members)} files. A .keras holds config.json, metadata.json and "
                "model.weights.h5, a Teachable Machine zip keras_model.h5 and labels.txt.",
                "Save the model anew, without assets.",
            )
        return self._take_teachable(archive, names)

    def _check_members(self, members: list[zipfile.ZipInfo]) -> None:
        if len(members) > 100 or sum(member.file_size for member in members) > MAX_MODEL + MIB:
            self.refuse("model_too_large", "it unpacks to more than 512 MiB.", SMALLER)
        if any(member.flag_bits & 1 for member in members):
            self.refuse("encrypted", "it is encrypted.", "Send it without a password.")
        for member in members:
            parts = member.filename.split("/")
            if (
                ".." in parts
                or parts[0] == ""
                or "\\" in member.filename
                or (member.external_attr >> 28) == 0xA
            ):
                self.refuse("wrong_members", "a name in it leads outside.")

    def _read(self, archive: zipfile.ZipFile, member: str, most: int, code: str, what: str) -> bytes:
        with archive.open(member) as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            self.refuse(code, f"its {what} is larger than {most // MIB} MiB.", PLAIN)
        return content

    def _unpack(self, archive: zipfile.ZipFile, member: str) -> Path:
        """Unpack the weights beside the copy to be, no further than the limit whatever the zip says."""
        unpacked, size = self.folder / "unpacked.h5", 0
        with archive.open(member) as source, unpacked.open("wb") as target:
            while block := source.read(4 * MIB):
                size += len(block)
                if size > MAX_MODEL:
                    self.refuse("weights_too_large", "its weights unpack to over 512 MiB.", SMALLER)
                target.write(block)
        return unpacked

    def _take_keras(self, archive: zipfile.ZipFile) -> Facts:
        limit = architecture.MAX_CONFIG
        content = self._read(archive, "config.json", limit, "config_too_large", "configuration")
        config = self.reader.parse(content)
        self._read(archive, "metadata.json", MIB, "config_too_large", "metadata.json")
        found = self._describe(config, "keras")
        unpacked, clean = self._unpack(archive, "model.weights.h5"), self.folder / "clean.h5"
        with hdf5.open_for_reading(unpacked, self.file) as source, hdf5.create(clean) as target:
            self.weights.copy(source, target, skip=("optimizer",))
        with zipfile.ZipFile(self.folder / "model.keras", "w") as kept:
            kept.writestr("metadata.json", '{"keras_version": "3.15.1"}')
            kept.writestr("config.json", json.dumps(config))
            kept.write(clean, "model.weights.h5")
        clean.unlink()
        unpacked.unlink()
        return self._finish(found)

    def _take_h5(self, path: Path) -> Facts:
        with hdf5.open_for_reading(path, self.file) as source:
            config = self.reader.parse(self._read_config(source))
            found = self._describe(config, "h5")
            architecture.mend(config)
            with hdf5.create(self.folder / "model.h5") as target:
                target.attrs.create("model_config", json.dumps(config), dtype=h5py.string_dtype())
                self.weights.copy(self._find_weights(source), target.create_group("model_weights"))
        return self._finish(found)

    def _read_config(self, source: h5py.File) -> bytes | str:
        if "model_config" not in source.attrs:
            self.refuse(
                "weights_only", "it holds weights but no network.", "Save the whole with model.save()."
            )
        attribute = source.attrs.get_id("model_config")
        if attribute.shape != () or attribute.get_storage_size() > architecture.MAX_CONFIG:
            self.refuse("config_too_large", "its configuration is larger than 16 MiB.", PLAIN)
        content = source.attrs["model_config"]
        if not isinstance(content, bytes | str):
            self.refuse("config_damaged", "its configuration is no text.")
        return content

    def _find_weights(self, source: h5py.File) -> h5py.Group:
        link = source.get("model_weights", getlink=True) if "model_weights" in source else None
        if not isinstance(link, h5py.HardLink) or not isinstance(source["model_weights"], h5py.Group):
            self.refuse("weights_damaged", "its weights are missing or lie elsewhere.")
        return source["model_weights"]

    def _take_teachable(self, archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo]) -> Facts:
        text = self._read(archive, names["labels.txt"].filename, MAX_LABELS, "labels", "labels.txt")
        labels = facts.parse_labels(text.decode("utf-8", "replace"), f"{self.file}, labels.txt")
        unpacked = self._unpack(archive, names["keras_model.h5"].filename)
        found = self._take_h5(unpacked)
        unpacked.unlink()
        if found.outputs is not None:
            facts.check_outputs(labels, found.outputs)
        return Facts(**{**vars(found), "labels": labels, "is_teachable_machine": True})

    def _describe(self, config: dict[str, Any], kind: str) -> Facts:
        """Read the network's two ends; they decide whether it can sort images at all."""
        shape = architecture.input_shape(config)
        outputs, ending = architecture.output_of(config)
        if shape is None or len(shape) != 3 or shape[2] not in (1, 3) or shape[0] != shape[1]:
            told = "no input shape" if shape is None else f"the input shape {shape}"
            self.refuse(
                "wrong_shape", f"it has {told}.", "It must take squares: (side, side, 3) or (side, side, 1)."
            )
        side = shape[0]
        if side is not None and not SMALLEST <= side <= LARGEST:
            self.refuse(
                "wrong_shape", f"its input is {side} pixels a side.", f"{SMALLEST} to {LARGEST} can be."
            )
        if outputs is not None and not 1 <= outputs <= facts.MOST_LABELS:
            self.refuse("wrong_shape", f"it has {outputs:,} outputs.", f"Up to {facts.MOST_LABELS:,} can be.")
        return Facts(
            sent_name=self.file,
            format=kind,
            size=side,
            channels=shape[2],
            outputs=outputs,
            ending=ending,
            parameters=0,
            layers=self.reader.layers,
            has_scaling=architecture.has_scaling(config),
        )

    def _finish(self, found: Facts) -> Facts:
        if not self.weights.parameters:
            self.refuse("weights_damaged", "it holds no weights.")
        return Facts(**{**vars(found), "parameters": self.weights.parameters})


def main(arguments: list[str]) -> int:
    """Do what the module says at its top; 0 when the file is taken, 1 when it is refused."""
    path, sent_name, folder = arguments
    confinement.limit(memory=MEMORY, seconds=SECONDS, file_size=2 * MAX_MODEL)
    try:
        answer: dict[str, Any] = {"facts": take(path, sent_name, folder).as_json()}
    except ModelRefused as refusal:
        answer = {"code": refusal.code, "message": str(refusal)}
    print(json.dumps(answer))
    return 0 if "facts" in answer else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
