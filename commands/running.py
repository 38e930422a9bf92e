"""The programs that go on until they are ended: the web side and the worker."""

from __future__ import annotations

import sys
from functools import partial

import click
from flask import Flask

import config
import logs
from commands import OpenApp
from jobs import database, local, sandbox, supervisor
from models import db
from web import invitations, listening, measures, request_ids
from web.oauth import metadata


@click.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 for every one of this machine.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 for any free one.")
@click.option("--no-worker", is_flag=True, help="Serve only; a worker runs elsewhere.")
@click.pass_obj
def run(open_app: OpenApp, host: str | None = None, port: int | None = None, no_worker: bool = False) -> None:
    """Serve, with one worker beside it."""
    settings = config.current()
    logs.set_up(settings, [request_ids.OfRequest()])
    app = open_app()
    port = settings.port if port is None else port
    listener = listening.open_socket(host or settings.host, port)
    address = listening.describe_address(listener)
    measures.clear(settings)
    click.echo(f"Pigeonhole answers at {address} (Ctrl-C ends it).")
    _print_setup_link(app, address)
    if settings.own_code:
        click.echo(sandbox.describe())
    metadata.warn_of_passwords(settings)
    processes = settings.web_processes or supervisor.count_cores()
    serve = partial(listening.serve, app, listener, processes, settings.web_threads)
    sys.exit(supervisor.run_web(serve, not no_worker, supervisor.end_by_signal()))


def _print_setup_link(app: Flask, address: str) -> None:
    """Print a fresh one-time link to make the first administrator, while there is no user; warn of SQLite."""
    hours = app.config["PIGEONHOLE"].setup_link_hours
    with app.app_context():
        if risk := database.describe_sqlite_risk():
            click.echo(risk, err=True)
        link = invitations.make_setup_link()
        db.session.commit()
        if link:
            click.echo(f"Set it up within {hours} hours: {address}{link}")
        db.session.remove()
        db.engine.dispose()  # nothing open may be inherited by a forked process


@click.command()
@click.pass_obj
def worker(open_app: OpenApp) -> None:
    """Work on the queue: imports, embeddings and training runs."""
    logs.set_up(config.current())
    local.be_nice()
    local.work(open_app(), supervisor.end_by_signal())
