"""What the backbone says of every image: computed once on all cores, kept in one SQLite file a backbone."""

from __future__ import annotations

import os
import sqlite3 as standard_sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from learning.backbones import PreparedBackbone
from utils import PIXEL_PATH_VERSION, ImageRefused, center_crop, open_image

try:  # it bundles an SQLite without the WAL-reset bug of 3.7.0 to 3.51.2
    import pysqlite3 as sqlite3
except ImportError:
    sqlite3 = standard_sqlite3

Opener = Callable[[], "bytes | str | Path"]
# Written in one transaction: about half a second of work on two cores, which is what kill -9 can lose.
BATCH = 128
TABLE = """create table if not exists embeddings (
    sha256 text not null, pixel_path integer not null, vector blob not null,
    primary key (sha256, pixel_path))"""
WRITE = "insert or replace into embeddings (sha256, pixel_path, vector) values (?, ?, ?)"


class StoreDamaged(RuntimeError):
    """The file of embeddings is damaged; the message says that deleting it is safe."""


@dataclass(frozen=True)
class Refusal:
    """An image that could not be read: its SHA-256, a code for programs and a message for a person."""

    sha256: str
    code: str
    message: str


def as_refusal(sha256: str, error: ImageRefused | OSError) -> Refusal:
    """Return why an image is left out, told from what reading it raised."""
    if isinstance(error, ImageRefused):
        return Refusal(sha256, error.code, str(error))
    return Refusal(sha256, "image_unreadable", f"The image cannot be read: {error.strerror or error}.")


class Embedder:
    """One LiteRT interpreter. Never share it between threads: two calls at once raise."""

    def __init__(self, path: str | Path, threads: int = 1):
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        self._embedding = next(output["index"] for output in outputs if len(output["shape"]) == 2)
        self._map = next(output["index"] for output in outputs if len(output["shape"]) == 4)

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embedding, float32 (embedding size,), of one image, uint8 (size, size, 3)."""
        self._interpreter.set_tensor(self._input, pixels[np.newaxis].astype(np.float32))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._embedding)[0]

    def embed_with_map(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the embedding, and the map, float32 (h, w, embedding size), whose mean it is.

        A backbone that was prepared before there were such maps gives its last feature map instead, which is
        not as deep as the embedding is long.
        """
        embedding = self.embed(pixels)
        return embedding, self._interpreter.get_tensor(self._map)[0]


class EmbeddingStore:
    """Embeddings of one backbone by image SHA-256, safe for many processes and against kill -9.

    A connection lives for one call, so that a store can be used from any thread and after a fork.
    """

    def __init__(self, folder: str | Path, identifier: str):
        self.path = Path(folder) / f"{identifier}.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def get(self, hashes: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the embeddings known of `hashes`, float32 (embedding size,) each, without the unknown."""
        with self._connect() as connection:
            return {
                sha256: np.frombuffer(blob, "<f4") for sha256, blob in _select(connection, "vector", hashes)
            }

    def put(self, embeddings: dict[str, np.ndarray]) -> None:
        """Keep embeddings, all of them or (after a crash) none."""
        rows = [
            (sha256, PIXEL_PATH_VERSION, np.ascontiguousarray(vector, "<f4").tobytes())
            for sha256, vector in embeddings.items()
        ]
        with self._connect() as connection:
            connection.execute("begin immediate")
            connection.executemany(WRITE, rows)
            connection.execute("commit")

    def missing(self, hashes: Iterable[str]) -> list[str]:
        """Return those of `hashes` that are not known, once each, in their order."""
        wanted = list(dict.fromkeys(hashes))
        with self._connect() as connection:
            known = {sha256 for sha256, _ in _select(connection, "null", wanted)}
        return [sha256 for sha256 in wanted if sha256 not in known]

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                connection.execute("pragma journal_mode = wal")
                # The file can be computed anew, so a commit need not wait for the disk.
                connection.execute("pragma synchronous = normal")
                connection.execute(TABLE)
                yield connection
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            advice = "Delete it: embeddings are computed again when they are needed."
            raise StoreDamaged(f"{self.path} is damaged ({error}). {advice}") from error


def _select(connection: sqlite3.Connection, column: str, hashes: Iterable[str]) -> Iterator[tuple]:
    wanted = list(hashes)
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        marks = ",".join("?" * len(some))
        query = f"select sha256, {column} from embeddings where pixel_path = ? and sha256 in ({marks})"
        yield from connection.execute(query, [PIXEL_PATH_VERSION, *some])


def embed_missing(
    prepared: PreparedBackbone,
    store: EmbeddingStore,
    images: Iterable[tuple[str, Opener]],
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Refusal]:
    """Embed the images that `store` does not know, on all cores, and keep them batch by batch.

    Args:
        prepared: the backbone.
        store: where embeddings are kept; it must be of the same backbone.
        images: (SHA-256, opener) pairs; an opener returns the file's bytes or its path, in a worker thread.
        workers: threads, each with an interpreter of its own; all cores unless given.
        on_progress: called with (done, total) after every batch, first with what was known already.
        should_stop: asked after every image; true ends early, with what is done kept.

    Returns:
        The images that could not be read, in no order; they never stop the others.
    """
    by_hash = dict(images)
    todo = store.missing(by_hash)
    known = len(by_hash) - len(todo)
    refusals: list[Refusal] = []
    batch: dict[str, np.ndarray] = {}
    if on_progress:
        on_progress(known, len(by_hash))
    answers = _embed_all(prepared, [(sha256, by_hash[sha256]) for sha256 in todo], workers or count_cores())
    with closing(answers):
        for done, (sha256, answer) in enumerate(answers, known + 1):
            if isinstance(answer, Refusal):
                refusals.append(answer)
            else:
                batch[sha256] = answer
            is_stopped = should_stop is not None and should_stop()
            if len(batch) >= BATCH or is_stopped or done == len(by_hash):
                store.put(batch)
                batch = {}
                if on_progress:
                    on_progress(done, len(by_hash))
            if is_stopped:
                break
    return refusals


def _embed_all(
    prepared: PreparedBackbone, images: list[tuple[str, Opener]], workers: int
) -> Iterator[tuple[str, np.ndarray | Refusal]]:
    """Yield (SHA-256, embedding or refusal) in order, a few images ahead on every thread and no more."""
    local = threading.local()

    def embed(sha256: str, opener: Opener) -> tuple[str, np.ndarray | Refusal]:
        if not hasattr(local, "embedder"):
            local.embedder = Embedder(prepared.path)
        return sha256, _embed_one(local.embedder, prepared.input_size, sha256, opener)

    executor = ThreadPoolExecutor(workers)
    try:
        pending: deque[Future] = deque()
        for image in images:
            pending.append(executor.submit(embed, *image))
            if len(pending) > 8 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _embed_one(embedder: Embedder, size: int, sha256: str, opener: Opener) -> np.ndarray | Refusal:
    try:
        return embedder.embed(center_crop(open_image(opener()), size))
    except (ImageRefused, OSError) as error:
        return as_refusal(sha256, error)


def count_cores() -> int:
    """How many cores this process may use (a container often allows fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
