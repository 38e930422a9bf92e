"""How fast photos come in by zip, against decoding them and making thumbnails alone.

python -m benchmarks.intake [ZIP]    prints a table, and one JSON line last; without a zip it makes photos
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import config
import server
from datasets import datasets, intake
from datasets.storage import THUMBNAIL_SIZE
from models import Import, db
from utils import make_thumbnail, open_image

PHOTOS = 1000
ROUNDS = 3


def main() -> None:
    """Measure, print the table, print the JSON line."""
    parser = argparse.ArgumentParser(description="Speed of imports.")
    parser.add_argument("zip", nargs="?", type=Path, help="photos in class folders; made when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.zip or make_photos(Path(folder, "photos.zip"))
        figures = measure_import(path, Path(folder))
    for name, value in figures.items():
        print(f"{name:40} {value:>10.4g}")
    print(json.dumps(figures))


def make_photos(path: Path) -> Path:
    """Write 1,000 different 640 × 480 JPEGs in ten class folders."""
    random = np.random.default_rng(1)
    with zipfile.ZipFile(path, "w") as file:
        for number in range(PHOTOS):
            coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG")
            file.writestr(f"label-{number % 10}/{number:04}.jpg", buffer.getvalue())
    return path


def measure_import(path: Path, folder: Path) -> dict[str, float]:
    """Import and decode in turns, and compare the medians."""
    with zipfile.ZipFile(path) as file:
        contents = [file.read(name) for name in file.namelist() if not name.endswith("/")]
    decoding, importing = [], []
    for number in range(ROUNDS):
        decoding.append(_time(lambda: _decode(contents)))
        importing.append(_time_import(path, folder / f"import-{number}"))
    return {
        "photos": len(contents),
        "cores": os.cpu_count(),
        "decode_photos_per_second": len(contents) / statistics.median(decoding),
        "import_photos_per_second": len(contents) / statistics.median(importing),
        "import_to_decode": statistics.median(decoding) / statistics.median(importing),
    }


def _time(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _decode(contents: list[bytes]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda content: make_thumbnail(open_image(content), THUMBNAIL_SIZE), contents))


def _time_import(path: Path, instance: Path) -> float:
    with _fresh_application(instance):
        dataset = datasets.create("Photos", None)
        import_ = Import(dataset_id=dataset.id, kind="zip", upload=str(path))
        db.session.add(import_)
        db.session.commit()
        return _time(lambda: [db.session.commit() for _ in intake.work_through(import_)])


def _fresh_application(instance: Path):
    app = server.create_app(config.load(instance))
    context = app.app_context()
    context.push()
    db.create_all()
    context.pop()
    return app.app_context()


if __name__ == "__main__":
    main()
