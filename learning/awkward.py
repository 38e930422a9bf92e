"""Five awkward images: what tools of this kind get wrong, drawn by us, the same for every package.

One lies on its side by EXIF, one is seen through, one is grey, one is in printing inks, one has a palette.
All hold detail from one pixel up to a quarter of the image, so that another resize filter or background, a
missing rotation or another conversion of colours changes what a network sees.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image

from utils import ORIENTATION_TAG

SIDES = (320, 240)  # width and height in pixels
LARGE = (1000, 900)  # of the one that libjpeg may decode small
LYING = 6  # EXIF: turn it by 90 degrees


@cache
def draw_all() -> dict[str, bytes]:
    """Return the five images as files: name -> bytes, each at most 40 kB."""
    picture = _draw(SIDES)
    large = _draw((LARGE[0] // 8, LARGE[1] // 8)).resize(LARGE, Image.Resampling.NEAREST)
    return {
        "turned.jpg": _save(large, "JPEG", quality=10, exif=_turned()),
        "see_through.png": _save(_see_through(picture), "PNG", optimize=True),
        "grey.jpg": _save(picture.convert("L"), "JPEG", quality=70),
        "print.jpg": _save(picture.convert("CMYK"), "JPEG", quality=25),
        "palette.gif": _save(picture.quantize(16, dither=Image.Dither.NONE), "GIF"),
    }


def _draw(sides: tuple[int, int]) -> Image.Image:
    """Draw rings that grow finer outwards, stripes, a board of squares and slow colours, side by side."""
    width, height = sides
    y, x = np.mgrid[:height, :width]
    from_middle = (x - width / 2) ** 2 + (y - height / 2) ** 2
    rings = np.cos(from_middle / 150) > 0
    stripes = ((x >> (y * 5 // height)) & 1).astype(bool)  # 1, 2, 4, 8 and 16 pixels wide
    board = ((x // 3 + y // 3) % 2).astype(bool)
    light = np.where(x < width * 0.3, stripes, np.where(y < height * 0.7, rings, board)) * 120
    slow = np.stack([x * 5 // width, y * 5 // height, (x + y) * 5 // (width + height)], axis=-1) * 27
    return Image.fromarray((light[..., np.newaxis] + slow + (8, 20, 2)).clip(0, 255).astype(np.uint8))


def _see_through(picture: Image.Image) -> Image.Image:
    """Lay a mask over it: whole in the middle, fainter outwards in steps, with holes."""
    width, height = picture.size
    y, x = np.mgrid[:height, :width]
    far = np.hypot(x - width / 2, y - height / 2) / (height / 2)
    mask = (255 - 51 * (far * 4).astype(int)).clip(0, 255)
    mask[(x // 30 + y // 30) % 4 == 0] = 0
    layered = picture.copy()
    layered.putalpha(Image.fromarray(mask.astype(np.uint8)))
    return layered


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = LYING
    return exif


def _save(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
