"""What nothing needs any more: run folders and uploads that no row knows, embed jobs long done."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from flask import current_app
from sqlalchemy import delete, select

from jobs import runs
from models import Import, Job, Run, db, now

# A folder or file younger than this may be on its way into a row that is not committed yet.
YOUNG_SECONDS = 3600
EMBED_JOBS_KEPT = timedelta(days=1)


def find() -> list[Path]:
    """The run folders and uploads that no row knows, young ones left out."""
    return [path for path in (*_unknown_runs(), *_unknown_uploads()) if _is_old(path)]


def clear() -> int:
    """Delete what `find` finds and the rows of embed jobs long done; return how many paths went."""
    done = now() - EMBED_JOBS_KEPT
    db.session.execute(delete(Job).where(Job.kind == "embed", Job.finished_at < done))
    paths = find()
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(paths)


def _unknown_runs() -> Iterator[Path]:
    known = set(db.session.scalars(select(Run.folder)))
    folder = current_app.config["PIGEONHOLE"].folder("runs")
    yield from (path for path in folder.iterdir() if path.name not in known and not runs.is_alive(path))


def _unknown_uploads() -> Iterator[Path]:
    waiting = select(Import.upload).join(Job).where(Job.state.not_in(("finished", "cancelled")))
    known = {Path(upload).name for upload in db.session.scalars(waiting.where(Import.upload.is_not(None)))}
    folder = current_app.config["PIGEONHOLE"].folder("uploads")
    yield from (path for path in folder.iterdir() if path.name not in known)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > YOUNG_SECONDS
