"""What a package's model.keras says of its golden images, asked in a process of its own.

`python -m learning.keras_answers FOLDER` prints one line of JSON: golden image -> probabilities, in the order
of the labels. Whoever does not know where the model comes from runs this in a sandbox.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from learning import calibration, golden, networks, proof
from learning.package import read_spec


def ask(folder: Path) -> dict[str, list[float]]:
    """Return what model.keras says of every golden image (imports TensorFlow)."""
    networks.load_tensorflow_quietly()
    images = golden.read_all(folder)
    logits = proof.answer_by_keras(folder / proof.FILES["keras"], np.stack([one.pixels for one in images]))
    said = calibration.from_spec(read_spec(folder)).probabilities(logits)
    return {one.name: row.tolist() for one, row in zip(images, said, strict=True)}


if __name__ == "__main__":
    print(json.dumps(ask(Path(sys.argv[1]))))
