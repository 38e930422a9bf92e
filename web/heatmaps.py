"""What mattered in an image, drawn over it and put into words."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from learning.pooling import share_out
from serving.explain import Explanation

MOST_PIXELS = 480  # of the longer side: it is smooth, and the browser scales it
# Orange and purple, which people who see no red or green tell apart (ColorBrewer's PuOr).
FOR, AGAINST = (240, 110, 10), (94, 44, 165)
STRONGEST = 0.8  # opacity
CUT_OFF = (127, 127, 127, 150)
THIRDS = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
WORTH_TELLING = 0.5  # of the strongest third
MOST_TOLD = 3


def draw(explanation: Explanation, width: int, height: int) -> str:
    """Return a picture as a data: address, to be laid over the whole upright image of that size.

    Orange spoke for the label, purple against it, the more the less transparent; grey was cut off.
    """
    factor = min(1.0, MOST_PIXELS / max(width, height))
    left, top, right, bottom = (round(factor * edge) for edge in explanation.box)
    picture = Image.new("RGBA", (max(1, round(factor * width)), max(1, round(factor * height))), CUT_OFF)
    picture.paste(_colour(explanation.heatmap, (max(1, right - left), max(1, bottom - top))), (left, top))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _colour(heatmap: np.ndarray, size: tuple[int, int]) -> Image.Image:
    smooth = Image.fromarray(heatmap.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(smooth), -1, 1)
    pixels = np.where((values > 0)[..., np.newaxis], np.array(FOR), np.array(AGAINST))
    opacity = 255 * STRONGEST * np.abs(values)
    return Image.fromarray(np.dstack([pixels, opacity]).astype(np.uint8))


def describe(explanation: Explanation) -> tuple[str, str]:
    """Return in words where it was that most spoke for the label, and where against it; "" where nothing."""
    rows, columns = (share_out(size, 3) if size >= 3 else _repeat(size) for size in explanation.weights.shape)
    thirds = rows @ explanation.heatmap @ columns.T
    return _name(thirds), _name(-thirds)


def _repeat(size: int) -> np.ndarray:
    return np.eye(size)[np.arange(3) * size // 3]


def _name(thirds: np.ndarray) -> str:
    strongest = thirds.max()
    if strongest <= 0.05:  # of the largest weight: as good as nothing
        return ""
    places = sorted(np.ndindex(3, 3), key=lambda place: -thirds[place])
    told = [THIRDS[row][column] for row, column in places if thirds[row, column] >= WORTH_TELLING * strongest]
    told = [f"the {name}" for name in told[:MOST_TOLD]]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if told[1:] else told[0]
