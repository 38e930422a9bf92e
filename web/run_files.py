"""What a run gives as files: for its page and for the API."""

from __future__ import annotations

from flask import Response, abort

from jobs import runs, training
from learning import settings_text
from models import Run


def settings_file(run: Run) -> Response:
    """Return the run's settings as a YAML file with which `training.py --config` repeats it.

    Aborts with 409 where the run's folder is missing or damaged.
    """
    try:
        settings = runs.read_settings(training.folder_of(run))
    except (OSError, ValueError):
        abort(409, "This run's folder is missing or damaged. Restore a backup.")
    answer = Response(settings_text.write_yaml(settings), mimetype="application/yaml")
    answer.headers["Content-Disposition"] = 'attachment; filename="run.yaml"'
    return answer
