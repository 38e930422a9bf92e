"""The command line of `server.py`, a module a noun; a command is given what opens the application."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

OpenApp = Callable[[], Flask]  # gives the application, its database brought up to date
