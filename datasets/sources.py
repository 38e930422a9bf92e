"""What an import brings: the files of a zip, of a folder or of the sample digits, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from datasets import samples
from datasets.archives import Archive, ArchiveRefused, Limits, open_archive
from datasets.checking import SentFile
from datasets.folders import list_folder
from datasets.label_lists import LabelListRefused
from datasets.labelling import Choices, File, LeftOut, SentList, label_files
from datasets.names import make_inert


@dataclass(frozen=True)
class Brought:
    """Files with their labels, what is left out and why, and what a person should know of it."""

    files: list[SentFile]
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_source(
    kind: str, upload: str | None, choices: Choices, limits: Limits, list_at: tuple[str, str] | None = None
) -> Iterator[Brought]:
    """Open what an import brings; its files can be read until this ends.

    Args:
        kind: zip, folder or digits.
        upload: where the zip or folder lies.
        choices: how labels are found.
        limits: of a zip.
        list_at: (name, path) of a label list that was sent beside it.

    Raises:
        ArchiveRefused: the zip or folder as a whole is not taken.
        LabelListRefused: nor is its label list.
    """
    if kind == "digits":
        yield Brought(samples.digits())
        return
    sent = _read_list(list_at, choices) if list_at else None
    if kind == "folder":
        yield bring(_read_folder(Path(upload)), choices, sent)
    else:
        with _open_zip(upload, limits) as archive:
            archive.verify()
            yield bring(files_of(archive), choices, sent)


def files_of(archive: Archive) -> dict[str, File]:
    """Return the members of a zip by their paths."""
    return {m.path: File(partial(archive.read, m), m.size) for m in archive.members}


def bring(files: Mapping[str, File], choices: Choices, sent: SentList | None = None) -> Brought:
    """Label files; what only says labels is not among them any more.

    Raises:
        LabelListRefused: the label list is not one.
    """
    labelling = label_files(files, choices, sent)
    brought = [
        SentFile(make_inert(name), files[name].read, files[name].size, names)
        for name, names in labelling.labels.items()
    ]
    return Brought(brought, labelling.left_out, labelling.notes)


def _read_list(list_at: tuple[str, str], choices: Choices) -> SentList:
    name, path = list_at[0], Path(list_at[1])
    if not path.exists():
        raise LabelListRefused(f"{name} is no longer there. Send it again.")
    if path.stat().st_size > choices.max_list:
        raise LabelListRefused(f"{name} is too large. Split it into several.")
    return SentList(name, path.read_bytes())


@contextmanager
def _open_zip(path: str, limits: Limits) -> Iterator[Archive]:
    if not Path(path).exists():
        raise ArchiveRefused("zip_missing", "The zip is no longer there. Send it again.")
    with open_archive(path, limits) as archive:
        yield archive


def _read_folder(root: Path) -> dict[str, File]:
    """Return the files of a folder by their relative paths."""
    if not root.is_dir():
        raise ArchiveRefused("folder_missing", f"{root} is not a folder. Give a folder of class folders.")
    return {name: File((root / name).read_bytes, (root / name).stat().st_size) for name in list_folder(root)}
