"""Manifests: the items of a folder, a zip, a CSV or a dataset, frozen for a run, one line an item.

Imports neither the tables nor Flask, so that the trainer's process starts fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

import config
from datasets.archives import ArchiveRefused, open_archive
from datasets.duplicates import Fingerprints, fingerprint
from datasets.folders import label_by_folder, list_folder
from datasets.label_lists import LabelListRefused, read_label_list
from datasets.names import NameRefused, clean_name, make_inert
from datasets.splits import Shares, Splitter
from utils import ImageRefused, center_crop, is_allowed_file, open_image

_FINGERPRINT_SIDE = 32  # pixels: decoded this small, an image costs a third of a millisecond
_CORES = os.cpu_count() or 1

__all__ = ["ManifestRefused", "Shares", "freeze_named", "freeze_rows", "read_path"]


class ManifestRefused(ValueError):
    """A source that nothing can be learnt from; the message names the file and says what to do."""


@dataclass(frozen=True)
class _Found:
    """A file that is to be an item: its name for showing, its bytes, its label, where a line says it lies."""

    name: str
    read: Callable[[], bytes]
    label: str
    where: dict[str, str]


def read_path(
    path: str | Path, shares: Shares, known_folder: Path | None = None
) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of a folder of class folders, a zip, or a CSV.

    Splits follow the same rule as an import: the same files in the same order give the same splits. A file
    that is there twice counts once.

    Args:
        path: of the folder, the .zip, or the CSV with a heading `file,label` beside its images.
        shares: what is held back of each label.
        known_folder: where fingerprints are kept, so that the next reading need not decode; None keeps none.

    Raises:
        ManifestRefused: there is nothing to learn from, or a file or row is wrong; the message says which.
    """
    path = Path(path).absolute()
    with ExitStack() as stack:
        try:
            lines = list(_split(_find(path, stack), shares, Fingerprints(known_folder)))
        except (ArchiveRefused, LabelListRefused, NameRefused, OSError) as error:
            raise ManifestRefused(f"{path}: {error}") from error
    if not lines:
        raise ManifestRefused(f"{path} holds no images. Put them into one folder for each label.")
    return sorted({line["labels"][0] for line in lines}), lines


def _find(path: Path, stack: ExitStack) -> list[_Found]:
    if path.is_dir():
        return _find_in_folder(path)
    if path.suffix.lower() == ".csv":
        return _find_in_csv(path)
    return _find_in_zip(path, stack)


def _find_in_folder(root: Path) -> list[_Found]:
    names = [name for name in list_folder(root) if is_allowed_file(name)]
    return [
        _Found(name, (root / name).read_bytes, label, {"path": str(root / name)})
        for name, label in _labelled(names)
    ]


def _find_in_zip(path: Path, stack: ExitStack) -> list[_Found]:
    archive = stack.enter_context(open_archive(path))
    members = {member.path: member for member in archive.members if is_allowed_file(member.path)}
    return [
        _Found(
            name,
            partial(archive.read, members[name]),
            label,
            {"path": members[name].info.filename, "archive": str(path)},
        )
        for name, label in _labelled(members)
    ]


def _find_in_csv(path: Path) -> list[_Found]:
    return [
        _Found(row.file, _beside(path, row).read_bytes, row.label, {"path": str(_beside(path, row))})
        for row in read_label_list(path.read_bytes())
    ]


def _beside(path: Path, row) -> Path:
    """Return the file that a row names, which must lie beside the CSV or below it."""
    file = (path.parent / row.file).resolve()
    if not file.is_relative_to(path.parent.resolve()):
        raise ManifestRefused(f"{path}: row {row.number} leads out of the CSV's folder: {row.file}.")
    if not file.is_file():
        raise ManifestRefused(
            f"{path}: row {row.number} names {make_inert(row.file)}, which is not there. Put it there."
        )
    return file


def _labelled(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name, label in label_by_folder(names).items():
        if label is None:
            raise ManifestRefused(f"{make_inert(name)} lies in no class folder. Move it into one, or out.")
        yield name, clean_name(label, "label")


def _split(found: list[_Found], shares: Shares, known: Fingerprints) -> Iterator[dict]:
    splitter, seen = Splitter(shares), set()
    with ThreadPoolExecutor(_CORES) as pool:
        learnt = list(pool.map(lambda one: _know(one, known), found))
    known.keep(dict(learnt))
    for one, (digest, print_) in zip(found, learnt, strict=True):
        if digest not in seen:
            seen.add(digest)
            line = {"sha256": digest, **one.where, "labels": [one.label]}
            split = splitter.decide(digest, print_, [one.label])
            yield {**line, "split": split, "name": make_inert(one.name)}


def _know(one: _Found, known: Fingerprints) -> tuple[str, int]:
    """Return (SHA-256, fingerprint); an image that cannot be read is nobody's near-duplicate."""
    content = one.read()
    digest = sha256(content).hexdigest()
    if (print_ := known.get(digest)) is not None:
        return digest, print_
    try:
        return digest, fingerprint(center_crop(open_image(content), _FINGERPRINT_SIDE))
    except ImageRefused:
        return digest, 0  # whoever decodes it for training refuses it by name


def freeze_named(name: str, settings: config.Config) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of the dataset of that name or slug in an instance.

    Raises:
        ManifestRefused: there is no such dataset, or more than one of that name.
    """
    engine = create_engine(settings.database_address)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("datasets"):  # nothing was ever served from this instance
                raise _no_dataset(name)
            dataset_id, task = _find_dataset(connection, name)
            root = settings.storage_address.removeprefix("file://")
            return freeze_rows(connection, dataset_id, task, lambda filename: f"{root}/images/{filename}")
    except SQLAlchemyError as error:
        message = f"The database of {settings.instance} cannot be read: {error}"
        raise ManifestRefused(message) from error
    finally:
        engine.dispose()


def _find_dataset(connection: Connection, name: str) -> tuple[int, str]:
    query = text("SELECT id, task, slug FROM datasets WHERE slug = :name OR name = :name ORDER BY id")
    rows = connection.execute(query, {"name": name}).all()
    exact = [row for row in rows if row.slug == name] or rows
    if not exact:
        raise _no_dataset(name)
    if len(exact) > 1:
        slugs = ", ".join(row.slug for row in exact)
        raise ManifestRefused(f"Several datasets are named {name!r}. Say which: {slugs}.")
    return exact[0].id, exact[0].task


def _no_dataset(name: str) -> ManifestRefused:
    return ManifestRefused(f"There is no file and no dataset {name!r}. Check the name on the first page.")


_ITEMS = """
    SELECT items.id, sha256, filename, split, sent_name, labels.name
    FROM items
    LEFT JOIN item_labels ON item_labels.item_id = items.id
    LEFT JOIN labels ON labels.id = item_labels.label_id
    WHERE items.dataset_id = :dataset_id AND items.deleted_at IS NULL
    ORDER BY items.id, labels.name
"""


def freeze_rows(
    connection: Connection, dataset_id: int, task: str, path_of: Callable[[str], str]
) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of a dataset as it stands.

    Items without a label are left out where the task is single-label (nobody said what they are), and mean
    "none of them" where it is multi-label. Labels that no item bears are left out.

    Args:
        connection: to the database.
        dataset_id: whose items.
        task: single-label or multi-label.
        path_of: gives the path of an original by its filename.
    """
    lines: dict[int, dict] = {}
    for item_id, digest, filename, split, name, label in connection.execute(
        text(_ITEMS), {"dataset_id": dataset_id}
    ):
        line = {"sha256": digest, "path": path_of(filename), "labels": [], "split": split, "name": name}
        lines.setdefault(item_id, line)["labels"] += [label] if label is not None else []
    kept = [line for line in lines.values() if line["labels"] or task == "multi-label"]
    return sorted({name for line in kept for name in line["labels"]}), kept
