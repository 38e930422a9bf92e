"""How fast to learn at each step, how many steps fit into the time, and the search for the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

WARM_UP = 0.25  # share of the steps in which the rate rises
FIRST, LAST = 1 / 25, 1 / 10_000  # of the peak, as fast.ai has them
FINDER_STEPS = 60
FINDER_RANGE = (1e-6, 0.3)
MEMORY = 0.9  # of the losses' running mean


@dataclass(frozen=True)
class Plan:
    """What a training will do, fixed before its first step so that a resumed one does the same.

    Attributes:
        epochs, steps: how many, and steps in each; batch: images a step.
        rate: the peak of the learning rate.
    """

    epochs: int
    steps: int
    batch: int
    rate: float

    @property
    def total(self) -> int:
        """All steps."""
        return self.epochs * self.steps

    def to_json(self) -> dict[str, Any]:
        """Return it as a checkpoint keeps it."""
        return asdict(self)


def plan(
    count: int,
    batch: int,
    epochs: int,
    rate: float,
    *,
    seconds: float,
    step_seconds: float,
    check_seconds: float,
) -> Plan:
    """Return as many epochs as fit, one at least; where not even one fits, a part of one.

    Args:
        count: images to learn from; batch: of them a step; epochs: at most; rate: the peak.
        seconds: left for training.
        step_seconds: what a step takes; check_seconds: what measuring after an epoch takes.
    """
    steps = max(1, count // batch)
    fitting = int(seconds / (steps * step_seconds + check_seconds))
    if fitting >= 1:
        return Plan(min(epochs, fitting), steps, batch, rate)
    fitting_steps = int((seconds - check_seconds) / step_seconds)
    return Plan(1, min(steps, max(fitting_steps, math.ceil(steps / 20), 1)), batch, rate)


def one_cycle(step: int, total: int, peak: float) -> float:
    """Return the learning rate of a step, 0 to total - 1: up to the peak and down to nearly nothing.

    Smith 2018, https://arxiv.org/abs/1803.09820, with cosines for lines as fast.ai does.
    """
    warm = max(1.0, WARM_UP * total)
    if step < warm:
        return _between(peak * FIRST, peak, step / warm)
    return _between(peak, peak * LAST, (step - warm) / max(1.0, total - warm))


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * (1 - math.cos(math.pi * min(share, 1.0))) / 2


def find_rate(
    take_step: Callable[[float], float], steps: int = FINDER_STEPS
) -> Iterator[tuple[float, float, float | None]]:
    """Try ever greater learning rates, one a step, until the loss rises steeply (Smith 2017).

    https://arxiv.org/abs/1506.01186

    Args:
        take_step: learns one step at a rate and returns the loss before it.

    Yields:
        (rate, smoothed loss, suggestion): the suggestion is None but in the last.
    """
    low, high = FINDER_RANGE
    tried: list[tuple[float, float]] = []
    mean = 0.0
    for step in range(steps):
        rate = low * (high / low) ** (step / (steps - 1))
        mean = MEMORY * mean + (1 - MEMORY) * take_step(rate)
        loss = mean / (1 - MEMORY ** (step + 1))
        tried.append((rate, loss))
        is_last = step == steps - 1 or _has_burst(tried)
        yield rate, loss, suggest(tried) if is_last else None
        if is_last:
            return


def _has_burst(tried: list[tuple[float, float]]) -> bool:
    least, last = min(loss for _, loss in tried), tried[-1][1]
    return not math.isfinite(last) or (len(tried) > 10 and last > 3 * least + 0.1)


def suggest(tried: list[tuple[float, float]]) -> float:
    """Return a tenth of the rate with the least smoothed loss, which is where it still falls safely."""
    rate, _ = min((pair for pair in tried if math.isfinite(pair[1])), key=lambda pair: pair[1])
    return rate / 10
