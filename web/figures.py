"""A version's figures in plain words: how often it is right, how sure that is, whether the test agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models import Version
from web.readiness import FEW


@dataclass(frozen=True)
class Figure:
    """One share of right answers: accuracy, and its 95 % interval from low to high, 0 to 1, of `items`."""

    accuracy: float
    low: float
    high: float
    items: int

    def words(self) -> str:
        """The interval as a sentence, outward to whole per cents."""
        return f"between {_down(self.low)} and {_up(self.high)} % for new images like these"


@dataclass(frozen=True)
class Figures:
    """Leave-one-out and the untouched test split beside each other, and every label."""

    leave_one_out: Figure | None
    test: Figure | None
    labels: list[dict[str, Any]]
    few: list[str]  # labels with too few items for their figures to say much

    @property
    def is_small(self) -> bool:
        """Whether the figures come from so few items that the interval says more than the number."""
        return bool(self.few)

    @property
    def is_confirmed(self) -> bool | None:
        """Whether the two intervals overlap where it counts: the test lies inside leave-one-out's."""
        if self.leave_one_out is None or self.test is None:
            return None
        return self.leave_one_out.low <= self.test.accuracy <= self.leave_one_out.high

    @property
    def is_compatible(self) -> bool:
        """Whether leave-one-out's figure lies inside the test's own, wider interval."""
        return self.test.low <= self.leave_one_out.accuracy <= self.test.high


def of(version: Version) -> Figures:
    """Read them from the version's metrics."""
    left_out = version.metrics.get("leave_one_out") or {}
    labels = left_out.get("labels") or []
    return Figures(
        leave_one_out=_figure(left_out),
        test=_figure(version.metrics.get("test")),
        labels=labels if isinstance(labels, list) else [],
        few=[row["label"] for row in labels if row["count"] < FEW] if isinstance(labels, list) else [],
    )


def _figure(part: dict[str, Any] | None) -> Figure | None:
    if not part or "accuracy" not in part:
        return None
    low, high = part["interval"]
    return Figure(part["accuracy"], low, high, part["items"])


def _down(share: float) -> int:
    return int(100 * share)


def _up(share: float) -> int:
    return min(100, -int(-100 * share // 1))
