"""How sure a share is that was counted on so many items."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054  # the two-sided 95 % point of the normal distribution


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0 to 1 (Wilson 1927); (0, 1) when nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    share, squared = correct / count, Z_95**2
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    spread = share * (1 - share) / count + squared / (4 * count**2)
    reach = Z_95 * math.sqrt(spread) / (1 + squared / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)
