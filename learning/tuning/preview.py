"""Sample images as a training will vary them, drawn as one picture; for a page by a process of its own.

python -m learning.tuning.preview FOLDER    reads squares.npy and settings.json there, writes samples.webp
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from learning.tuning import augmentation
from utils import open_atomically

KINDS = {".png": "PNG", ".webp": "WEBP"}


def draw(squares: np.ndarray, settings: Mapping[str, Any], path: Path) -> None:
    """Draw every square and beside it what the settings make of it (imports TensorFlow).

    Args:
        squares: uint8 (images, size, size, 3); the first 4 are shown.
        settings: of a run that varies its images.
        path: of the picture, a .png or .webp.
    """
    picture = augmentation.preview(squares, {"mixup": 0} | settings, settings["seed"])
    with open_atomically(path) as file:
        Image.fromarray(picture).save(file, KINDS[path.suffix], quality=88)


def main(folder: Path) -> None:
    """Draw what jobs/previews.py has laid into `folder`."""
    squares = np.load(folder / "squares.npy", allow_pickle=False)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    draw(squares, settings, folder / "samples.webp")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
