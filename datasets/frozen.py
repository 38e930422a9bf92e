"""Datasets of an instance frozen for a run, by two plain queries.

Imports neither the tables nor Flask, so that the trainer's process starts fast.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

import config


class ManifestRefused(ValueError):
    """A source that nothing can be learnt from; the message names the file and says what to do."""


def freeze_named(name: str, settings: config.Config) -> tuple[list[str], list[dict]]:
    """Return what `read_named` returns, without the task."""
    return read_named(name, settings)[:2]


def read_named(name: str, settings: config.Config) -> tuple[list[str], list[dict], str]:
    """Return (label names sorted, manifest lines, task) of the dataset of that name or slug in an instance.

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
            path_of = f"{root}/images/{{}}".format
            return *freeze_rows(connection, dataset_id, task, path_of), task
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
