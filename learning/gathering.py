"""A run's items brought together: embedded, the unreadable set aside, the test split last."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from learning import backbones, embeddings, inputs
from learning.work import Work

LOOKED_AT = 100  # images between two words on how far it is
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gathered:
    """Items with known embeddings; the first `learnt` may be learnt from, the others are the test split."""

    items: list[dict[str, Any]]
    learnt: int
    refused: list[dict[str, str]]  # name, code and message of those that cannot be read

    def told_by(self, learnt: str, rest: str) -> list[str]:
        """Return a word for each item: `learnt` where it may be learnt from, else `rest`."""
        return [learnt] * self.learnt + [rest] * (len(self.items) - self.learnt)


def gather(work: Work) -> Gathered:
    """Embed the run's items, telling how far it is.

    Raises:
        NotEnough: there is too little to learn from.
        Stopped: an end was asked for; what was embedded is kept.
    """
    items, task = list(work.read_items()), work.settings["task"]
    inputs.check_enough(work.labels, items, task)
    work.report("embedding", 0, len(items))
    kept, refused = inputs.set_refused_aside(items, _embed(work, items))
    for entry in refused:
        log.warning("%s is left out: %s", entry["name"], entry["message"])
    kept, learnt = inputs.put_test_last(work.labels, kept, task)
    return Gathered(kept, learnt, refused)


def look_through(work: Work) -> Gathered:
    """Gather the items without embedding them, for a network that knows nothing yet.

    Raises:
        NotEnough: there is too little to learn from.
        Stopped: an end was asked for.
    """
    items, task = list(work.read_items()), work.settings["task"]
    inputs.check_enough(work.labels, items, task)
    refusals = []
    for done, item in enumerate(items):
        if done % LOOKED_AT == 0:
            work.report("embedding", done, len(items))
        refusals += inputs.check_readable(item)
    kept, refused = inputs.set_refused_aside(items, refusals)
    for entry in refused:
        log.warning("%s is left out: %s", entry["name"], entry["message"])
    kept, learnt = inputs.put_test_last(work.labels, kept, task)
    return Gathered(kept, learnt, refused)


def _embed(work: Work, items: list[dict[str, Any]]) -> list[embeddings.Refusal]:
    prepared = backbones.prepare(work.settings["backbone"], work.settings["backbones"])
    with tqdm(total=len(items), desc="embedding", unit="image", disable=None) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            work.report("embedding", done, total)  # after the batch was kept, so it may raise

        return embeddings.embed_missing(
            prepared,
            work.open_store(),
            inputs.list_images(items),
            on_progress=tell,
            should_stop=work.is_ending,
        )
