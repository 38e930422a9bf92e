"""What mattered in an image: painted over it, put into words, and as rows of marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from learning.pooling import share_out
from serving.explain import Explanation
from utils import open_atomically, open_upright

MOST_PIXELS = 480  # of the longer side: it is smooth, and the browser scales it
MOST_SAVED = 1_600  # pixels of the longer side of a picture that is kept
# Orange and purple, which people who see no red or green tell apart (ColorBrewer's PuOr).
FOR, AGAINST = (240, 110, 10), (94, 44, 165)
STRONGEST = 0.8  # opacity
CUT_OFF = (127, 127, 127, 150)
THIRDS = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
STRONG, WEAK = 0.5, 0.15  # of the strongest part: from there on a mark
WORTH_TELLING = 0.5  # of the strongest third
MOST_TOLD = 3


class NotSaved(ValueError):
    """A picture can't be written where it was wished for; the message says it."""


def paint(explanation: Explanation, width: int, height: int) -> Image.Image:
    """Return a picture, RGBA and 480 pixels a side at most, to be laid over the whole upright image.

    Orange spoke for the label, purple against it, the more the less transparent; grey was cut off.

    Args:
        width, height: of the upright image, in pixels.
    """
    factor = min(1.0, MOST_PIXELS / max(width, height))
    left, top, right, bottom = (round(factor * edge) for edge in explanation.box)
    picture = Image.new("RGBA", (max(1, round(factor * width)), max(1, round(factor * height))), CUT_OFF)
    picture.paste(_colour(explanation.heatmap, (max(1, right - left), max(1, bottom - top))), (left, top))
    return picture


def paint_over(explanation: Explanation, content: bytes) -> Image.Image:
    """Return the image itself, upright, RGB and 1,600 pixels a side at most, with what mattered over it.

    Args:
        content: the bytes of the file that was explained.
    """
    image = open_upright(content).convert("RGBA")
    over = paint(explanation, *image.size)
    image.thumbnail((MOST_SAVED, MOST_SAVED))
    ground = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return Image.alpha_composite(ground, over.resize(image.size)).convert("RGB")


def save(explanation: Explanation, content: bytes, path: Path) -> None:
    """Write what `paint_over` paints as a PNG.

    Raises:
        NotSaved: it can't be written there.
    """
    picture = paint_over(explanation, content)
    try:
        with open_atomically(path) as file:
            picture.save(file, "PNG")
    except OSError as error:
        raise NotSaved(f"{path} cannot be written ({error.strerror}).") from error


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


def as_rows(explanation: Explanation) -> list[str]:
    """Return a mark for every part: # strongly for the label, + for it, = strongly against it, - against."""
    return [" ".join(map(_mark, row)) for row in explanation.heatmap]


def _mark(weight: float) -> str:
    if abs(weight) < WEAK:
        return "."
    strong, weak = ("#", "+") if weight > 0 else ("=", "-")
    return strong if abs(weight) >= STRONG else weak


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
