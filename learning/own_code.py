"""Own code: read without running it, run, and its errors told with the line they come from.

Two styles run: a function `build_model(input_shape, labels)` that returns a Keras model, and lines of
`model.add(…)` on a Sequential called `model` that is there already, to which the head is added.
"""

from __future__ import annotations

import errno
import linecache
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from learning.efficientnet import KerasModel
from learning.work import Stopped

NAME = "<own code>"
MOST_BYTES = 64 * 1024
MOST_ATTEMPTS_TOLD = 20
SANDBOX_VARIABLE = "PIGEONHOLE_SANDBOX"
log = logging.getLogger(__name__)

TEMPLATE = '''\
def build_model(input_shape, labels):
    """Return a Keras model: an image in, one output for each label.

    input_shape is (side, side, channels); pixel values are between 0 and 1.
    """
    inputs = keras.Input(input_shape)
    x = inputs
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(len(labels))(x)
    return keras.Model(inputs, outputs)
'''

# What Python tells an audit hook of (https://docs.python.org/3/library/audit_events.html), in words.
ATTEMPTS = {
    "socket.__new__": "asked for the network",
    "socket.connect": "asked for the network",
    "socket.getaddrinfo": "asked for the network",
    "sqlite3.connect": "asked for a database",
    "subprocess.Popen": "started a program",
    "os.system": "started a program",
    "os.posix_spawn": "started a program",
    "os.fork": "started a process",
    "os.kill": "signalled a process",
}


class CodeRefused(ValueError):
    """Own code that can't be used. The message names the line where one is known; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(f"Line {line}: {message}" if line else message)
        self.line = line


def parse(text: str) -> CodeType:
    """Compile own code without running any of it.

    Raises:
        CodeRefused: it is empty, longer than 64 KiB, or no Python.
    """
    if not text.strip():
        raise CodeRefused("There is no code. Begin with the template.")
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise CodeRefused("The code is longer than 64 KiB.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(text, NAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CodeRefused(f"{error.msg}.", error.lineno) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise CodeRefused(f"Python can't read it: {str(error) or 'it is nested too deeply'}.") from None


def build(text: str, input_shape: tuple[int, int, int], labels: list[str]) -> KerasModel:
    """Run own code and return its model, tried on a batch (imports TensorFlow).

    Args:
        input_shape: (side, side, channels); values will be between 0 and 1.
        labels: names, in order.

    Raises:
        CodeRefused: it raises an error, or gives no model from such an image to one number a label.
    """
    import keras

    code = parse(text)
    linecache.cache[NAME] = (len(text), None, text.splitlines(keepends=True), NAME)
    scope = _scope(input_shape, labels)
    with telling_errors():
        exec(code, scope)  # what this recipe is for; jobs/sandbox.py keeps it apart
        model = _take_model(scope, input_shape, labels)
    if not isinstance(model, keras.Model):
        raise CodeRefused(f"build_model must return a Keras model, not {type(model).__name__}.")
    with telling_errors():
        answers = np.asarray(model(np.full((2, *input_shape), 0.5, np.float32), training=False))
    _check_answers(answers, len(labels))
    return model


def _scope(input_shape: tuple[int, int, int], labels: list[str]) -> dict[str, Any]:
    """The names own code finds: those of a notebook, and every layer by its own name, as KerasUI has them."""
    import keras
    import tensorflow as tf

    layers = {name: getattr(keras.layers, name) for name in dir(keras.layers) if name[0].isupper()}
    model = keras.Sequential([keras.Input(input_shape)])
    return {
        **layers,
        **{"__name__": "own_code", "keras": keras, "layers": keras.layers, "np": np, "numpy": np, "tf": tf},
        **{"Sequential": keras.Sequential, "Model": keras.Model, "Input": keras.Input},
        **{"model": model, "input_shape": input_shape, "labels": list(labels)},
    }


def _take_model(scope: dict[str, Any], input_shape: tuple[int, int, int], labels: list[str]) -> Any:
    build_model = scope.get("build_model")
    if callable(build_model):
        return build_model(input_shape, list(labels))
    model = scope.get("model")
    if not getattr(model, "layers", None):
        raise CodeRefused("Define build_model(input_shape, labels), or add layers to model.")
    return _add_head(model, len(labels))


def _add_head(model: KerasModel, count: int) -> KerasModel:
    """Give `model.add` lines their head: what is left of width and height averaged, then a number a label."""
    import keras

    if len(model.output_shape) == 4:
        model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(count, name="head"))
    return model


def _check_answers(answers: np.ndarray, count: int) -> None:
    if answers.shape != (2, count):
        shape = ", ".join(map(str, answers.shape[1:]))
        message = f"for each of the {count} labels it must give one number; an image gives ({shape})."
        raise CodeRefused(f"The model doesn't fit the dataset: {message}")
    if not np.isfinite(answers).all():
        raise CodeRefused("The model gives numbers that are not finite for a plain grey image.")


@contextmanager
def telling_errors() -> Iterator[None]:
    """Turn whatever own code raises into a CodeRefused with its line; the whole of it goes to the log."""
    try:
        yield
    except (CodeRefused, MemoryError, Stopped):
        raise
    except SystemExit as error:
        raise CodeRefused("The code ends the process; let it return a model.", _line_of(error)) from error
    except Exception as error:
        line = _line_of(error)
        log.error("Own code failed:\n%s", "".join(traceback.format_exception(error)[-12:]))
        raise CodeRefused(f"{type(error).__name__}: {_first_words(error)}{_advice(error)}", line) from error


def _line_of(error: BaseException) -> int | None:
    """The last line of own code that the error passed through."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    return lines[-1] if lines else None


def _is_own(frame: Any) -> bool:
    return frame.f_code.co_filename == NAME


def _first_words(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:400] or "without a word"


def _advice(error: BaseException) -> str:
    if isinstance(error, OSError) and os.environ.get(SANDBOX_VARIABLE):
        return ". The sandbox lets own code reach no network and no file but its own."
    return ""


def name_attempts(tell: Callable[[str], None]) -> None:
    """Tell, for the log, what own code tries that no network needs. It stops nothing: the sandbox does."""
    told, trying = set(), set()

    def hear(event: str, arguments: tuple) -> None:
        if trying or (event not in ATTEMPTS and event != "open"):
            return
        if len(told) >= MOST_ATTEMPTS_TOLD or (line := _calling_line()) is None:
            return
        trying.add(line)  # what follows may open files itself
        words = ATTEMPTS.get(event) or _describe_open(arguments)
        trying.clear()
        if words and (line, words) not in told:
            told.add((line, words))
            tell(f"Own code, line {line}, {words}{_detail(event, arguments)}.")

    sys.addaudithook(hear)


def _calling_line() -> int | None:
    frame = sys._getframe(2)
    while frame is not None and not _is_own(frame):
        frame = frame.f_back
    return frame.f_lineno if frame else None


def _describe_open(arguments: tuple) -> str | None:
    path, mode, flags = (*arguments, None, None, None)[:3]
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    is_writing = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR)) or any(c in (mode or "") for c in "wax+")
    place = os.path.realpath(os.fsdecode(path))
    if not _is_refused(place, is_writing):
        return None
    return f"wanted to {'write' if is_writing else 'read'} {place[:200]!r}, which it is not shown"


def _is_refused(place: str, is_writing: bool) -> bool:
    """Whether a file may not be opened so, by trying: Landlock lets everybody ask access(2).

    Nothing is made or changed: whether a file may be made is tried with one that has no name.
    """
    is_there = Path(place).exists()
    way = os.O_WRONLY if is_writing else os.O_RDONLY
    if is_writing and not is_there:
        place, way = str(Path(place).parent), os.O_WRONLY | getattr(os, "O_TMPFILE", 0)
    try:
        os.close(os.open(place, way | getattr(os, "O_NONBLOCK", 0)))
    except (PermissionError, FileNotFoundError):
        return True
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def _detail(event: str, arguments: tuple) -> str:
    if event in ("socket.connect", "sqlite3.connect", "socket.getaddrinfo", "os.system"):
        return f": {str(arguments[-1 if event == 'socket.connect' else 0])[:200]}"
    return ""
