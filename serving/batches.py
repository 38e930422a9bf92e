"""Many images answered on all cores: for the command line, and for batches in the background."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from learning.embeddings import count_cores
from learning.litert import NetworkClassifier
from learning.package import NETWORK_FILE, Decision, NoAnswer
from models import Version
from serving import classifier, similar
from serving.explain import Engine
from serving.files import FileAnswer
from serving.similar import Similar
from utils import ImageRefused, center_crop, open_image

AHEAD = 4  # images that wait for each interpreter


@dataclass(frozen=True)
class ImageFile:
    """A file to be answered: its name for showing, and what reads its bytes in any thread."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Answerer:
    """What answers: a name that no other version has, its labels in order, and interpreters when asked."""

    name: str
    labels: tuple[str, ...]
    input_size: int  # pixels
    open: Callable[[], Engine]  # with a new interpreter, for one thread
    threshold_mark: str = ""  # Package.threshold_mark
    # The taught images most like an embedding; a package alone has none of them.
    find_similar: Callable[[np.ndarray | None], list[Similar]] = lambda embedding: []


def by_package(folder: Path) -> Answerer:
    """Return what answers from a package alone, without a database.

    Raises:
        PackageDamaged: the folder is not a whole package.
    """
    first = NetworkClassifier(folder)
    content = b"".join(Path(folder, name).read_bytes() for name in ("package.json", NETWORK_FILE))
    return Answerer(
        name=f"package {hashlib.sha256(content).hexdigest()[:12]}",
        labels=tuple(first.package.labels),
        input_size=first.package.input_size,
        open=partial(NetworkClassifier, folder),
    )


def by_version(version: Version) -> Answerer:
    """Return what answers from a version of this instance; nothing is stored.

    Raises:
        VersionUnusable: a file of the version is missing or damaged.
    """
    package, open_apart = classifier.find_apart(version)
    mark = package.threshold_mark
    return Answerer(
        name=f"{version.dataset.slug} {version.number}{f' (thresholds {mark})' if mark else ''}",
        labels=tuple(package.labels),
        input_size=package.input_size,
        open=open_apart,
        threshold_mark=mark,
        find_similar=partial(similar.find, version),
    )


def answer_all(answerer: Answerer, files: Sequence[ImageFile]) -> Iterator[FileAnswer]:
    """Answer every file in order, on all cores; one that cannot be read never stops the others.

    Close the iterator to end early; what other threads have begun is then waited for.
    """
    count = min(count_cores(), len(files))
    free: SimpleQueue[Engine] = SimpleQueue()
    for _ in range(count):
        free.put(answerer.open())
    executor = ThreadPoolExecutor(max(1, count))
    try:
        yield from _in_order(executor, partial(_answer, answerer, free), files, AHEAD * count)
    finally:
        executor.shutdown(cancel_futures=True)


def _in_order(
    executor: ThreadPoolExecutor,
    answer: Callable[[ImageFile], FileAnswer],
    files: Sequence[ImageFile],
    ahead: int,
) -> Iterator[FileAnswer]:
    waiting: deque[Future[FileAnswer]] = deque()
    for file in files:
        waiting.append(executor.submit(answer, file))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _answer(answerer: Answerer, free: SimpleQueue[Engine], file: ImageFile) -> FileAnswer:
    try:
        pixels = center_crop(open_image(file.read()), answerer.input_size)
        return FileAnswer.of(file.name, _ask(free, pixels))
    except (ImageRefused, NoAnswer) as refused:
        return FileAnswer(file.name, refusal=str(refused))
    except OSError as error:
        return FileAnswer(file.name, refusal=f"The file cannot be read ({error.strerror}).")


def _ask(free: SimpleQueue[Engine], pixels: np.ndarray) -> Decision:
    """Ask an interpreter that nobody else is asking: there is one for every thread."""
    engine = free.get()
    try:
        return engine.answer(pixels)
    finally:
        free.put(engine)
