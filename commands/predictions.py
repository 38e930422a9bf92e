"""What images show."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from commands import OpenApp, wanted
from datasets import finding
from models import db
from serving import batches, telling


@click.command()
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
@click.pass_obj
def predict(
    open_app: OpenApp,
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
    with nullcontext() if package else open_app().app_context():
        answerer = batches.by_package(package) if package else _find_answerer(dataset, number)
        told = telling.answer(wish, answerer, images)
    if wish.as_json:
        click.echo(json.dumps(told))
    if told["refused"]:
        raise click.ClickException(f"{told['refused']:,} of {len(images):,} images could not be answered.")


def _find_answerer(name: str, number: int | None) -> batches.Answerer:
    answerer = batches.by_version(wanted.get_version(name, number))
    db.session.rollback()  # nobody waits while images are answered
    return answerer
