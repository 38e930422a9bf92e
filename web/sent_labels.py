"""What a request says of labels: a CSV beside the images, its columns, labels by name, or one for all."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from flask import abort, current_app, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from datasets.checking import SentFile
from datasets.label_lists import LabelListRefused
from datasets.labelling import WAYS, Choices, File, SentList
from datasets.names import NameRefused, clean_name, make_inert
from datasets.sources import Brought, bring
from web.errors import Refused

MAX_HEADING = 200  # characters of a column's heading
MAX_MIN_ITEMS = 1_000_000


def sent_label() -> str | None:
    """Return the label chosen for all, None where there is none.

    Raises:
        Refused: it can't be one.
    """
    text = request.form.get("label", "")
    try:
        return clean_name(text, "label") if text.strip() else None
    except NameRefused as refused:
        raise Refused(str(refused), "label", word=refused.code) from refused


def read_options() -> dict[str, Any]:
    """Return how labels are to be found, as `Import.options` has it.

    Raises:
        Refused: a choice makes no sense.
    """
    columns = [name.strip() for name in re.split(r"[,\n]", request.form.get("label_columns", ""))]
    options = {
        "file_column": request.form.get("file_column", "").strip(),
        "label_columns": list(dict.fromkeys(filter(None, columns))),
        "labels_from": _read_way(),
        "min_items": _read_min_items(),
    }
    for field, names in (
        ("file_column", [options["file_column"]]),
        ("label_columns", options["label_columns"]),
    ):
        if any(len(name) > MAX_HEADING for name in names):
            message = f"The heading of a column has more than {MAX_HEADING} characters. Rename it."
            raise Refused(message, field)
    return {name: value for name, value in options.items() if value}


def _read_way() -> str:
    way = request.form.get("labels_from") or WAYS[0]
    if way not in WAYS:
        raise Refused(f"Choose where labels come from: {', '.join(WAYS)}.", "labels_from")
    return way


def _read_min_items() -> int:
    text = request.form.get("min_items", "").strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= MAX_MIN_ITEMS):
        message = f"The fewest images of a label are a whole number up to {MAX_MIN_ITEMS:,}."
        raise Refused(message, "min_items")
    return int(text)


def sent_list(field: str = "list") -> FileStorage | None:
    """Return the CSV sent beside the images, None where there is none; abort with 413 above MAX_CSV."""
    file = request.files.get(field)
    if file is None or not (file.filename or size_of(file)):  # a form without a choice sends an empty one
        return None
    if size_of(file) > current_app.config["PIGEONHOLE"].max_csv:
        raise RequestEntityTooLarge
    return file


def read_list(field: str = "list") -> SentList | None:
    """Return the name and content of the CSV sent beside the images, None where there is none."""
    file = sent_list(field)
    return SentList(make_inert(file.filename or "labels.csv"), file.stream.read()) if file else None


def size_of(file: FileStorage) -> int:
    """Return the bytes of a sent file, which is left at its start."""
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    return size


def label_images(files: list[FileStorage], choices: Choices) -> Brought:
    """Return sent images with their labels; abort with 422 where the CSV among or beside them is refused.

    Labels are those given by name (`labels`), else the one for all, else those of a CSV or of labelme's
    files, else the folder in a file's sent name.
    """
    sent, given = read_list(), _read_given()
    names = [make_inert(file.filename).replace("\\", "/") for file in files]
    if given is not None:
        pairs = zip(names, files, strict=True)
        return Brought([_as_sent(file, name, given.get(name, ())) for name, file in pairs])
    is_said_inside = choices.label is None and choices.labels_from == WAYS[0] and _say_labels(names)
    if sent or is_said_inside:
        if len(set(names)) < len(names):
            abort(422, "Two files have the same name. Send the folder, or a zip of it.")
        return _bring(
            {n: File(f.stream.read, size_of(f)) for n, f in zip(names, files, strict=True)}, choices, sent
        )
    pairs = zip(names, files, strict=True)
    return Brought([_as_sent(file, name, _label_of(name, choices.label)) for name, file in pairs])


def _say_labels(names: list[str]) -> bool:
    return any(name.lower().endswith((".csv", ".json")) for name in names)


def _bring(files: dict[str, File], choices: Choices, sent: SentList | None) -> Brought:
    try:
        return bring(files, choices, sent)
    except LabelListRefused as refused:
        return abort(422, str(refused))


def _as_sent(file: FileStorage, name: str, labels: tuple[str, ...]) -> SentFile:
    return SentFile(name, file.stream.read, size_of(file), labels)


def _label_of(name: str, label: str | None) -> tuple[str, ...]:
    folders = [part for part in name.split("/")[:-1] if part not in ("", ".", "..")]
    return (label,) if label else tuple(folders[-1:])


def _read_given() -> dict[str, tuple[str, ...]] | None:
    """Return the labels given by name, as JSON {name: [labels]}, or abort with 400."""
    text = request.form.get("labels")
    if not text:
        return None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        abort(400, "`labels` must be JSON: {name: [labels]}.")
    if not isinstance(given, dict) or not all(_are_names(names) for names in given.values()):
        abort(400, "`labels` must be JSON: {name: [labels]}.")
    return {name: tuple(names) for name, names in given.items()}


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
