"""What a package says of the pixel path, `utils.center_crop`: words for a person and facts to compare."""

from __future__ import annotations

from typing import Any

from utils import PIXEL_PATH_VERSION

PIXEL_PATH = (
    "Apply the EXIF orientation; lay transparency over white; convert to RGB; scale the shorter side to "
    "input_size with Pillow's bicubic filter (a square stays square); crop the longer side around its "
    "centre. A JPEG may first be decoded at the smallest of libjpeg's scales that leaves it at least twice "
    "input_size. The network takes the values 0 to 255 as float32 and scales them itself."
)


def describe_pixels(size: int) -> dict[str, Any]:
    """Return what package.json says of the pixel path, for squares of `size` pixels."""
    return {
        "version": PIXEL_PATH_VERSION,
        "words": PIXEL_PATH,
        "shape": [1, size, size, 3],
        "dtype": "float32",
        "range": [0, 255],
        "channels": "RGB",
        "filter": "bicubic",
        "crop": "center",
        "background": [255, 255, 255],
        "jpeg_draft_at_least": 2,
    }


def find_difference(spec: dict[str, Any]) -> str | None:
    """Say in a sentence where package.json names another pixel path than ours; None where it names none.

    Raises:
        TypeError, KeyError: package.json is damaged.
    """
    said = spec.get("pixel_path")
    if said is None:
        return None
    for name, ours in describe_pixels(spec["input_size"]).items():
        if name != "words" and said.get(name, ours) != ours:
            wanted = f"{name} {str(said[name])[:60]}"
            return f"It was made for other pixels ({wanted}) than this Pigeonhole makes ({name} {ours})."
    return None
