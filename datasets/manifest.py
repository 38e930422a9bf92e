"""Manifests: the items of a folder, a zip, a CSV or a dataset, frozen for a run, one line an item.

Imports neither the tables nor Flask, so that the trainer's process starts fast.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import config
from datasets.archives import ArchiveRefused, open_archive
from datasets.duplicates import Fingerprints, fingerprint
from datasets.folders import list_folder
from datasets.frozen import ManifestRefused, freeze_named, read_named
from datasets.label_lists import Columns, LabelListRefused
from datasets.labelling import WAYS, Choices, File, Labelling, SentList, label_files
from datasets.names import NameRefused, clean_name, make_inert
from datasets.splits import Shares, Splitter
from utils import ImageRefused, center_crop, is_allowed_file, open_image

_FINGERPRINT_SIDE = 32  # pixels: decoded this small, an image costs a third of a millisecond
_CORES = os.cpu_count() or 1
_TOLD = 20  # files left out that are logged by name
TASKS = ("single-label", "multi-label")
log = logging.getLogger("training.manifest")

__all__ = [
    "Columns",
    "ManifestRefused",
    "Shares",
    "add_arguments",
    "freeze_named",
    "read_chosen",
    "read_path",
]


@dataclass(frozen=True)
class _Found:
    """A file that is to be an item: its name for showing, its bytes and labels, where a line says it lies."""

    name: str
    read: Callable[[], bytes]
    labels: tuple[str, ...]
    where: dict[str, str]


def read_path(
    path: str | Path,
    shares: Shares,
    known_folder: Path | None = None,
    *,
    labels_path: str | Path | None = None,
    task: str = "single-label",
    min_items: int = 0,
    columns: Columns | None = None,
    labels_from: str = "auto",
) -> tuple[list[str], list[dict]]:
    """Return (label names sorted, manifest lines) of a folder, a zip, or a CSV beside its images.

    Labels come from `labels_path`, else from a CSV in the folder or zip, else from the flags of labelme's
    JSON files, else from the folders that images lie in. What is left out is logged by name. Splits follow
    the same rule as an import: the same files in the same order give the same splits. A file that is there
    twice counts once.

    Args:
        path: of the folder, the .zip, or the CSV.
        shares: what is held back of each label.
        known_folder: where fingerprints are kept, so that the next reading need not decode; None keeps none.
        labels_path: a CSV that names the files of the folder or zip.
        task: multi-label keeps images without a label, which show none of them; single-label leaves them out.
        min_items: labels with fewer images are left out.
        columns: of the CSV, by their headings.
        labels_from: auto, or folders to take no notice of a CSV or JSON files inside.

    Raises:
        ManifestRefused: there is nothing to learn from, or a file or row is wrong; the message says which.
    """
    path = Path(path).absolute()
    choices = Choices(task, None, labels_from, columns or Columns(), min_items)
    with ExitStack() as stack:
        try:
            found = _find(path, labels_path, choices, stack)
            lines = list(_split(found, shares, Fingerprints(known_folder)))
        except (ArchiveRefused, LabelListRefused, NameRefused, OSError) as error:
            raise ManifestRefused(f"{path}: {error}") from error
    if not lines:
        raise ManifestRefused(f"{path} holds no images. Put them into one folder for each label.")
    labels = sorted({name for line in lines for name in line["labels"]})
    if not labels:
        raise ManifestRefused(f"{path}: no image has a label. Say which columns hold them.")
    return labels, lines


def _find(path: Path, labels_path: str | Path | None, choices: Choices, stack: ExitStack) -> list[_Found]:
    if path.suffix.lower() == ".csv" and path.is_file():
        path, labels_path = path.parent, path
    sent = SentList(Path(labels_path).name, Path(labels_path).read_bytes()) if labels_path else None
    files, where = _list_folder(path) if path.is_dir() else _list_zip(path, stack)
    labelling = label_files(files, choices, sent)
    _tell(labelling)
    wanted = {name: names for name, names in labelling.labels.items() if is_allowed_file(name)}
    labels = {name: _check_labels(name, names, choices.task) for name, names in wanted.items()}
    if choices.task == "single-label":
        labels = _without_unlabelled(labels, is_listed=bool(labelling.notes))
    return [_Found(name, files[name].read, labels[name], where(name)) for name in files if name in labels]


def _list_folder(root: Path) -> tuple[dict[str, File], Callable[[str], dict]]:
    """Return the files of a folder, and what says where each lies."""
    files = {name: File((root / name).read_bytes, (root / name).stat().st_size) for name in list_folder(root)}
    return files, lambda name: {"path": str(root / name)}


def _list_zip(path: Path, stack: ExitStack) -> tuple[dict[str, File], Callable[[str], dict]]:
    archive = stack.enter_context(open_archive(path))
    members = {member.path: member for member in archive.members}
    files = {name: File(partial(archive.read, member), member.size) for name, member in members.items()}
    return files, lambda name: {"path": members[name].info.filename, "archive": str(path)}


def _tell(labelling: Labelling) -> None:
    """Log how labels were found, and what is left out."""
    for note in labelling.notes:
        log.info(note)
    for one in labelling.left_out[:_TOLD]:
        log.warning("%s: %s", one.name, one.message)
    if len(labelling.left_out) > _TOLD:
        log.warning("… and %s more.", f"{len(labelling.left_out) - _TOLD:,}")


def _check_labels(name: str, names: Iterable[str], task: str) -> tuple[str, ...]:
    labels = tuple(sorted({clean_name(label, "label") for label in names}))
    if len(labels) > 1 and task == "single-label":
        shown = f"{make_inert(name)[:200]} bears {', '.join(labels)[:200]}"
        raise ManifestRefused(f"{shown}. Train with --task multi-label, or leave it one label.")
    return labels


def _without_unlabelled(labels: dict[str, tuple[str, ...]], is_listed: bool) -> dict[str, tuple[str, ...]]:
    """Leave out images that a list gives no label; where folders are labels, one outside is a mistake."""
    bare = [name for name, names in labels.items() if not names]
    if bare and not is_listed:
        shown = make_inert(bare[0])
        raise ManifestRefused(f"{shown} lies in no class folder. Move it into one, or out.")
    if bare:
        log.warning(
            "%s images without a label are left out, %s first.", f"{len(bare):,}", make_inert(bare[0])
        )
    return {name: names for name, names in labels.items() if names}


def _split(found: list[_Found], shares: Shares, known: Fingerprints) -> Iterator[dict]:
    splitter, seen = Splitter(shares), set()
    with ThreadPoolExecutor(_CORES) as pool:
        learnt = list(pool.map(lambda one: _know(one, known), found))
    known.keep(dict(learnt))
    for one, (digest, print_) in zip(found, learnt, strict=True):
        if digest not in seen:
            seen.add(digest)
            line = {"sha256": digest, **one.where, "labels": list(one.labels)}
            split = splitter.decide(digest, print_, one.labels)
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


# ---------- the command line ----------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the trainer's command line what may be said of a folder, zip or CSV."""
    group = parser.add_argument_group("of a folder, zip or CSV (docs/labels.md)")
    group.add_argument("--task", choices=TASKS, help="a dataset of this instance has its own")
    group.add_argument("--labels", metavar="CSV", type=Path, help="a CSV that names the files")
    group.add_argument("--file-column", metavar="HEADING", default="", help="the CSV's column of file names")
    group.add_argument("--label-column", metavar="HEADING", action="append", default=[], help="of labels")
    group.add_argument("--min-items", metavar="N", type=int, default=0, help="leave out rarer labels")
    group.add_argument("--labels-from", choices=WAYS, default=WAYS[0], help="folders: mind no CSV inside")


def read_chosen(arguments: argparse.Namespace, settings: config.Config) -> tuple[list[str], list[dict], str]:
    """Return (label names sorted, manifest lines, task) of the dataset that the command line names.

    Raises:
        ManifestRefused: there is no such dataset, it has another task, or `read_path` refuses it.
    """
    source = Path(arguments.dataset)
    if not source.exists():
        labels, lines, task = read_named(arguments.dataset, settings)
        if arguments.task not in (None, task):
            message = f"{arguments.dataset} is a {task} dataset. Change its task in its settings first."
            raise ManifestRefused(message)
        return labels, lines, task
    task = arguments.task or TASKS[0]
    labels, lines = read_path(
        *(source, Shares(settings.share_validation, settings.share_test), settings.folder("fingerprints")),
        labels_path=arguments.labels,
        task=task,
        min_items=arguments.min_items,
        columns=Columns(arguments.file_column, tuple(arguments.label_column)),
        labels_from=arguments.labels_from,
    )
    return labels, lines, task
