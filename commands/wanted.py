"""The dataset and the version that a command line names."""

from __future__ import annotations

import click
from sqlalchemy import select

from jobs import training
from models import Dataset, Version, db


def find_dataset(name: str) -> Dataset | None:
    return db.session.scalar(select(Dataset).where((Dataset.slug == name) | (Dataset.name == name)))


def get_dataset(name: str) -> Dataset:
    dataset = find_dataset(name)
    if dataset is None:
        raise click.ClickException(f"There is no dataset {name}.")
    return dataset


def get_version(name: str, number: int | None) -> Version:
    """Return the dataset's version of that number, or the live one."""
    dataset = get_dataset(name)
    version = training.find_version(dataset, number or dataset.live_version)
    if version is None and number:
        raise click.ClickException(f"{dataset.name} has no version {number}.")
    if version is None:
        raise click.ClickException(f"{dataset.name} has no version yet. Train it first.")
    return version
