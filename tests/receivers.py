"""Receivers of webhooks: real servers on this machine that answer as they are told and keep what they got."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """What a receiver got, and what it answers: the next of `answers`, or 204 once they are used up."""

    address: str = ""
    answers: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)  # as `say` gives them
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)  # (path, headers, body)
    pause: threading.Event | None = None  # what it waits for before it answers
    has_got: threading.Event = field(default_factory=threading.Event)


def say(status: int, text: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """One answer; a header's name is written with _ for -."""
    return status, text, {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def receiver(host: str = "127.0.0.1", port: int = 0, wrap=None) -> Iterator[Receiver]:
    """A receiver that listens until the end of the block; `wrap` makes its socket one of TLS."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            kept.has_got.set()
            if kept.pause:
                kept.pause.wait(60)
            status, text, headers = kept.answers.pop(0) if kept.answers else say(204)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words):
            """Say nothing."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *words: None  # who asked may hang up before the answer's end
    if wrap:
        server.socket = wrap(server.socket)
    kept.address = f"{'https' if wrap else 'http'}://{host}:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield kept
    finally:
        if kept.pause:
            kept.pause.set()
        server.shutdown()
        server.server_close()


@contextmanager
def raw_receiver(pieces, until: threading.Event) -> Iterator[str]:
    """Something that reads a request, sends `pieces` (bytes) as they come and waits for `until`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        with connection:
            received = b""
            while not received.endswith(b"{}"):
                received += connection.recv(65_536)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                until.wait(60)
            except OSError:
                return  # hung up on, as it should be

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    until.set()
    thread.join()
    listener.close()
