"""What `server.py predict` tells while it answers: a bar on standard error, and lines, rows or JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from serving.batches import Answerer, ImageFile, answer_all
from serving.tables import Layout, open_table


def fill(
    path: Path, is_fresh: bool, answerer: Answerer, images: list[ImageFile], top: int | None
) -> dict[str, Any]:
    """Answer into a table what it does not hold yet; return what --json tells.

    Raises:
        TableRefused: the table cannot be gone on with.
    """
    with open_table(path, Layout(answerer.name, answerer.labels, top), is_fresh) as table:
        left = [image for image in images if not table.has(image.name)]
        known = len(images) - len(left)
        pause = 0.1 if sys.stderr.isatty() else 10.0  # seconds: a line now and then in a log
        with tqdm(total=len(images), initial=known, unit="image", mininterval=pause) as bar:
            for answer in answer_all(answerer, left):
                table.add(answer)
                bar.update()
    told = {"csv": str(path), "version": answerer.name, "answered": len(left), "there_already": known}
    return {**told, "refused": table.refused}


def tell(answerer: Answerer, images: list[ImageFile], top: int | None, as_json: bool) -> dict[str, Any]:
    """Print a line an image, refusals to standard error; with `as_json` return them instead, for one line."""
    told, refused = [], 0
    with tqdm(total=len(images), unit="image", disable=None) as bar:  # none among the lines of a log
        for answer in answer_all(answerer, images):
            refused += answer.refusal is not None
            if as_json:
                told.append(answer.as_json(top))
            else:
                bar.write(answer.as_line(top), sys.stderr if answer.refusal else sys.stdout)
            bar.update()
    return {"predictions": told, "refused": refused}
