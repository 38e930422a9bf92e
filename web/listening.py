"""The web processes: one socket, one gunicorn of many processes (waitress where gunicorn does not run)."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from serving import warmup
from web import answers, crowding
from web.crowding import CountingPool

try:
    from gunicorn.app.base import BaseApplication
    from gunicorn.glogging import Logger as BaseLogger
    from gunicorn.workers.gthread import ThreadWorker
except ImportError:  # Windows
    BaseApplication = BaseLogger = ThreadWorker = object
    import waitress

BACKLOG = 256
REQUEST_SECONDS = 120  # a process silent for longer is taken for dead; its threads may each take their time
REQUEST_LINE = 8_190  # characters: the thresholds of hundreds of labels are tried out by an address
POLITE_SECONDS, POLITE_CONNECTIONS = 0.00025, 16  # how long a process leaves a connection to the others
ENDING_SECONDS = 20  # what requests at work get to end in


class PortTaken(OSError):
    """The address cannot be listened on; the message says which and why."""


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on an address, so that a taken port is known before anything starts.

    Raises:
        PortTaken: another program listens there, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PortTaken(f"Cannot listen on {host}:{port}: {reason}. Choose another with --port.") from error


def describe_address(listener: socket.socket) -> str:
    """The URL that reaches the socket from this machine."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


class GunicornLogger(BaseLogger):
    """gunicorn's messages, as lines like all others."""

    def setup(self, cfg: Any) -> None:
        """Take the handlers away that gunicorn has just set up (it asks)."""
        super().setup(cfg)
        for handler in tuple(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True


class Worker(ThreadWorker):
    """One web process of gunicorn, which knows how many requests wait for its threads."""

    def get_thread_pool(self) -> CountingPool:
        """Return the threads that answer (it asks)."""
        return CountingPool(self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, the later the more there are already: whoever has fewer is faster (it asks).

        Clients that keep their connection would else all stay with the process that happened to be awake.
        """
        if self.cfg.workers > 1:
            time.sleep(POLITE_SECONDS * min(self.nr_conns, POLITE_CONNECTIONS))
        super().accept(listener)


class Gunicorn(BaseApplication):
    """gunicorn with our settings and an application that is made already, shared by every process."""

    def __init__(self, app: Flask, options: dict[str, Any]):
        self.app = app
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn (it asks)."""
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application (gunicorn asks)."""
        return self.app


def serve(app: Flask, listener: socket.socket, processes: int, threads: int) -> None:
    """Answer requests until a signal ends this process."""
    if BaseApplication is object:
        waitress.serve(app, sockets=[listener], threads=threads * processes)
        return
    options = {
        "bind": f"fd://{listener.fileno()}",
        "workers": processes,
        "threads": threads,
        "worker_class": Worker,
        "forwarded_allow_ips": "",  # what proxies say is the setting `proxies`'s; SCRIPT_NAME is nobody's
        "preload_app": True,
        "limit_request_line": REQUEST_LINE,
        "timeout": REQUEST_SECONDS,
        "graceful_timeout": ENDING_SECONDS,
        "control_socket_disable": True,
        "pre_request": _let_go_when_crowded,
        "post_worker_init": lambda worker: _begin(app, worker),
        "loglevel": "warning",
        "logger_class": GunicornLogger,
    }
    Gunicorn(app, options).run()


def _let_go_when_crowded(worker: Worker, message: Any) -> None:
    """Close a connection after its answer while more wait than there are threads: others may be free."""
    message.must_close = message.must_close or worker.tpool.waiting > worker.cfg.threads


def _begin(app: Flask, worker: Worker) -> None:
    """Load what answers before the first request, and what goes live later, in each process for itself."""
    crowding.watch(app, worker.tpool)
    threading.Thread(target=warmup.keep_warm, args=(app, _warm_up(app)), name="warm", daemon=True).start()


def _warm_up(app: Flask) -> int | None:
    try:
        with app.app_context():
            seen = warmup.warm_what_is_new()
            answers.rehearse()
            return seen
    except SQLAlchemyError as error:  # it answers all the same, and /readyz says what is wrong
        app.logger.warning("Not warmed up: %s", error)
        return None
