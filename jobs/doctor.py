"""Everything checked: the database, every image's bytes, every version's network, the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from flask import current_app
from sqlalchemy import select, text

from datasets import storage
from datasets.sweep import find_orphans
from jobs import database, leftovers, sandbox, training
from learning import golden
from learning.package import NetworkClassifier, PackageDamaged, load_package
from learning.proof import TOLERANCE
from models import Item, Version, db


@dataclass(frozen=True)
class Finding:
    """What one check found: `level` is ok, warning or problem."""

    level: str
    message: str


def check() -> Iterator[Finding]:
    """Check everything, a finding at a time. Nothing is changed."""
    for check_one in (
        check_database,
        check_images,
        check_versions,
        check_leftovers,
        check_disk,
        check_sandbox,
    ):
        db.session.rollback()
        db.session.connection(execution_options={"is_reading": True})  # it takes long, and locks nobody out
        yield from check_one()
    db.session.rollback()


def check_database() -> Iterator[Finding]:
    """Check that the database is whole and that no row points to nothing."""
    if risk := database.describe_sqlite_risk():
        yield Finding("warning", risk)
    if db.engine.dialect.name != "sqlite":
        return
    with db.engine.connect().execution_options(is_reading=True) as connection:
        damage = [row[0] for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok"]
        astray = len(connection.execute(text("PRAGMA foreign_key_check")).fetchall())
    yield from (Finding("problem", f"The database is damaged: {line}.") for line in damage)
    if astray:
        yield Finding("problem", f"{astray} rows of the database point to rows that are gone.")
    if not damage and not astray:
        yield Finding("ok", "The database is whole.")


def check_images() -> Iterator[Finding]:
    """Check that the bytes of every image are there and are what was sent."""
    count, bad = 0, 0
    for item_id, filename, sha256 in db.session.execute(select(Item.id, Item.filename, Item.sha256)):
        count += 1
        if reason := _damage_of(filename, sha256):
            bad += 1
            yield Finding("problem", f"Image {item_id} ({filename}) {reason}.")
    if not bad:
        yield Finding("ok", f"{count:,} images are as they were sent.")


def _damage_of(filename: str, sha256: str) -> str | None:
    try:
        with storage.open_original(filename) as file:
            is_same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if is_same else "is not what was sent"


def check_versions() -> Iterator[Finding]:
    """Check that every version answers, and that its whole network gives its golden probabilities."""
    for version in db.session.scalars(select(Version).order_by(Version.id)):
        name = f"Version {version.number} of {version.dataset.name}"
        try:
            yield _check_version(version, name)
        except (PackageDamaged, OSError, ValueError, KeyError) as error:
            yield Finding("problem", f"{name} cannot be used: {error}")


def _check_version(version: Version, name: str) -> Finding:
    load_package(training.package_folder(version))
    if "litert" not in version.proven:
        return Finding("warning", f"{name} answers here, but its whole network is not exported.")
    difference = measure_difference(version)
    level = "ok" if difference <= TOLERANCE else "problem"
    return Finding(level, f"{name} is off its golden probabilities by {difference:.1e} at most.")


def measure_difference(version: Version) -> float:
    """Return how far the whole network is from a golden probability at most."""
    folder = training.package_folder(version)
    classifier = NetworkClassifier(folder)
    pixels, wanted = golden.read(folder)
    answers = np.stack([classifier.probabilities(image) for image in pixels])
    return float(np.abs(answers - wanted).max())


def check_leftovers() -> Iterator[Finding]:
    """Count the files that nothing refers to."""
    count = len(leftovers.find()) + sum(1 for _ in find_orphans())
    if count:
        yield Finding("warning", f"{count:,} files and folders are left over. “server.py sweep” clears them.")


def check_disk() -> Iterator[Finding]:
    """Check that uploads will be taken."""
    try:
        storage.require_free_space()
    except storage.StorageFull as full:
        yield Finding("problem", str(full))
    free = storage.free_space_left()
    if free is not None:
        yield Finding("ok", f"{free / 1e9:,.1f} GB of disk are free.")


def check_sandbox() -> Iterator[Finding]:
    """Name the sandbox; where own code is allowed and there is none, that is a problem."""
    is_wanted = current_app.config["PIGEONHOLE"].own_code
    level = "ok" if sandbox.probe() else "problem" if is_wanted else "warning"
    yield Finding(level, sandbox.describe())
