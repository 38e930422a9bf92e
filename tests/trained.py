"""A version trained for real on tiny made-up images, which tests install into their own instance."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from learning.package import read_spec, write_spec
from models import Dataset, Run, Version, db
from utils import ORIENTATION_TAG, generate_random_name

ROOT = Path(__file__).parents[1]
COLOURS = {"blue": (40, 70, 200), "green": (50, 160, 60), "red": (200, 50, 40)}


@dataclass(frozen=True)
class Trained:
    """Where a package and the backbones it needs lie."""

    package: Path
    backbones: Path

    def as_network(self, folder: Path) -> Trained:
        """The same version as a package that answers with its whole network and has no head."""
        found = self._copied(folder, answers_with="network", backbone=None)
        (found.package / "head.npz").unlink()
        return found

    def as_tags(self, folder: Path) -> Trained:
        """The same network as a multi-label version: “blue” is said readily, “red” hardly ever."""
        limits = {"blue": 0.2, "green": 0.5, "red": 0.999}
        calibration = {"scales": [8.0] * 3, "offsets": [-4.0] * 3, "thresholds": list(limits.values())}
        block = {"items": 3, "micro_f1": 0.9, "interval": [0.8, 1.0]}
        score = {"name": "micro_f1", "value": 0.9, "interval": [0.8, 1.0], "by": "leave_one_out"}
        metrics = {"task": "multi-label", "score": score, "leave_one_out": block, "test": None}
        return self._copied(folder, task="multi-label", metrics=metrics, rejection=None, **calibration)

    def _copied(self, folder: Path, **changes) -> Trained:
        package = Path(shutil.copytree(self.package, folder))
        write_spec(package, read_spec(package) | changes)
        return Trained(package, self.backbones)

    def install(self, app, dataset: Dataset, is_live: bool = True) -> Version:
        """Give `dataset` this package as its next version, as the worker would."""
        settings = app.config["PIGEONHOLE"]
        run = Run(
            dataset=dataset, folder=generate_random_name(), recipe="quick", backbone="efficientnet-lite0"
        )
        shutil.copytree(self.package, settings.folder("runs") / run.folder / "package")
        for file in self.backbones.glob("efficientnet*.json"):
            shutil.copy(file, settings.folder("backbones"))
        for file in self.backbones.glob("*.tflite"):
            link = settings.folder("backbones") / file.name
            if not link.exists():
                link.hardlink_to(file)
        spec = json.loads((self.package / "package.json").read_text())
        number = db.session.query(Version).filter_by(dataset_id=dataset.id).count() + 1
        version = Version(dataset=dataset, run=run, number=number, labels=spec["labels"])
        version.metrics, version.proven = spec["metrics"], spec["proven"]
        db.session.add(version)
        if is_live:
            dataset.live_version = number
        db.session.commit()
        return version


def make_photo(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Draw a disc of `colour` on a noisy grey ground, somewhere else for every seed."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(90, 170, (size[1], size[0], 3), dtype=np.uint8))
    x, y = random.integers(20, size[0] // 2), random.integers(20, size[1] // 2)
    ImageDraw.Draw(image).ellipse((x, y, x + size[0] // 3, y + size[0] // 3), fill=colour)
    return image


def as_bytes(image: Image.Image, kind: str = "JPEG", orientation: int = 1, **options) -> bytes:
    """Return the image as a file's bytes, with an EXIF orientation where it is not 1."""
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION_TAG] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_images(folder: Path, count: int = 8) -> Path:
    """Write `count` images of each colour into a folder named after it; return `folder`."""
    for place, (label, colour) in enumerate(COLOURS.items()):
        (folder / label).mkdir(parents=True)
        for index in range(count):
            make_photo(colour, 100 * place + index).save(folder / label / f"{index}.jpg", quality=90)
    return folder


def train(folder: Path) -> Trained:
    """Train the quick recipe on made-up images in the trainer's own process, once in `folder`."""
    instance, out = folder / "instance", folder / "package"
    if out.exists():
        return Trained(out, instance / "backbones")
    command = [sys.executable, "training.py", "--dataset", str(make_images(folder / "colours"))]
    environment = {**os.environ, "PIGEONHOLE_INSTANCE": str(instance)}
    subprocess.run(
        [*command, "--out", str(out), "--json"], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    return Trained(out, instance / "backbones")
