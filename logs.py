"""How log lines look, as text for a person or as JSON lines for a program; on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from config import Config

# What a record may say beside its message, where it is known (web/request_ids.py gives it).
EXTRAS = ("request_id", "method", "route", "status", "milliseconds", "user_id")


def set_up(settings: Config, filters: Iterable[logging.Filter] = ()) -> None:
    """Let this process log as `log_format` says; each of `filters` sees every record.

    Only for a process that serves or works: a command tells a person what went wrong in a sentence.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    for one in filters:
        handler.addFilter(one)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class TextLines(logging.Formatter):
    """`time LEVEL logger request-id message`, then the traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(time)s %(levelname)s %(name)s %(request)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines."""
        record.time = _time_of(record)
        request_id = getattr(record, "request_id", None)
        record.request = f"{request_id} " if request_id else ""
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, EXTRAS where known, a traceback: `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        said = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: value for name in EXTRAS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
