"""Many image files answered one after the other, for the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from learning.package import NetworkClassifier, NoAnswer, put_in_order
from models import Version
from serving.prediction import Answer, predict
from utils import ImageRefused, center_crop, is_allowed_file, open_image

Pairs = tuple[tuple[str, float], ...]  # (label, probability), highest first
Said = tuple[tuple[str, ...], Pairs]  # the labels that are said, likeliest first, and all pairs
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class FileAnswer:
    """What was said of one file: the labels, and pairs of label and probability; or why it was refused."""

    path: Path
    labels: tuple[str, ...] = ()
    pairs: Pairs = ()
    refusal: str | None = None

    def as_json(self) -> dict:
        """The answer as one JSON object."""
        if self.refusal:
            return {"file": str(self.path), "error": self.refusal}
        pairs = [{"label": label, "probability": p} for label, p in self.pairs]
        label = self.labels[0] if self.labels else None
        return {"file": str(self.path), "label": label, "labels": list(self.labels), "probabilities": pairs}

    def as_line(self) -> str:
        """The answer as a line for a person."""
        if self.refusal:
            return f"{self.path}: {self.refusal}"
        known = dict(self.pairs)
        words = [f"{label} {100 * known[label]:.1f} %" for label in self.labels]
        return f"{self.path}: {', '.join(words) or 'none of the labels'}"


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """The files given, and in folders every file whose name says it is an image, sorted."""
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            yield from (file for file in inside if is_allowed_file(file.name))
        else:
            yield path


def by_package(folder: Path) -> Callable[[Path], Said]:
    """Return what answers a file from a package alone, without a database.

    Raises:
        PackageDamaged: the folder is not a whole package.
    """
    return partial(_ask_package, NetworkClassifier(folder))


def by_version(version: Version) -> Callable[[Path], Said]:
    """Return what answers a file from a version of this instance; nothing is stored."""
    return lambda path: _tell(predict(version, path.read_bytes()))


def _tell(answer: Answer) -> Said:
    return answer.labels, answer.probabilities


def answer_all(paths: Iterable[Path], ask: Callable[[Path], Said]) -> Iterator[FileAnswer]:
    """Answer every file; one that cannot be read never stops the others."""
    for path in paths:
        try:
            yield FileAnswer(path, *ask(path))
        except (ImageRefused, NoAnswer) as refused:
            yield FileAnswer(path, refusal=str(refused))
        except OSError as error:
            yield FileAnswer(path, refusal=f"The file cannot be read ({error.strerror}).")


def write_csv(path: Path, answers: list[FileAnswer]) -> None:
    """Write a row for each file: its label, how probable it is, then every label's probability.

    Several labels stand in one cell with | between them, and the probability is that of the first.
    """
    labels = sorted({label for answer in answers for label, _ in answer.pairs})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "probability", "error", *map(_inert, labels)])
        for answer in answers:
            known = dict(answer.pairs)
            label, probability = "|".join(answer.labels), known.get(next(iter(answer.labels), None), "")
            figures = [known.get(name, "") for name in labels]
            writer.writerow(
                [_inert(str(answer.path)), _inert(label), probability, answer.refusal or "", *figures]
            )


def _ask_package(classifier: NetworkClassifier, path: Path) -> Said:
    pixels = center_crop(open_image(path), classifier.spec["input_size"])
    probabilities = classifier.probabilities(pixels)
    return put_in_order(classifier.spec["labels"], classifier.calibration, probabilities)


def _inert(value: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value
