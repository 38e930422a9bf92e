"""HTTP: pages for people, JSON for programs."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Give `app` its pages, its API, its error pages and its safety."""
