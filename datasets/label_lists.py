"""Label lists: a CSV that says which labels files bear, in one column of names or in columns of 0 and 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from datasets import label_cells
from datasets.csv_rows import LabelListRefused, decode, numbered_rows
from datasets.names import NameRefused, clean_name, make_inert

FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "image", "image_name", "name")
LABEL_COLUMNS = ("label", "labels", "class", "classes", "category", "categories", "tag", "tags")
LABELS_COLUMNS = ("labels", "classes", "tags", "categories")  # which say that a cell may hold several
_MARKS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


@dataclass(frozen=True)
class Columns:
    """The columns chosen by their headings; what is empty is found out from the list itself."""

    file: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list: its number in the file (the heading is 1), the file and its labels."""

    number: int
    file: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelList:
    """A list as it was read, and in words which of its columns were taken for what."""

    rows: list[Row]
    words: str


@dataclass(frozen=True)
class _Plan:
    """Which columns are read, and how."""

    heading: list[str]
    file: int
    labels: list[int]
    is_marked: bool  # columns of 0 and 1 rather than of names
    needs_label: bool
    names: dict[int, str] = field(default_factory=dict)  # clean label names of marked columns
    separator: str = label_cells.USUAL  # of several names in a cell
    known: frozenset[str] = frozenset()  # labels that hold it themselves


def read_label_list(
    content: bytes,
    columns: Columns | None = None,
    task: str = "single-label",
    known_labels: Collection[str] = (),
) -> LabelList:
    """Read a CSV with a heading; UTF-8, with or without BOM, separated by commas, semicolons or tabs.

    Two forms: columns of 0 and 1, one a label (`name,cat,dog`), or a column of label names (`file,label`),
    where a file may have several rows and a cell several names with `|` between them; in a multi-label list
    also with `;` or `,` where their one column was chosen, or its heading says several. Where the columns are
    not chosen, the file column is the first one or one that is named so, and the labels are in a column that
    is named so or else in all the others.

    Args:
        content: the file's bytes.
        columns: the columns chosen, by their headings.
        task: in a multi-label list a cell may be empty (the image shows none of the labels).
        known_labels: names that are never parted.

    Raises:
        LabelListRefused: it is not such a CSV; the message names the row.
    """
    text = decode(content)
    plan = _make_plan(text, columns or Columns(), task)
    if not plan.is_marked:
        may_choose = task == "multi-label" and len(plan.labels) == 1
        mark = _find_separator(plan, text, bool(columns and columns.labels)) if may_choose else plan.separator
        plan = replace(plan, separator=mark, known=frozenset(name for name in known_labels if mark in name))
    rows, known = [], {}
    for number, fields in _data_rows(text, plan.heading):
        row = _as_row(plan, number, fields)
        rows.append(Row(number, row.file, known.setdefault(row.labels, row.labels)))
    return LabelList(rows, _describe(plan))


# ---------- rows ----------


def _data_rows(text: str, heading: list[str]) -> Iterator[tuple[int, list[str]]]:
    rows = numbered_rows(text)
    next(rows, None)
    for number, fields in rows:
        if len(fields) != len(heading):
            message = f"Row {number} has {len(fields)} fields, the heading {len(heading)}. Mend the row."
            raise LabelListRefused(message)
        yield number, fields


def _as_row(plan: _Plan, number: int, fields: list[str]) -> Row:
    file = fields[plan.file].strip()
    if not file:
        raise LabelListRefused(f"Row {number} names no file. Fill it in or take the row out.")
    if plan.is_marked:
        return Row(
            number, file, tuple(plan.names[at] for at in plan.labels if _is_marked(plan, number, fields, at))
        )
    try:
        return Row(number, file, _read_names(plan, fields))
    except NameRefused as refused:
        raise LabelListRefused(f"Row {number} ({make_inert(file)[:80]}): {refused}") from None


def _is_marked(plan: _Plan, number: int, fields: list[str], at: int) -> bool:
    mark = _read_mark(fields[at])
    if mark is None:
        shown, column = make_inert(fields[at])[:40], make_inert(plan.heading[at])[:80]
        raise LabelListRefused(
            f"Row {number} has {shown!r} under {column}, where 0 or 1 belongs. Mend it or choose columns."
        )
    return mark


def _read_mark(cell: str) -> bool | None:
    """Return what 0 or 1 says, None for anything else."""
    if cell in _MARKS:  # nearly always: a list may have twenty million cells
        return _MARKS[cell]
    return _MARKS.get(cell.strip().lower())


def _read_names(plan: _Plan, fields: list[str]) -> tuple[str, ...]:
    parts = label_cells.part
    cells = [cell for at in plan.labels for cell in parts(fields[at], plan.separator, plan.known)]
    filled = [cell for cell in cells if cell.strip()]
    if not filled and plan.needs_label:
        filled = [""]  # refused as an empty name
    return tuple(dict.fromkeys(clean_name(cell, "label") for cell in filled))


# ---------- columns ----------


def _make_plan(text: str, columns: Columns, task: str) -> _Plan:
    heading = [name.strip() for name in next(numbered_rows(text), (1, []))[1]]
    if len(heading) < 2:
        raise LabelListRefused(
            "Row 1 names fewer than two columns. Begin the CSV with the heading file,label."
        )
    counts = Counter(heading)
    if twice := next((name for name in heading if name and counts[name] > 1), None):
        raise LabelListRefused(f"Row 1 has two columns named {make_inert(twice)[:80]}. Rename one.")
    file = find_column(heading, columns.file) if columns.file else guess_file_column(heading)
    others = [at for at, name in enumerate(heading) if at != file and name]
    if not others:
        raise LabelListRefused("Row 1 names no column of labels. Begin the CSV with the heading file,label.")
    labels = [find_column(heading, name) for name in columns.labels]
    is_marked = _are_marks(text, heading, labels)
    if not labels:
        labels, is_marked = _guess_label_columns(text, heading, others)
    needs_label = task == "single-label" and not is_marked
    return _Plan(heading, file, labels, is_marked, needs_label, _clean_headings(heading, labels, is_marked))


def _find_separator(plan: _Plan, text: str, is_chosen: bool) -> str:
    """Return what parts several names in a cell; a heading in the singular says that nothing but | does."""
    column = plan.labels[0]
    if not is_chosen and plan.heading[column].lower() not in LABELS_COLUMNS:
        return plan.separator
    return label_cells.choose_separator(fields[column] for _, fields in _data_rows(text, plan.heading))


def find_column(heading: list[str], name: str) -> int:
    """Return where a column stands: by its exact heading, else whatever its case."""
    if name in heading:
        return heading.index(name)
    lower = [one.lower() for one in heading]
    if name.lower() in lower:
        return lower.index(name.lower())
    raise LabelListRefused(f"Row 1 names no column {make_inert(name)[:80]!r}. It has: {_list(heading)}.")


def guess_file_column(heading: list[str]) -> int:
    """The first column, unless it has another's name and some other one is named as files are."""
    lower = [name.lower() for name in heading]
    if lower[0] in FILE_COLUMNS:
        return 0
    return next((lower.index(name) for name in FILE_COLUMNS if name in lower), 0)


def _guess_label_columns(text: str, heading: list[str], others: list[int]) -> tuple[list[int], bool]:
    """Return (columns of labels, whether they hold 0 and 1)."""
    named = [at for at in others if heading[at].lower() in LABEL_COLUMNS]
    if named and not (len(others) > 1 and _are_marks(text, heading, others)):
        return named[:1], False
    first = next(_data_rows(text, heading), (2, []))[1]
    if first and all(_read_mark(first[at]) is not None for at in others):
        return others, True
    if len(others) == 1:
        return others, False
    message = f"Row 1 names no column 'label'. Choose the columns of labels; it has: {_list(heading)}."
    raise LabelListRefused(message)


def _are_marks(text: str, heading: list[str], columns: list[int]) -> bool:
    """Whether these columns hold 0 and 1 in every row."""
    rows = _data_rows(text, heading) if columns else iter(())
    seen = [all(_read_mark(fields[at]) is not None for at in columns) for _, fields in rows]
    return bool(seen) and all(seen)


def _clean_headings(heading: list[str], labels: list[int], is_marked: bool) -> dict[int, str]:
    if not is_marked:
        return {}
    try:
        names = {at: clean_name(heading[at], "label") for at in labels}
    except NameRefused as refused:
        raise LabelListRefused(f"Row 1: {refused}") from None
    if len(set(names.values())) < len(names):
        raise LabelListRefused("Row 1 has two columns of the same label. Rename one.")
    return names


def _list(heading: list[str]) -> str:
    shown = ", ".join(make_inert(name)[:40] for name in heading[:12] if name)
    return shown + (" …" if len(heading) > 12 else "")


def _describe(plan: _Plan) -> str:
    file = make_inert(plan.heading[plan.file])[:80] or "the first"
    if plan.is_marked:
        count = len(plan.labels)
        what = (
            "1 column of 0 and 1 is a label" if count == 1 else f"{count:,} columns of 0 and 1 are the labels"
        )
    else:
        what = f"labels in column {_list([plan.heading[at] for at in plan.labels])}"
        if plan.separator != label_cells.USUAL:
            what += f", parted by {plan.separator}"
    return f"files in column {file}, {what}"
