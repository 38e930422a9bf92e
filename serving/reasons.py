"""Why files are answered as they are, for `server.py predict --explain`: as JSON and as lines."""

from __future__ import annotations

from dataclasses import dataclass

from serving import explain, heatmaps
from serving.batches import Answerer
from serving.explain import Engine, Explanation
from serving.similar import Similar

SHOWN = 3  # similar images in a line
ADDED_UP = "exact: the parts add up to the answer"
HIDDEN = "by occlusion: what hiding each part takes from the label"
HOW = {"exact": ADDED_UP, "occlusion": HIDDEN}
KEY = "# and + spoke for it, = and - against it"


@dataclass(frozen=True)
class Reason:
    """Why one file got its likeliest label, and the taught images most like it."""

    explanation: Explanation
    similar: list[Similar]

    def as_json(self) -> dict:
        """What stands beside the answer: `explanation` as the API has it, and `similar` without addresses."""
        return {
            "explanation": self.explanation.as_json(),
            "similar": [one.as_json() for one in self.similar],
        }

    def as_lines(self) -> list[str]:
        """The same in words, with a mark for every part of the square that was looked at."""
        label = self.explanation.label
        spoke_for, against = heatmaps.describe(self.explanation)
        told = f"What spoke most for {label}: {spoke_for or 'nothing'}."
        told += f" What spoke most against it: {against}." if against else ""
        rows = heatmaps.as_rows(self.explanation)
        lines = [told, *rows, f"({KEY}; {HOW[self.explanation.method]})", *self._name_similar()]
        return [f"  {line}" for line in lines]

    def _name_similar(self) -> list[str]:
        named = [
            f"{', '.join(label.name for label in one.item.labels)} {one.similarity:.2f} (image {one.item.id})"
            for one in self.similar[:SHOWN]
        ]
        return [f"Most similar of what was taught: {'; '.join(named)}."] if named else []


def find(answerer: Answerer, engine: Engine, content: bytes) -> Reason:
    """Return why `engine`, which `answerer` opened, answers a file's bytes as it does.

    Raises:
        ImageRefused: it is no image that is taken, or damaged.
    """
    found = explain.explain_with(engine, content)
    return Reason(found, answerer.find_similar(found.embedding))
