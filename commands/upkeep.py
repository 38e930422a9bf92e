"""What keeps an instance well: looking, sweeping, saving and bringing back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

import config
from commands import OpenApp
from jobs import backup, doctor, leftovers


@click.command("doctor")
@click.option("--keras/--no-keras", default=None, help="Ask Keras too; unless told, of few versions.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.pass_obj
def examine(open_app: OpenApp, keras: bool | None, as_json: bool) -> None:
    """Check database, images, versions and disk; exit status 1 where there is a problem."""
    findings = []
    with open_app().app_context():
        for finding in doctor.check(keras):
            findings.append(finding)
            click.echo(f"{finding.level}: {finding.message}", err=as_json)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    if any(finding.level == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


@click.command("sweep")
@click.pass_obj
def sweep_leftovers(open_app: OpenApp) -> None:
    """Delete what is past its keeping and what nothing refers to."""
    with open_app().app_context():
        count = leftovers.sweep()
    click.echo(f"Deleted {count:,} rows, files and folders.")


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def save_backup(open_app: OpenApp, file: Path) -> None:
    """Save database, images, runs and keys to one zip, while everything goes on."""
    with open_app().app_context():
        count = backup.save(file)
    click.echo(f"Saved {count:,} files to {file} ({file.stat().st_size / 1e6:,.1f} MB).")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def restore(open_app: OpenApp, file: Path) -> None:
    """Bring a backup back into an empty instance folder."""
    instance = config.current().instance
    count = backup.restore(file, instance)
    open_app()
    click.echo(f"Restored {count:,} files into {instance}.")
