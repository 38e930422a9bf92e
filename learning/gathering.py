"""A run's items brought together: embedded, the unreadable set aside, the test split last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from learning import backbones, embeddings, inputs
from learning.work import Work

LOOKED_AT = 100  # images between two words on how far it is


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
    items = _read_enough(work)
    work.report("embedding", 0, len(items))
    return _set_aside(work, items, _embed(work, items))


def look_through(work: Work) -> Gathered:
    """Gather the items without embedding them, for a network that knows nothing yet.

    Raises:
        NotEnough: there is too little to learn from.
        Stopped: an end was asked for.
    """
    items, refusals = _read_enough(work), []
    for done, item in enumerate(items):
        if done % LOOKED_AT == 0:
            work.report("embedding", done, len(items))
        refusals += inputs.check_readable(item)
    return _set_aside(work, items, refusals)


def _read_enough(work: Work) -> list[dict[str, Any]]:
    items = list(work.read_items())
    inputs.check_enough(work.labels, items, work.settings["task"])
    return items


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


def _set_aside(work: Work, items: list[dict[str, Any]], refusals: list[embeddings.Refusal]) -> Gathered:
    """Leave out what was refused, and put what may not be learnt from last."""
    kept, refused = inputs.set_refused_aside(items, refusals)
    kept, learnt = inputs.put_test_last(work.labels, kept, work.settings["task"])
    return Gathered(kept, learnt, refused)
