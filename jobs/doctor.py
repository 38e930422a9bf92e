"""Everything checked: the database, every image's bytes, every version's network, the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from flask import current_app
from sqlalchemy import select, text

from datasets import storage
from datasets.sweep import find_orphans
from jobs import database, faults, leftovers, routes, sandbox
from learning.package import PackageDamaged
from learning.proof import TOLERANCE
from models import Item, Version, db
from serving.classifier import VersionUnusable
from transactions import start_reading

FEW_VERSIONS = 10  # up to which Keras is asked unless told otherwise


@dataclass(frozen=True)
class Finding:
    """What one check found: `level` is ok, warning or problem."""

    level: str
    message: str
    differences: dict[str, float | None] = field(default_factory=dict)  # of a version, by route


def check(with_keras: bool | None = None) -> Iterator[Finding]:
    """Check everything, a finding at a time. Nothing is changed but which versions are marked as faulty.

    Args:
        with_keras: as `check_versions` takes it.
    """
    for check_one in (
        check_database,
        check_images,
        partial(check_versions, with_keras),
        check_leftovers,
        check_disk,
        check_sandbox,
    ):
        start_reading()  # it takes long, and locks nobody out
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


def check_versions(with_keras: bool | None = None) -> Iterator[Finding]:
    """Check that every version gives the same number by every route, and mark those that do not.

    Args:
        with_keras: whether Keras is asked too, about 10 s a version; None: where there are few versions.
    """
    numbers = db.session.scalars(select(Version.id).order_by(Version.id)).all()
    if with_keras is None and len(numbers) > FEW_VERSIONS:
        yield Finding("ok", f"Keras was not asked, since there are {len(numbers):,} versions (--keras).")
    for version_id in numbers:
        is_few = len(numbers) <= FEW_VERSIONS
        yield _check_version(version_id, is_few if with_keras is None else with_keras)


def _check_version(version_id: int, with_keras: bool) -> Finding:
    version = db.session.get(Version, version_id)
    name = f"Version {version.number} of {version.dataset.name}"
    was_asked, note = with_keras, ""
    try:
        found = faults.find(version, partial(routes.ask_keras, version.run.recipe) if with_keras else None)
    except routes.KerasSilent as reason:
        found, was_asked, note = faults.find(version), False, f" Keras was not asked: {reason}."
    found = _follow_routes(version_id, found, was_asked)
    told = ", ".join(f"{route} {difference:.0e}" for route, difference in found.differences.items())
    if found.fault:
        return Finding("problem", f"{name} is not served. {found.fault}{note}", _as_json(found))
    if not told:
        return Finding("warning", f"{name} answers here, but its whole network is not exported.")
    if not found.has_originals:
        note = f" It was made before packages held originals; train again to have its pixels checked.{note}"
    level = "warning" if note else "ok"
    return Finding(level, f"{name} is off by at most: {told}.{note}", _as_json(found))


def _follow_routes(version_id: int, found: faults.Findings, was_keras_asked: bool) -> faults.Findings:
    """Mark the version; where its files are sound, see what every route says too."""
    _mark(version_id, found, was_keras_asked)
    version = db.session.get(Version, version_id)
    if version.fault:
        return replace(found, fault=version.fault)
    if faults.LITERT not in version.proven:
        return found
    try:
        differences = found.differences | routes.compare(version)
        wrong = [route for route, difference in differences.items() if not difference <= TOLERANCE]
        found = replace(found, differences=differences)
    except (VersionUnusable, PackageDamaged) as error:
        wrong = [str(error)]
    if wrong:
        words = f"It answers otherwise by one route than by its package ({', '.join(wrong)})"
        found = replace(found, fault=faults.as_fault(words))
        _mark(version_id, found, was_keras_asked)
    return found


def _mark(version_id: int, found: faults.Findings, was_keras_asked: bool) -> None:
    """Mark the version and commit: whoever predicts sees it at once; then go on reading."""
    db.session.rollback()
    faults.mark(version_id, found, was_keras_asked)
    db.session.commit()
    start_reading()


def _as_json(found: faults.Findings) -> dict[str, float | None]:
    """The differences by route; null where nothing comparable was said."""
    return {route: value if np.isfinite(value) else None for route, value in found.differences.items()}


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
