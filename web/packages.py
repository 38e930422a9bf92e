"""A version taken away: its package as a zip, or one proven file of it. For its page and for the API."""

from __future__ import annotations

from flask import Response, abort, send_file
from werkzeug.wrappers import Response as AnyResponse

from jobs import training
from models import Dataset, Version
from web.zips import stream_folder

# What a package offers beside itself, once proven: format -> file and the runtime that proves it
FORMATS = {"tflite": ("model.tflite", "LiteRT"), "keras": ("model.keras", "Keras")}
WHOLE = "package"


def list_formats(version: Version) -> dict[str, str]:
    """Return the formats whose file gave the golden probabilities in its own runtime, with its name."""
    offered = set(version.proven or []) - set(version.failing or [])
    if version.fault and not version.failing:
        return {}  # the package itself can't be trusted
    return {name: runtime for name, (_, runtime) in FORMATS.items() if runtime.lower() in offered}


def send(dataset: Dataset, version: Version, wanted: str = WHOLE) -> AnyResponse:
    """Answer with the package as a zip (`wanted` is "package"), or with one file of it.

    Aborts with 400 at an unknown format, and with 409 where the file is not proven, missing or damaged.
    """
    folder, name = training.package_folder(version), f"{dataset.slug}-{version.number}"
    if not (folder / "package.json").exists():
        abort(409, "The files of this version are missing or damaged. Train again, or restore a backup.")
    if version.fault and wanted not in list_formats(version):
        abort(409, f"This is not offered. {version.fault}")
    if wanted == WHOLE:
        response = Response(stream_folder(folder, name), mimetype="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
        return response
    if wanted not in FORMATS:
        abort(400, f"format is {WHOLE}, {' or '.join(FORMATS)}.")
    if wanted not in list_formats(version):
        abort(409, "This file is not proven yet. Wait until the run has ended, or take the whole package.")
    path = folder / FORMATS[wanted][0]
    if not path.exists():
        abort(409, "This file is missing. Train again, or restore a backup.")
    return send_file(
        path, mimetype="application/octet-stream", as_attachment=True, download_name=f"{name}{path.suffix}"
    )
