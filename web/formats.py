"""How numbers and moments are written on pages."""

from __future__ import annotations

from datetime import datetime

from flask import Flask

from models import Run


def register(app: Flask) -> None:
    """Let the templates of `app` use these as filters."""
    app.jinja_env.filters.update(day=day, moment=moment, count=count, file_size=file_size, percent=percent)
    app.jinja_env.filters.update(recipe_name=recipe_name, made_by=made_by)


def recipe_name(recipe: str) -> str:
    """Return what a recipe is called within a sentence, such as own code."""
    return {"custom": "own code", "uploaded": "own model"}.get(recipe, recipe)


def made_by(run: Run) -> str:
    """Return how a run makes its version, such as Quick on efficientnet-lite0, or Own model tm.zip."""
    name = recipe_name(run.recipe).capitalize()
    backbone = {"custom": "", "uploaded": f" {run.backbone}"}.get(run.recipe, f" on {run.backbone}")
    return f"{name}{backbone}"


def day(value: datetime) -> str:
    """Return a date, such as 3 May 2026."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime) -> str:
    """Return a date and time in UTC, such as 3 May 2026, 14:05 UTC."""
    return f"{day(value)}, {value:%H:%M} UTC"


def count(number: int, noun: str = "", plural: str = "") -> str:
    """Return a number with its noun, such as 1,204 images or 1 image."""
    word = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {word}" if noun else f"{number:,}"


def file_size(size: int) -> str:
    """Return a size in bytes for a person, such as 2.4 MB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return count(size, "byte")


def percent(share: float) -> str:
    """Return a share of 0 to 1 in per cent with one decimal, such as 93.6 %."""
    return f"{share * 100:.1f} %"
