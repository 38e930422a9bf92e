"""How numbers and moments are written on pages."""

from __future__ import annotations

from datetime import datetime

from flask import Flask


def register(app: Flask) -> None:
    """Let the templates of `app` use these as filters."""
    app.jinja_env.filters.update(day=day, moment=moment, count=count, file_size=file_size, percent=percent)


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
