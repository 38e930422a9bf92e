"""A load generator that costs little: keep-alive sockets, requests made beforehand, a thread a connection."""

from __future__ import annotations

import math
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Load:
    """What came back: answers a second, the median time of one in milliseconds, and how many were not 200."""

    rate: float
    median_milliseconds: float
    failures: int


class Connection:
    """One connection that sends the same bytes again and again, kept alive where the server keeps it."""

    def __init__(self, address: str, request: bytes):
        parts = urlsplit(address)
        self._place = (parts.hostname, parts.port)
        self._request = request
        self._socket: socket.socket | None = None
        self.head = b""  # of the last answer, in lower case

    def ask(self) -> int:
        """Send the request, read the whole answer, return its status."""
        if self._socket is None:
            self._socket = socket.create_connection(self._place, timeout=TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(self._request)
        answer = self._socket.recv(65_536)
        while b"\r\n\r\n" not in answer:
            answer += self._read()
        head, _, body = answer.partition(b"\r\n\r\n")
        self.head = lower = head.lower()
        missing = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
        while missing > 0:
            missing -= len(self._read())
        if b"connection: close" in lower:
            self.close()
        return int(head.split(b" ", 2)[1])

    def _read(self) -> bytes:
        block = self._socket.recv(65_536)
        if not block:
            raise ConnectionError("The server has closed the connection.")
        return block

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


@dataclass(frozen=True)
class Answered:
    """One answer: how long it took, its status (0: there was none), whether it says when to come back."""

    seconds: float
    status: int
    has_retry_after: bool


def send(
    address: str, request: bytes, concurrency: int, count: int = sys.maxsize, seconds: float = math.inf
) -> Iterator[Answered]:
    """Send `request` `count` times or for `seconds`, over some connections; yield what comes back."""
    answers: SimpleQueue[Answered | None] = SimpleQueue()
    turns = iter(range(count))  # next() of a range is atomic
    end = time.perf_counter() + seconds

    def ask_while_some_are_left() -> None:
        connection = Connection(address, request)
        for _ in turns:
            start = time.perf_counter()
            if start > end:
                break
            status = _ask(connection)
            has_retry_after = b"\r\nretry-after:" in connection.head
            answers.put(Answered(time.perf_counter() - start, status, has_retry_after))
        connection.close()
        answers.put(None)

    threads = [threading.Thread(target=ask_while_some_are_left) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for _ in threads:
        yield from iter(answers.get, None)
    for thread in threads:
        thread.join()


def _ask(connection: Connection) -> int:
    try:
        return connection.ask()
    except OSError:
        connection.close()
        return 0


def make_request(address: str, body: bytes, kind: str, token: str = "") -> bytes:
    """Return a POST of `body` with Content-Type `kind` as the bytes that go over the wire."""
    parts = urlsplit(address)
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{bearer}"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def make_form(image: bytes) -> tuple[bytes, str]:
    """Return a multipart form with the image in the field `image`, and its Content-Type."""
    lines = [
        "--b0undary",
        'Content-Disposition: form-data; name="image"; filename="photo.jpg"',
        "Content-Type: image/jpeg",
        "\r\n",
    ]
    body = "\r\n".join(lines).encode() + image + b"\r\n--b0undary--\r\n"
    return body, "multipart/form-data; boundary=b0undary"


def press(address: str, request: bytes, concurrency: int, seconds: float) -> Load:
    """Send `request` over `concurrency` connections for `seconds`, each as soon as its last was answered."""
    times: list[float] = []
    statuses: list[int] = []
    end = time.perf_counter() + seconds

    def ask_on_and_on() -> None:
        connection = Connection(address, request)
        while (start := time.perf_counter()) < end:
            statuses.append(connection.ask())
            times.append(time.perf_counter() - start)
        connection.close()

    threads = [threading.Thread(target=ask_on_and_on) for _ in range(concurrency)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    failures = sum(status != 200 for status in statuses)
    return Load((len(statuses) - failures) / elapsed, 1000 * statistics.median(times), failures)
