"""A client of Pigeonhole in one file: copy it beside your script. It needs Python 3.10 and `requests`.

    from pigeonhole import Pigeonhole

    pigeonhole = Pigeonhole("http://127.0.0.1:5000", token="pgh_…")
    pigeonhole.make_dataset("Flowers")
    pigeonhole.add_images("flowers", "photos/")       # the folders in it are the labels
    pigeonhole.train("flowers")
    print(pigeonhole.predict("flowers", "photo.jpg")["label"])

What is refused raises PigeonholeError. Where the server is busy or you are too fast, a call waits for as long
as it is told and is sent again; writes carry an Idempotency-Key, so that none is carried out twice.
"""

from __future__ import annotations

import io
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import requests

Json = dict[str, Any]
Image = str | Path | bytes  # a file's path, or its bytes

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
BATCH_FILES, BATCH_BYTES = 100, 12_000_000  # of one request
BUSY = (429, 503)
AT_WORK = ("queued", "running")


class PigeonholeError(Exception):
    """What the server refused: `code` is for programs, `message` for people; `answer` is all it said."""

    def __init__(self, status: int, answer: Json):
        error = answer.get("error", {})
        self.status = status
        self.code: str = error.get("code", "unknown")
        self.message: str = error.get("message", f"The server answered {status}.")
        self.field: str | None = error.get("field")
        self.file: str | None = error.get("file")
        self.answer = answer
        super().__init__(f"{self.message} ({status} {self.code})")


def show_progress(job: Json) -> None:
    """Write how far a run or an import is on one line of the terminal."""
    share = f" {job['done']}/{job['total']}" if job.get("total") else ""
    sys.stderr.write(f"\r\033[K{job['state']} {job.get('phase') or ''}{share}")
    sys.stderr.write("\n" if job["state"] not in AT_WORK else "")
    sys.stderr.flush()


class Pigeonhole:
    """One server, as whoever the token belongs to.

    Args:
        address: where it is, such as "http://127.0.0.1:5000".
        token: a personal token or an access token of OAuth2; None asks public datasets only.
        patience_seconds: how long a call may wait for a busy server in all.
        timeout_seconds: how long one request may go without an answer.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        patience_seconds: float = 120,
        timeout_seconds: float = 60,
    ):
        self.address = address.rstrip("/")
        self.token = token
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self._session = requests.Session()
        self._session.auth = self._sign  # a password in ~/.netrc would go before a header

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request

    # ---------- datasets and what is in them ----------

    def datasets(self) -> Iterator[Json]:
        """Every dataset that you may see."""
        return self._pages("/datasets")

    def dataset(self, slug: str) -> Json:
        """One dataset: its settings, labels and counts."""
        return self.call("GET", f"/datasets/{slug}").json()

    def make_dataset(self, name: str, task: str = "single-label", labels: Iterable[str] = (), **more) -> Json:
        """Make a dataset and return it; `slug` in it is its name in every other call."""
        wanted = {"name": name, "task": task, "labels": list(labels), **more}
        return self.call("POST", "/datasets", json=wanted).json()

    def items(self, slug: str, **filters: Any) -> Iterator[Json]:
        """Every item, or those with `label="daisy"`, `split="test"` and the like."""
        return self._pages(f"/datasets/{slug}/items", filters)

    def add_images(
        self, slug: str, images: str | Path | Iterable[str | Path], label: str | None = None
    ) -> Json:
        """Add a file, a folder or many files in batches; images without `label` bear their folder's name.

        Returns {"added", "skipped", "refused"}, each a list with what became of each file.
        """
        report: Json = {"added": [], "skipped": [], "refused": []}
        paths = _find(images)
        for name, group in groupby(paths, key=lambda path: label if label is not None else path.parent.name):
            for batch in _batches(list(group)):
                for kind, files in self._add(slug, batch, name).items():
                    report[kind] += files
        return report

    def _add(self, slug: str, batch: list[Path], label: str) -> Json:
        files = [("image", (path.name, path.read_bytes())) for path in batch]
        try:
            return self.call("POST", f"/datasets/{slug}/items", files=files, data={"label": label}).json()
        except PigeonholeError as error:
            if "refused" not in error.answer:
                raise
            return {kind: error.answer[kind] for kind in ("added", "skipped", "refused")}

    def import_zip(
        self,
        slug: str,
        path: str | Path,
        label: str | None = None,
        on_progress: Callable[[Json], None] = show_progress,
    ) -> Json:
        """Bring in a zip whose folders are the labels (or all of it as `label`), and wait until it is in."""
        form = _FormFromDisk({"label": label} if label else {}, "archive", Path(path))
        headers = {"Content-Type": form.type}
        with form:
            job = self.call("POST", f"/datasets/{slug}/imports", data=form, headers=headers).json()
        return self.wait(job, on_progress)

    # ---------- training and what it gives ----------

    def train(
        self,
        slug: str,
        recipe: str = "quick",
        on_progress: Callable[[Json], None] = show_progress,
        **settings: Any,
    ) -> Json:
        """Train, wait until it is done, and return the run; `version` in it is the number of what it gave."""
        run = self.call(
            "POST", f"/datasets/{slug}/runs", json={"recipe": recipe, "settings": settings}
        ).json()
        return self.wait(run, on_progress)

    def wait(
        self, job: Json, on_progress: Callable[[Json], None] = show_progress, every_seconds: float = 1
    ) -> Json:
        """Wait until a run or an import has ended, and return it; raise PigeonholeError where it failed."""
        while job["state"] in AT_WORK:
            on_progress(job)
            time.sleep(every_seconds)
            job = self.call("GET", job["url"]).json()
        on_progress(job)
        if job["state"] != "finished":
            message = job.get("message") or f"It was {job['state']}."
            raise PigeonholeError(200, {"error": {"code": job["state"], "message": message}, "job": job})
        return job

    def versions(self, slug: str) -> Iterator[Json]:
        """Every version of a dataset with its figures, newest first."""
        return self._pages(f"/datasets/{slug}/versions")

    def make_live(self, slug: str, number: int) -> Json:
        """Let this version answer from now on."""
        return self.call("POST", f"/datasets/{slug}/versions/{number}/live").json()

    def download(self, slug: str, number: int, path: str | Path, format: str = "package") -> Path:
        """Save a version as a file: `package` is a zip of all, `tflite` and `keras` are the network alone."""
        address = f"/datasets/{slug}/versions/{number}/package"
        answer = self.call("GET", address, params={"format": format}, stream=True)
        with answer, Path(path).open("wb") as file:
            for chunk in answer.iter_content(1 << 20):
                file.write(chunk)
        return Path(path)

    # ---------- predictions ----------

    def predict(self, slug: str, image: Image, version: int | None = None, top: int | None = None) -> Json:
        """Ask about one image; `label` of the answer is None where no label fits well enough."""
        files = [("image", _named(image))]
        asked = {"version": version, "top": top}
        return self.call("POST", f"/datasets/{slug}/predict", files=files, params=asked).json()

    def predict_many(
        self, slug: str, images: Iterable[Image], version: int | None = None, top: int | None = None
    ) -> Iterator[Json]:
        """Ask about many images; gives an answer for each in their order, {"error": …} for one refused."""
        asked = {"version": version, "top": top}
        for batch in _batches(images):
            files = [("image", _named(image)) for image in batch]
            try:
                answer = self.call("POST", f"/datasets/{slug}/predict", files=files, params=asked).json()
            except PigeonholeError as error:
                if len(batch) > 1 or error.field != "image":
                    raise
                answer = {"error": error.answer["error"]}
            yield from answer.get("predictions", [answer])

    def feedback(self, prediction: Json | str, correct: bool, labels: Iterable[str] | None = None) -> Json:
        """Say whether an answer was right, and if not, what it is."""
        name = prediction if isinstance(prediction, str) else prediction["prediction"]
        said = {"correct": correct} if labels is None else {"correct": correct, "labels": list(labels)}
        return self.call("POST", f"/predictions/{name}/feedback", json=said).json()

    # ---------- what every call goes through ----------

    def call(self, method: str, path: str, headers: Json | None = None, **options: Any) -> requests.Response:
        """Send one request, wait and send it again where the server is busy; for all that has no method here.

        Args:
            path: below /api/v1, such as "/datasets"; or an address that an answer has given.
            options: as for `requests.request`: json, params, data, files; and stream.

        Raises:
            PigeonholeError: the server refused it.
            requests.RequestException: the server was not reached.
        """
        path = path if path.startswith("/api/") else f"/api/v1{path}"
        stream = options.pop("stream", False)
        key = {} if method == "GET" or path.endswith("/predict") else {"Idempotency-Key": uuid.uuid4().hex}
        asked = requests.Request(method, self.address + path, headers={**key, **(headers or {})}, **options)
        request = self._session.prepare_request(asked)
        settings = self._session.merge_environment_settings(request.url, {}, stream, None, None)
        deadline = time.monotonic() + self.patience_seconds
        while True:
            if isinstance(request.body, _FormFromDisk):
                request.body.rewind()
            answer = self._session.send(request, timeout=self.timeout_seconds, **settings)
            pause = _pause(answer)
            if answer.status_code not in BUSY or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        if answer.status_code >= 400:
            raise PigeonholeError(answer.status_code, _said(answer))
        return answer

    def _pages(self, path: str, filters: Json | None = None) -> Iterator[Json]:
        """Give the items of a list, asking for a page only when it is needed."""
        wanted: Json = {"limit": 200, **(filters or {})}
        while True:
            page = self.call("GET", path, params=wanted).json()
            yield from page["items"]
            if page["next"] is None:
                return
            wanted["cursor"] = page["next"]


def _said(answer: requests.Response) -> Json:
    """Return what an answer says in JSON; a proxy on the way may have answered with a page."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("error"), dict) else {}


def _pause(answer: requests.Response) -> float:
    """Return for how many seconds the server asks to wait; 5 where a proxy gives a date instead."""
    asked = answer.headers.get("Retry-After", "1")
    return float(asked) if asked.isdigit() else 5.0


def _find(images: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the image files that are meant, in the order of their names: of a folder all that lie in it."""
    if not isinstance(images, (str, Path)):
        return [Path(path) for path in images]
    place = Path(images)
    if not place.is_dir():
        return [place]
    return sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)


def _batches(images: Iterable[Any]) -> Iterator[list[Any]]:
    """Give lists of images that one request can hold."""
    batch: list[Any] = []
    size = 0
    for image in images:
        length = len(image) if isinstance(image, bytes) else Path(image).stat().st_size
        if batch and (len(batch) == BATCH_FILES or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(image)
        size += length
    if batch:
        yield batch


def _named(image: Image) -> tuple[str, bytes]:
    return ("image", image) if isinstance(image, bytes) else (Path(image).name, Path(image).read_bytes())


class _FormFromDisk:
    """A form with one large file, which is sent from disk and never held in memory."""

    def __init__(self, fields: dict[str, str], name: str, path: Path):
        boundary = uuid.uuid4().hex
        self.type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        sent_name = path.name.replace('"', "%22")
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{sent_name}"\r\n\r\n'
        )
        ends = io.BytesIO(head.encode()), io.BytesIO(f"\r\n--{boundary}--\r\n".encode())
        self._parts: list[BinaryIO] = [ends[0], path.open("rb"), ends[1]]
        self._length = sum(len(end.getvalue()) for end in ends) + path.stat().st_size

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> _FormFromDisk:
        return self

    def __exit__(self, *error: object) -> None:
        self._parts[1].close()

    def rewind(self) -> None:
        """Begin again."""
        for part in self._parts:
            part.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Read on, at most `size` bytes."""
        for part in self._parts:
            if found := part.read(size):
                return found
        return b""
