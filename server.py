"""The web side: `create_app()`, and its command line."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

import config
import logs
import web
from datasets import datasets, editing, finding, intake, names, relabelling
from datasets.label_lists import LabelListRefused
from datasets.labelling import WAYS, SentList
from jobs import backup, database, doctor, imports, leftovers, local, sandbox, supervisor, training
from learning.package import PackageDamaged
from models import TASKS, Dataset, Import, ImportFile, Job, User, Version, db, now, prepare_engine
from serving import batches, classifier, heatmaps, tables, telling
from web import auth, invitations, listening, measures, request_ids, tokens
from web.oauth import metadata

# What a command refuses with a sentence for a person.
REFUSALS = (
    *(config.BadSetting, database.DataRefused, listening.PortTaken, backup.BackupRefused),
    *(auth.PasswordRefused, auth.UserNameRefused, names.NameRefused),
    *(PackageDamaged, classifier.VersionUnusable, tables.TableRefused, heatmaps.NotSaved),
    *(LabelListRefused, editing.ChangeRefused),
)

try:  # SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log; the bundled one is fixed
    import pysqlite3 as sqlite_module
except ImportError:
    import sqlite3 as sqlite_module


def create_app(settings: config.Config | None = None) -> Flask:
    """Make the web application of an instance; `settings` are those of this process unless given."""
    settings = settings or config.current()
    app = Flask(__name__)
    app.config.update(
        PIGEONHOLE=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_address,
        SQLALCHEMY_ENGINE_OPTIONS=_engine_options(settings),
    )
    db.init_app(app)
    Migrate(app, db, directory=str(Path(__file__).parent / "migrations"), render_as_batch=True)
    with app.app_context():
        prepare_engine(db.engine)
    web.register(app)
    return app


def _engine_options(settings: config.Config) -> dict:
    is_sqlite = settings.database_address.startswith("sqlite")
    kind = {"module": sqlite_module} if is_sqlite else {"pool_pre_ping": True}
    return {**kind, "hide_parameters": True}  # what a row holds has no place in a log


@click.group(invoke_without_command=True)
@click.pass_context
def commands(context: click.Context) -> None:
    """Pigeonhole: teaches your own images to sort themselves. Without a command: run."""
    if context.invoked_subcommand is None:
        context.invoke(run)


@commands.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 for every one of this machine.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 for any free one.")
@click.option("--no-worker", is_flag=True, help="Serve only; a worker runs elsewhere.")
def run(host: str | None = None, port: int | None = None, no_worker: bool = False) -> None:
    """Serve, with one worker beside it."""
    settings = config.current()
    logs.set_up(settings, [request_ids.OfRequest()])
    app = _open()
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
    sys.exit(supervisor.run_web(serve, not no_worker, _end_by_signal()))


def _open() -> Flask:
    """Make the application, its database brought up to date."""
    app = create_app()
    database.prepare(app)
    return app


def _end_by_signal() -> threading.Event:
    """An event that SIGTERM or Ctrl-C sets."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


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


@commands.command()
def worker() -> None:
    """Work on the queue: imports, embeddings and training runs."""
    logs.set_up(config.current())
    local.be_nice()
    local.work(_open(), _end_by_signal())


@commands.command("create-user")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything, on every dataset.")
def create_user(name: str, admin: bool) -> None:
    """Make a user; the password comes from PIGEONHOLE_PASSWORD, or is asked."""
    name = auth.clean_user_name(name)
    with _open().app_context():
        if auth.find_user(name):
            raise click.ClickException(f"There is a user {name} already.")
        db.session.rollback()  # asking and hashing take long, and nobody waits for them
        password = os.environ.get("PIGEONHOLE_PASSWORD")
        password = password or click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        user = User(name=name, password_hash=auth.hash_password(password), is_admin=admin)
        db.session.add(user)
        db.session.commit()
        click.echo(f"Made the user {user.name}.")


@commands.command()
@click.argument("name")
@click.option("--scopes", default="read write train predict", help="What the token may do.")
def token(name: str, scopes: str) -> None:
    """Print a new personal token of a user, and nothing else."""
    with _open().app_context() as context:
        user = auth.find_user(name)
        if user is None:
            raise click.ClickException(f"There is no user {name}.")
        days = context.app.config["PIGEONHOLE"].token_days
        try:
            _, text = tokens.make_token(user, "command line", scopes.split(), now() + timedelta(days=days))
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        db.session.commit()
        click.echo(text)


@commands.command("import")
@click.argument("dataset")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--task", type=click.Choice(TASKS), default=TASKS[0], help="Of a dataset that is made now.")
@click.option("--label", help="One label for everything; else each folder's name is its images' label.")
@click.option(
    "--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV of labels."
)
@click.option("--file-column", default="", help="The CSV's column of file names, by its heading.")
@click.option("--label-column", multiple=True, help="A column of labels; may be given several times.")
@click.option("--min-items", type=click.IntRange(0), default=0, help="Leave out labels with fewer images.")
@click.option("--labels-from", type=click.Choice(WAYS), default=WAYS[0], help="folders: mind no CSV inside.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def import_files(
    dataset: str, path: Path, task: str, label: str | None, labels: Path | None, as_json: bool, **choices: Any
) -> None:
    """Bring a folder, a zip or a CSV beside its images into DATASET, made if missing; print the report."""
    if path.is_file() and path.suffix.lower() == ".csv":
        path, labels = path.resolve().parent, path
    app = _open()
    with app.app_context():
        kind = "folder" if path.is_dir() else "zip"
        target = _find_dataset(dataset) or datasets.create(dataset, _first_admin(), task)
        options = _as_options(labels, **choices)
        started = imports.start_import(target, None, kind, path.name, path.resolve(), label, options)
        db.session.commit()
        import_id, job_id = started.id, started.job_id
    local.see_through(app, job_id, _end_by_signal(), _show_progress)
    with app.app_context():
        done = db.session.get(Import, import_id)
        if done is None:
            raise click.ClickException("The dataset was deleted before everything was in.")
        _report_import(done, as_json)


@commands.command("label")
@click.argument("dataset")
@click.argument("path", metavar="CSV", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--file-column", default="", help="The CSV's column of file names, by its heading.")
@click.option("--label-column", multiple=True, help="A column of labels; may be given several times.")
def label_items(dataset: str, path: Path, file_column: str, label_column: tuple[str, ...]) -> None:
    """Label the images that are in DATASET already, by a CSV that names them as they were sent."""
    with _open().app_context():
        target = _get_dataset(dataset)
        choices = intake.choices_of(target, None, _as_options(None, label_column, file_column=file_column))
        known, number = relabelling.read_names(target), target.id
        db.session.rollback()  # the web goes on while the list is read
        found = relabelling.match(known, choices, SentList(path.name, path.read_bytes()))
        target = db.session.get(Dataset, number)
        editing.hold(target)
        change = relabelling.apply(target, found, None, path.name)
        db.session.commit()
        for line in (*(f"{one.name}: {one.message}" for one in found.left_out), *found.notes):
            click.echo(line, err=True)
        click.echo(change.summary)


def _as_options(labels: Path | None, label_column: tuple[str, ...], **others: Any) -> dict[str, Any]:
    """Return the choices of a command line as `Import.options` has them."""
    options = {**others, "label_columns": list(label_column)}
    if labels:
        options |= {"list": str(labels.resolve()), "list_name": labels.name}
    return {name: value for name, value in options.items() if value}


def _show_progress(job: Job) -> None:
    if job.total:
        click.echo(f"\r{job.done:,} of {job.total:,}", nl=False, err=True)


def _report_import(import_: Import, as_json: bool) -> None:
    click.echo(err=True)
    refused = select(ImportFile).filter_by(import_id=import_.id, outcome="refused")
    for file in db.session.scalars(refused):
        click.echo(f"{file.sent_name}: {file.message}", err=True)
    for note in import_.notes:
        click.echo(note, err=True)
    figures = {name: getattr(import_, name) for name in ("added", "skipped", "refused")}
    click.echo(", ".join(f"{count:,} {name}" for name, count in figures.items()))
    if as_json:
        state = import_.job.state
        click.echo(
            json.dumps({"dataset": import_.dataset.slug, "state": state, **figures, "notes": import_.notes})
        )
    if import_.job.state != "finished":
        raise click.ClickException(import_.job.message or "The import was stopped.")


def _find_dataset(name: str) -> Dataset | None:
    return db.session.scalar(select(Dataset).where((Dataset.slug == name) | (Dataset.name == name)))


def _first_admin() -> User | None:
    return db.session.scalar(select(User).filter_by(is_admin=True).order_by(User.id).limit(1))


@commands.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--package", type=click.Path(path_type=Path), help="A package's folder; needs no database.")
@click.option("--dataset", help="A dataset of this instance: its live version answers.")
@click.option("--version", "number", type=click.IntRange(1), help="Another version of the dataset.")
@click.option("--column", default="", help="A CSV's column of paths, by its heading.")
@click.option("--csv", "table", type=click.Path(dir_okay=False, path_type=Path), help="Fill this table.")
@click.option("--fresh", is_flag=True, help="Begin the table anew instead of going on with it.")
@click.option("--top", type=click.IntRange(1), help="Only the likeliest labels, so many.")
@click.option("--explain", is_flag=True, help="Say why: what mattered, and the taught images most like it.")
@click.option("--heatmap", type=click.Path(dir_okay=False, path_type=Path), help="Paint why into this PNG.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def predict(
    paths: tuple[Path, ...],
    package: Path | None,
    dataset: str | None,
    number: int | None,
    column: str,
    **how: Any,
) -> None:
    """Say what images show: files, folders, or CSVs with a column of paths.

    The same call goes on with a table where it was interrupted.
    """
    if (package is None) == (dataset is None):
        raise click.UsageError("Give either --package or --dataset.")
    if number and package:
        raise click.UsageError("--version is of a dataset; a package is one version.")
    wish = telling.Wish(**how)
    if wish.fault:
        raise click.UsageError(wish.fault)
    found = finding.find_images(paths, column)
    if not found:
        raise click.ClickException("There is no image there. JPEG, PNG, WebP, GIF and BMP are taken.")
    if wish.heatmap and len(found) > 1:
        raise click.UsageError("--heatmap is of one image.")
    images = [batches.ImageFile(name, path.read_bytes) for name, path in found.items()]
    with nullcontext() if package else _open().app_context():
        answerer = batches.by_package(package) if package else _find_answerer(dataset, number)
        told = telling.answer(wish, answerer, images)
    if wish.as_json:
        click.echo(json.dumps(told))
    if told["refused"]:
        raise click.ClickException(f"{told['refused']:,} of {len(images):,} images could not be answered.")


def _find_answerer(name: str, number: int | None) -> batches.Answerer:
    answerer = batches.by_version(_find_version(name, number))
    db.session.rollback()  # nobody waits while images are answered
    return answerer


def _get_dataset(name: str) -> Dataset:
    dataset = _find_dataset(name)
    if dataset is None:
        raise click.ClickException(f"There is no dataset {name}.")
    return dataset


def _find_version(name: str, number: int | None) -> Version:
    """Return the dataset's version of that number, or the live one."""
    dataset = _get_dataset(name)
    version = training.find_version(dataset, number or dataset.live_version)
    if version is None and number:
        raise click.ClickException(f"{dataset.name} has no version {number}.")
    if version is None:
        raise click.ClickException(f"{dataset.name} has no version yet. Train it first.")
    return version


@commands.command("doctor")
@click.option("--keras/--no-keras", default=None, help="Ask Keras too; unless told, of few versions.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
def examine(keras: bool | None, as_json: bool) -> None:
    """Check database, images, versions and disk; exit status 1 where there is a problem."""
    findings = []
    with _open().app_context():
        for finding in doctor.check(keras):
            findings.append(finding)
            click.echo(f"{finding.level}: {finding.message}", err=as_json)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    if any(finding.level == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


@commands.command("sweep")
def sweep_leftovers() -> None:
    """Delete what is past its keeping and what nothing refers to."""
    with _open().app_context():
        count = leftovers.sweep()
    click.echo(f"Deleted {count:,} rows, files and folders.")


@commands.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def save_backup(file: Path) -> None:
    """Save database, images, runs and keys to one zip, while everything goes on."""
    with _open().app_context():
        count = backup.save(file)
    click.echo(f"Saved {count:,} files to {file} ({file.stat().st_size / 1e6:,.1f} MB).")


@commands.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Bring a backup back into an empty instance folder."""
    instance = config.current().instance
    count = backup.restore(file, instance)
    _open()
    click.echo(f"Restored {count:,} files into {instance}.")


def main() -> None:
    """Run a command; what it refuses becomes one sentence and exit status 1."""
    try:
        commands()
    except REFUSALS as refused:
        sys.exit(f"Error: {refused}")
    except DBAPIError as error:
        sys.exit(f"Error: the database does not answer: {error.orig}.")


if __name__ == "__main__":
    main()
