"""Which labels the files of a folder or zip bear: by a label list, labelme's files, or their folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from datasets.file_index import FileIndex, leads_out
from datasets.folders import label_by_folder
from datasets.label_lists import Columns, LabelList, LabelListRefused, Row, read_label_list
from datasets.labelme import FlagsRefused, pair, read_flags
from datasets.names import make_inert
from utils import is_allowed_file

MIB = 1024 * 1024
LIST_NAMES = ("labels", "label", "tags", "data", "manifest")  # which of several CSVs is the list
WAYS = ("auto", "folders")  # auto: a CSV where there is one, else labelme's files, else folders
_SHOWN = 50  # names in one note


@dataclass(frozen=True)
class File:
    """A file of a folder or zip: gives its bytes when asked, and their number."""

    read: Callable[[], bytes]
    size: int


@dataclass(frozen=True)
class SentList:
    """A label list sent beside the folder or zip; a partial one says nothing of files without a row."""

    name: str
    content: bytes
    is_partial: bool = False


@dataclass(frozen=True)
class Choices:
    """How labels are to be found.

    `label` is one for everything; `columns` are those of a list; labels with fewer than `min_items` items are
    left out, those counted that bear them already (`known`: label -> items). `max_list` is in bytes.
    """

    task: str = "single-label"
    label: str | None = None
    labels_from: str = "auto"
    columns: Columns = field(default_factory=Columns)
    min_items: int = 0
    known: Mapping[str, int] = field(default_factory=dict)
    max_list: int = 100 * MIB


@dataclass(frozen=True)
class LeftOut:
    """A file, or the row of one that is not there, of which nothing comes in: skipped or refused, and why."""

    name: str
    outcome: str
    code: str
    message: str


@dataclass(frozen=True)
class Labelling:
    """The labels of every file that is to be taken, what is left out, and what a person should know of it."""

    labels: dict[str, tuple[str, ...]]
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Matched:
    """The labels of the files that a list names, its rows without a file, and the files without a row."""

    labels: dict[str, tuple[str, ...]]
    missing: list[LeftOut]
    others: list[str]


def label_files(files: Mapping[str, File], choices: Choices, sent: SentList | None = None) -> Labelling:
    """Return the labels of files by their paths (`/` between folders).

    Files that only say labels (the list, labelme's JSON files) are not among them. A file without a row in
    the list, and a row without a file, are left out and told by name.

    Raises:
        LabelListRefused: the list is not one, names none of the files, or gives several labels to most of
            them where the task is single-label; the message names the row.
    """
    labelling = _find_labels(files, choices, sent)
    return _without_rare(labelling, choices) if choices.min_items > 1 else labelling


def _find_labels(files: Mapping[str, File], choices: Choices, sent: SentList | None) -> Labelling:
    if sent is not None and choices.label:
        raise LabelListRefused("Give either one label for everything or a CSV, not both.")
    if sent is not None:
        return _by_list(files, sent, choices)
    if choices.label or choices.labels_from == "folders":
        return _by_folder(files, choices.label)
    if path := _find_list(files):
        _check_size(files[path], choices)
        return _by_list(files, SentList(path, files[path].read()), choices, path)
    return _by_labelme(files) or _by_folder(files, None)


def _by_folder(files: Iterable[str], label: str | None) -> Labelling:
    folders = label_by_folder(files)
    return Labelling({name: tuple(filter(None, [label or folder])) for name, folder in folders.items()})


# ---------- a list ----------


def _find_list(files: Iterable[str]) -> str | None:
    """Return the CSV that lies around all images, or None where there is none.

    Raises:
        LabelListRefused: there are several, and no telling which is meant.
    """
    names = list(files)
    tables = [name for name in names if name.lower().endswith(".csv")]
    images = [name for name in names if is_allowed_file(name)] if tables else []
    around = [table for table in tables if all(name.startswith(_folder_of(table)) for name in images)]
    meant = [table for table in around if _stem_of(table) in LIST_NAMES] if len(around) > 1 else around
    if len(around) > 1 and len(meant) != 1:
        told = ", ".join(make_inert(name)[:80] for name in around[:3])
        raise LabelListRefused(f"Several CSVs lie there: {told}. Call the one with the labels labels.csv.")
    return meant[0] if meant else None


def _folder_of(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _stem_of(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0].lower()


def _check_size(file: File, choices: Choices) -> None:
    if file.size > choices.max_list:
        limit = choices.max_list / MIB
        raise LabelListRefused(f"Row 1 begins a CSV of more than {limit:.3g} MiB. Split it into several.")


def _by_list(files: Mapping[str, File], sent: SentList, choices: Choices, path: str = "") -> Labelling:
    """Label files by a list that lies at `path` among them, or that was sent beside them (empty path)."""
    shown = make_inert(sent.name)[:200]
    try:
        table = read_label_list(sent.content, choices.columns, choices.task, choices.known)
        others = [file for file in files if file != path]
        matched = _match(others, _folder_of(path), table, shown, choices.task)
        return _told(matched, table, shown, sent.is_partial)
    except LabelListRefused as refused:
        remedy = " Or choose to take labels from folders only." if path else ""
        raise LabelListRefused(f"{shown}: {refused}{remedy}") from None


def _match(files: list[str], folder: str, table: LabelList, shown: str, task: str) -> _Matched:
    labels, missing = _join(table.rows, FileIndex(files, folder), shown)
    if not labels:
        first = f" {missing[0].message}" if missing else ""
        raise LabelListRefused(f"It names none of the images that are there.{first}")
    _check_task(labels, task)
    return _Matched(labels, missing, [file for file in files if file not in labels])


def _told(matched: _Matched, table: LabelList, shown: str, is_partial: bool) -> Labelling:
    """Say what was found; files without a row are left out by name, unless the list is partial."""
    others = [] if is_partial else matched.others
    message = f"{shown} has no row for it, so it stays out."[:300]
    unlisted = [LeftOut(file, "skipped", "not_listed", message) for file in others if is_allowed_file(file)]
    strange = {file: () for file in others if not is_allowed_file(file)}
    notes = _tell_of_list(table, shown, matched.labels, matched.missing, unlisted)
    return Labelling(matched.labels | strange, matched.missing + unlisted, notes)


def _join(rows: list[Row], index: FileIndex, shown: str) -> tuple[dict[str, tuple[str, ...]], list[LeftOut]]:
    """Return the labels of the files that rows name, and the rows without a file."""
    labels: dict[str, tuple[str, ...]] = {}
    missing: dict[str, LeftOut] = {}
    for row in rows:
        if leads_out(row.file):
            raise LabelListRefused(f"Row {row.number} leads out of the folder: {make_inert(row.file)[:200]}.")
        file = index.find(row.file)
        if file is not None:
            known = labels.get(file)
            labels[file] = row.labels if known is None else tuple(dict.fromkeys(known + row.labels))
        elif row.file not in missing:
            missing[row.file] = _missing(row, index, shown)
    return labels, list(missing.values())


def _missing(row: Row, index: FileIndex, shown: str) -> LeftOut:
    name = make_inert(row.file)
    why = "which several files are called" if index.is_ambiguous(row.file) else "which is not there"
    remedy = "Write its folder too." if index.is_ambiguous(row.file) else "Put it there."
    message = f"Row {row.number} of {shown[:60]} names {name[:120]}, {why}. {remedy}"
    return LeftOut(name, "refused", "file_missing", message)


def _check_task(labels: dict[str, tuple[str, ...]], task: str) -> None:
    several = sum(len(names) > 1 for names in labels.values())
    if task == "single-label" and several * 2 > len(labels):
        message = f"It gives several labels to {several:,} of {len(labels):,} images, and here each has one."
        raise LabelListRefused(f"{message} Use the task multi-label, or choose one column of labels.")


def _tell_of_list(table: LabelList, shown: str, labels: dict, missing: list, unlisted: list) -> list[str]:
    told = [f"Labels from {shown}: {table.words}. It names {_files(len(labels))} that are there."]
    if missing:
        told.append(f"Named but not there, told below as refused: {_files(len(missing))}.")
    if unlisted:
        told.append(f"There but without a row, told below as skipped: {_files(len(unlisted))}.")
    if bare := sum(not names for names in labels.values()):
        told.append(f"Without any label in it: {_files(bare)}.")
    return told


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


# ---------- labelme ----------


def _by_labelme(files: Mapping[str, File]) -> Labelling | None:
    """Label images by the flags beside them; None where no file has flags."""
    labels, left_out = {}, []
    pairs = pair(files)
    for image, sidecar in pairs.items():
        try:
            flags = read_flags(files[sidecar].read)
        except FlagsRefused as refused:
            left_out.append(LeftOut(image, "refused", "flags_refused", str(refused)[:300]))
            continue
        if flags is not None:
            labels[image] = flags
    if not labels:
        return None
    message = "It has no flags in a JSON file beside it, so it stays out."
    told = {one.name for one in left_out}
    bare = [name for name in files if is_allowed_file(name) and name not in labels and name not in told]
    left_out += [LeftOut(name, "skipped", "not_listed", message) for name in bare]
    sidecars = set(pairs.values())
    strange = {name: () for name in files if not is_allowed_file(name) and name not in sidecars}
    notes = [f"Labels from the flags in labelme's JSON files, of {_files(len(labels))}."]
    if left_out:
        notes.append(
            f"Without flags that can be read, so left out and told by name: {_files(len(left_out))}."
        )
    return Labelling(labels | strange, left_out, notes)


# ---------- rare labels ----------


def _without_rare(labelling: Labelling, choices: Choices) -> Labelling:
    counts = Counter(name for names in labelling.labels.values() for name in names)
    rare = {
        name: count
        for name, count in counts.items()
        if count + choices.known.get(name, 0) < choices.min_items
    }
    if not rare:
        return labelling
    kept = {
        file: tuple(name for name in names if name not in rare) for file, names in labelling.labels.items()
    }
    lost = [file for file, names in labelling.labels.items() if names and not kept[file]]
    note = f"Labels with fewer than {choices.min_items:,} images are left out: {_list_counts(rare)}."
    if choices.task == "multi-label":
        if lost:
            note += f" Bearing no other label: {_files(len(lost))}."
        return replace(labelling, labels=kept, notes=[*labelling.notes, note])
    message = f"Its label has fewer than {choices.min_items:,} images, so it stays out."
    left_out = [LeftOut(file, "skipped", "rare_label", message) for file in lost]
    for file in lost:
        del kept[file]
    return Labelling(kept, labelling.left_out + left_out, [*labelling.notes, note])


def _list_counts(rare: Mapping[str, int]) -> str:
    shown = [f"{name} ({rare[name]:,})" for name in sorted(rare)[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(rare) - _SHOWN:,} more" if len(rare) > _SHOWN else "")
