"""One guarded HTTP request to an address that somebody gave us: to a checked IP address, and bounded."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from itertools import islice

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from datasets.names import make_inert
from jobs import addresses
from jobs.addresses import Address
from models import now

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MAX_WORDS = 500  # characters of an answer that are kept
MOST_TRIED = 3  # IP addresses of one name
_PIECE, _PIECES = 4096, 16  # bytes read at once, and how often: 64 KiB
_TROUBLE = (HTTPError, HTTPException, OSError, ValueError)


@dataclass(frozen=True)
class Answer:
    """What became of a request: the status where there was one, and words for the log."""

    status: int | None
    words: str
    retry_after: float | None = None  # seconds the other side asks us to wait

    @property
    def is_success(self) -> bool:
        """Whether the other side has taken it."""
        return self.status is not None and 200 <= self.status < 300


def post(
    address: Address,
    body: bytes,
    headers: dict[str, str],
    allow_private: bool = False,
    total_seconds: float = TOTAL_SECONDS,
) -> Answer:
    """Send a POST and return what was answered. No redirect is followed, no proxy used, no cookie kept.

    The name is looked up once, and the connection goes to one of the IP addresses found then. Certificates
    are checked against the system's authorities.

    Raises:
        AddressRefused: an address of the host is not public and `allow_private` is not given.
    """
    deadline = time.monotonic() + total_seconds
    try:
        found = addresses.resolve(address, allow_private, min(addresses.LOOK_UP_SECONDS, total_seconds))
        with _connected(address, found, deadline) as connection:
            sent = {**headers, "Host": address.place, "Connection": "close"}
            connection.request(
                "POST", address.target, body, sent, preload_content=False, decode_content=False
            )
            answer = connection.getresponse()
            return Answer(answer.status, _read_words(answer), _read_retry_after(answer))
    except addresses.AddressRefused:
        raise
    except _TROUBLE as error:
        return Answer(None, _explain(error, address, total_seconds, time.monotonic() >= deadline))


@contextmanager
def _connected(address: Address, found: list[str], deadline: float) -> Iterator[HTTPConnection]:
    """Connect to the first of the IP addresses that takes us; whatever happens, it ends at the deadline.

    A time-out of a socket begins anew with every byte that arrives, so the whole is ended from outside.
    """
    connection = _connect(address, found[:MOST_TRIED], deadline)
    taken = connection.sock
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [taken])
    timer.daemon = True
    timer.start()
    try:
        yield connection
    finally:
        timer.cancel()
        _cut(taken)
        connection.close()


def _connect(address: Address, found: list[str], deadline: float) -> HTTPConnection:
    trouble: Exception | None = None
    for place in found:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = _make(address, place, min(CONNECT_SECONDS, left))
        try:
            connection.connect()
        except _TROUBLE as error:
            connection.close()
            trouble = error
        else:
            connection.timeout = max(0.1, deadline - time.monotonic())
            return connection
    raise trouble or TimeoutError("There was no time left to connect.")


def _make(address: Address, place: str, timeout_seconds: float) -> HTTPConnection:
    """Return a connection to the IP address `place` that checks the certificate for the host's name."""
    if address.scheme == "http":
        return HTTPConnection(place, address.port, timeout=timeout_seconds)
    return HTTPSConnection(
        place,
        address.port,
        timeout=timeout_seconds,
        ssl_context=ssl.create_default_context(),
        server_hostname=address.host,
    )


def _cut(taken: socket.socket) -> None:
    with suppress(OSError):  # it may be closed already
        socket.socket.shutdown(taken, socket.SHUT_RDWR)


def _read_words(answer: BaseHTTPResponse) -> str:
    """Read the beginning of an answer; where it breaks off, what there was: its status is said already."""
    content = b""
    with suppress(*_TROUBLE):
        for piece in islice(answer.stream(_PIECE, decode_content=False), _PIECES):
            content += piece
    return make_inert(" ".join(content.decode("utf-8", "replace").split()))[:MAX_WORDS]


def _read_retry_after(answer: BaseHTTPResponse) -> float | None:
    """Return the seconds of Retry-After, a number or a date (RFC 9110, 10.2.3); None where there is none."""
    text = (answer.headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())


def _explain(error: Exception, address: Address, total_seconds: float, is_late: bool) -> str:
    """Say for a person why there was no answer."""
    if isinstance(error, addresses.NameUnknown):
        return str(error)
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"{address.place} did not take the connection in time."
    if is_late or isinstance(error, TimeoutError):
        return f"There was no answer within {total_seconds:.0f} seconds."
    reason = _certificate_trouble(error)
    if reason:
        return make_inert(f"The certificate of {address.host} is not good: {reason}.")[:MAX_WORDS]
    what = "gave no proper answer" if isinstance(error, HTTPException) else "could not be reached"
    return make_inert(f"{address.place} {what}: {_innermost(error)}.")[:MAX_WORDS]


def _certificate_trouble(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _innermost(error: BaseException) -> str:
    """The system's own word for it, without the objects that libraries write around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
