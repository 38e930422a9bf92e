"""What `server.py predict` tells while it answers: a bar on standard error, and lines, rows or JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from serving import heatmaps, reasons
from serving.batches import Answerer, ImageFile, answer_all
from serving.explain import Engine
from serving.reasons import Reason
from serving.tables import Layout, open_table

Explain = Callable[[ImageFile], Reason]


@dataclass(frozen=True)
class Wish:
    """How answers are to be told.

    Attributes:
        table: the CSV to be filled, anew if `fresh`; lines or JSON without.
        top: only so many labels, the likeliest; all of them without.
        explain: whether to say why. heatmap: the PNG to be painted, for one image alone.
    """

    table: Path | None = None
    fresh: bool = False
    top: int | None = None
    as_json: bool = False
    explain: bool = False
    heatmap: Path | None = None

    @property
    def fault(self) -> str | None:
        """What does not go together, as a sentence."""
        if self.fresh and not self.table:
            return "--fresh goes with --csv."
        is_explained = self.explain or self.heatmap
        return "--explain and --heatmap go without --csv." if is_explained and self.table else None


def answer(wish: Wish, answerer: Answerer, images: list[ImageFile]) -> dict[str, Any]:
    """Answer images and tell it as wished; return what --json tells.

    Raises:
        TableRefused: the table cannot be gone on with.
    """
    if wish.table:
        return fill(wish.table, wish.fresh, answerer, images, wish.top)
    is_explained = wish.explain or wish.heatmap
    explain = partial(_explain, answerer, answerer.open(), wish.heatmap) if is_explained else None
    return tell(answerer, images, wish.top, wish.as_json, explain)


def _explain(answerer: Answerer, engine: Engine, heatmap: Path | None, image: ImageFile) -> Reason:
    """Return why an image is answered as it is, and paint it where that is wished for."""
    content = image.read()
    found = reasons.find(answerer, engine, content)
    if heatmap:
        heatmaps.save(found.explanation, content, heatmap)
    return found


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


def tell(
    answerer: Answerer,
    images: list[ImageFile],
    top: int | None,
    as_json: bool,
    explain: Explain | None = None,
) -> dict[str, Any]:
    """Print lines an image, refusals to standard error; with `as_json` return them instead, for one line.

    Args:
        explain: says why of each image that is answered; nothing is said of it without.
    """
    told, refused = [], 0
    with tqdm(total=len(images), unit="image", disable=None) as bar:  # none among the lines of a log
        for image, answer in zip(images, answer_all(answerer, images), strict=True):
            refused += answer.refusal is not None
            reason = explain(image) if explain and not answer.refusal else None
            if as_json:
                told.append(answer.as_json(top) | (reason.as_json() if reason else {}))
            else:
                lines = [answer.as_line(top), *(reason.as_lines() if reason else ())]
                bar.write("\n".join(lines), sys.stderr if answer.refusal else sys.stdout)
            bar.update()
    return {"predictions": told, "refused": refused}
