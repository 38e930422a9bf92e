"""Loads a model that passed the gate and asks it once, in a throwaway process: does it work, what is it.

python -m learning.uploads.probe FILE SIZE …    FILE is a clean copy of the gate's, SIZE its squares' side

Prints one JSON line for each: outputs and parameters, or why the model is refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from learning import confinement, networks
from learning.uploads.facts import ANEW, SMALLER, ModelRefused
from learning.uploads.hdf5 import MAX_PARAMETERS

GIB = 1024**3
MEMORY = 10 * GIB  # of addresses; TensorFlow takes 3 of them before it has done anything
SECONDS = 300  # of processor time, all threads together
SEED = 1


def look(path: str | Path, size: int) -> dict[str, int]:
    """Load a clean copy and predict once (imports TensorFlow). Return its `outputs` and `parameters`.

    Args:
        size: side of the input square in pixels.

    Raises:
        ModelRefused: it can't be loaded, is too large, or doesn't answer with a row of finite numbers.
    """
    model = load(path)
    parameters = int(model.count_params())
    if parameters > MAX_PARAMETERS:
        raise ModelRefused("too_many_parameters", f"It has more than 200 million weights. {SMALLER}")
    channels = model.inputs[0].shape[-1] if len(model.inputs) == 1 else None
    if channels not in (1, 3):
        raise ModelRefused("wrong_shape", "It must take one image of 1 or 3 channels.")
    pixels = np.random.default_rng(SEED).uniform(0, 255, (1, size, size, channels)).astype(np.float32)
    answer = _ask(model, pixels)
    return {"outputs": answer.shape[1], "parameters": parameters}


def load(path: str | Path) -> Any:
    """Load a clean copy in Keras, uncompiled and in safe mode (imports TensorFlow).

    Raises:
        ModelRefused: Keras can't.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises anything for a network whose parts don't fit
        raise ModelRefused("not_loadable", f"Keras can't load it: {_last_line(error)} {ANEW}") from error


def _ask(model: Any, pixels: np.ndarray) -> np.ndarray:
    """Return the answer, (1, outputs)."""
    try:
        answer = np.asarray(model(pixels, training=False))
    except Exception as error:  # as above
        raise ModelRefused("not_working", f"It can't answer an image: {_last_line(error)} {ANEW}") from error
    if answer.ndim != 2 or answer.shape[0] != 1 or answer.shape[1] < 1 or answer.dtype.kind != "f":
        raise ModelRefused("wrong_shape", f"It answers with shape {answer.shape}, not one number a label.")
    if not np.isfinite(answer).all():
        raise ModelRefused("not_finite", "It answers with numbers that are not finite. Train it anew.")
    return answer


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{lines[0][:200].rstrip('.')}."


def main(arguments: list[str]) -> int:
    """Do what the module says at its top; 0 when every model works, 1 when one is refused."""
    confinement.limit(memory=MEMORY, seconds=SECONDS, file_size=GIB)
    networks.load_tensorflow_quietly()
    answers = [
        _answer(Path(path), int(size)) for path, size in zip(arguments[::2], arguments[1::2], strict=True)
    ]
    return 0 if all(answers) else 1


def _answer(path: Path, size: int) -> bool:
    try:
        answer: dict[str, Any] = look(path, size)
    except ModelRefused as refusal:
        answer = {"code": refusal.code, "message": str(refusal)}
    except MemoryError:
        answer = {"code": "model_too_large", "message": f"It takes more than {MEMORY // GIB} GB. {SMALLER}"}
    print(json.dumps(answer), flush=True)
    return "outputs" in answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
