"""Images and their labels, brought into a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from commands import OpenApp, wanted
from datasets import datasets, editing, intake, relabelling
from datasets.labelling import WAYS, SentList
from jobs import imports, local, supervisor
from models import TASKS, Dataset, Import, ImportFile, Job, User, db


@click.command("import")
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
@click.pass_obj
def import_files(
    open_app: OpenApp,
    dataset: str,
    path: Path,
    task: str,
    label: str | None,
    labels: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Bring a folder, a zip or a CSV beside its images into DATASET, made if missing; print the report."""
    if path.is_file() and path.suffix.lower() == ".csv":
        path, labels = path.resolve().parent, path
    app = open_app()
    with app.app_context():
        kind = "folder" if path.is_dir() else "zip"
        target = wanted.find_dataset(dataset) or datasets.create(dataset, _first_admin(), task)
        options = _as_options(labels, **choices)
        started = imports.start_import(target, None, kind, path.name, path.resolve(), label, options)
        db.session.commit()
        import_id, job_id = started.id, started.job_id
    local.see_through(app, job_id, supervisor.end_by_signal(), _show_progress)
    with app.app_context():
        done = db.session.get(Import, import_id)
        if done is None:
            raise click.ClickException("The dataset was deleted before everything was in.")
        _report_import(done, as_json)


@click.command("label")
@click.argument("dataset")
@click.argument("path", metavar="CSV", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--file-column", default="", help="The CSV's column of file names, by its heading.")
@click.option("--label-column", multiple=True, help="A column of labels; may be given several times.")
@click.pass_obj
def label_items(
    open_app: OpenApp, dataset: str, path: Path, file_column: str, label_column: tuple[str, ...]
) -> None:
    """Label the images that are in DATASET already, by a CSV that names them as they were sent."""
    with open_app().app_context():
        target = wanted.get_dataset(dataset)
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


def _first_admin() -> User | None:
    return db.session.scalar(select(User).filter_by(is_admin=True).order_by(User.id).limit(1))
