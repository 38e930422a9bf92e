"""Sample images as a training will vary them, drawn as one picture by a process of its own.

python -m learning.tuning.preview FOLDER    reads squares.npy and settings.json there, writes samples.webp
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from learning.tuning import augmentation
from utils import write_atomically


def draw(folder: Path) -> None:
    """Draw every square, uint8 (images, size, size, 3), and beside it what the settings make of it."""
    squares = np.load(folder / "squares.npy", allow_pickle=False)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    buffer = io.BytesIO()
    picture = augmentation.preview(squares, settings, settings["seed"])
    Image.fromarray(picture).save(buffer, "WEBP", quality=88)
    write_atomically(folder / "samples.webp", buffer.getvalue())


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
