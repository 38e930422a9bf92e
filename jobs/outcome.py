"""What came out of a sandbox: read as if its writer meant harm, and only then made the run's own.

Nothing is opened through a link, waited for, or read without a bound; figures are computed anew from the
predictions, names come from the run, and the network must give its golden answers to a process of ours that
knows no foreign code, in a sandbox too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jobs import runs, sandbox
from learning import calibration, evaluation, explaining, golden, proof, rejection
from learning.inputs import hash_dataset, make_targets
from learning.package import REJECTION_FILE, PackageDamaged, load_package, write_spec
from learning.pixels import describe_pixels
from utils import write_atomically

MIB = 1024**2
MOST_JSON = 512 * MIB
MOST_NETWORK = 512 * MIB
MOST_LAST_LAYER = 64 * MIB
MOST_WORDS = 2_000
CHECK_SECONDS = 300
ANSWER_MEMORY = 2 * 1024 * MIB  # of a process that answers with it, as each web process will
MAKING = ".package"
BY = ("validation", "test")
GOLDEN = [f"{index:02}.png" for index in range(16)]
FILES = {"package.json": MIB, "README.md": MIB, "model.tflite": MOST_NETWORK, "model.keras": MOST_NETWORK}
# Run inside: the package must answer, in LiteRT, as it says; what it says of the awkward images is written.
CHECK = """
import json, sys
from pathlib import Path
import numpy as np
from learning import explaining, golden
from learning.litert import NetworkClassifier
from learning.proof import TOLERANCE
folder, out = sys.argv[1:]
pixels, wanted = golden.read(folder)
classifier = NetworkClassifier(folder)
answers = np.stack([classifier.probabilities(square) for square in pixels])
classifier.answer(pixels[0])
last = explaining.read_last_layer(Path(folder), len(classifier.package.labels))
is_told = last is None or explaining.tells_answers(Path(folder), last, classifier.package.calibration)
if not (np.abs(answers - wanted).max() <= TOLERANCE and is_told):
    sys.exit(3)
said = [classifier.probabilities(square).tolist() for square in golden.crop_awkward(pixels.shape[1])]
open(out, "w").write(json.dumps(said))
"""


class NotBelieved(RuntimeError):
    """What came out of the sandbox is not what a trainer of ours writes; the message says what is wrong."""


def create(path: Path) -> None:
    """Make an empty file, unless anything of that name is there."""
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644))


def read(path: Path, most: int, start: int = 0) -> bytes | None:
    """Return up to `most` bytes from `start` of a plain file; None where there is none.

    Raises:
        NotBelieved: it is a link, a pipe or anything but a plain file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotBelieved(f"{path.name} can't be read: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotBelieved(f"{path.name} is not a plain file.")
        file.seek(start)
        return file.read(most)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that figures may hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15


def take_in(folder: Path, inside: Path) -> None:
    """Make what a trainer left `inside` the result of the run in `folder`. Nothing may live there any more.

    Raises:
        NotBelieved: it left no result, or one that is not as it must be.
    """
    result = _read_json(inside / "result.json", MOST_JSON)
    if not isinstance(result, dict):
        raise NotBelieved("The trainer ended before it was done. Its log may say why.")
    if result.get("state") in ("failed", "cancelled"):
        message = str(result.get("message") or "It failed without a word.")[:MOST_WORDS]
        return runs.write_result(folder, {"state": result["state"], "message": message})
    if result.get("state") != "finished":
        raise NotBelieved("result.json is not as a trainer writes it.")
    seconds = result.get("seconds")
    settings, labels = runs.read_settings(folder), runs.read_labels(folder)
    package = _take_package(folder, inside / "package", settings, labels)
    metrics = _take_evaluation(folder, inside, settings, labels, package)
    refused = _take_refused(folder, result.get("refused"))
    write_spec(folder / MAKING, package | {"metrics": metrics})
    try:
        load_package(folder / MAKING)
    except PackageDamaged as damaged:
        raise NotBelieved(str(damaged)) from damaged
    _keep_golden(folder / MAKING, package["input_size"], _check(folder / MAKING, len(labels)))
    shutil.rmtree(folder / "package", ignore_errors=True)
    (folder / MAKING).rename(folder / "package")
    finished = {
        "state": "finished",
        "message": None,
        **metrics,
        "items": sum(1 for _ in runs.read_items(folder)) - len(refused),
        "labels": labels,
        "refused": refused,
        "package": "package",
        "seconds": seconds if is_number(seconds) else 0,
        "dataset_hash": package["dataset_hash"],
        "proven": package["proven"],
        "is_exported": True,
    }
    runs.write_result(folder, finished)
    return runs.report(folder, "done", 1, 1, proven=package["proven"])


def _read_json(path: Path, most: int) -> Any:
    content = read(path, most + 1)
    if content is None:
        return None
    if len(content) > most:
        raise NotBelieved(f"{path.name} is larger than {most // MIB} MiB.")
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotBelieved(f"{path.name} is not as a trainer writes it.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _take_package(folder: Path, source: Path, settings: dict, labels: list[str]) -> dict[str, Any]:
    """Copy the files of a package beside its place; return package.json's content."""
    spec = _read_json(source / "package.json", MIB)
    _check_spec(spec, settings, labels)
    making = folder / MAKING
    shutil.rmtree(making, ignore_errors=True)
    (making / "golden").mkdir(parents=True)
    wanted = FILES | {f"golden/{name}": 4 * MIB for name in GOLDEN}
    if (source / "golden").is_symlink() or source.is_symlink():
        raise NotBelieved("The package holds links.")
    for name, most in wanted.items():
        content = read(source / name, most + 1)
        if content is not None and len(content) > most:
            raise NotBelieved(f"{name} is larger than {most // MIB} MiB.")
        if content is not None and (name != "model.keras" or "keras" in spec["proven"]):
            (making / name).write_bytes(content)
    entries = _take_golden(source / "golden" / golden.FILE, len(labels))
    write_atomically(making / "golden" / golden.FILE, json.dumps({"images": entries}))
    _take_last_layer(making, source, len(labels))
    _take_rejection(making, source, spec)
    named = spec.get("backbone")
    return spec | {
        "run": folder.name,
        "pixel_path": describe_pixels(spec["input_size"]),
        "dataset_hash": hash_dataset(labels, runs.read_items(folder)),
        "backbone": {"name": str(named.get("name"))[:100]} if isinstance(named, dict) else None,
        # Whoever reads the network goes by its hash: another version's must not be claimed.
        "files": {proof.FILES[kind]: _hash(making / proof.FILES[kind]) for kind in spec["proven"]},
    }


def _take_last_layer(making: Path, source: Path, outputs: int) -> None:
    """Write the numbers of the last layer anew, where there are any."""
    content = read(source / explaining.LAST_LAYER_FILE, MOST_LAST_LAYER)
    if content is None:
        return
    try:
        explaining.write_last_layer(making, explaining.parse_last_layer(content, outputs))
    except ValueError as error:
        raise NotBelieved(f"{explaining.LAST_LAYER_FILE}: {error}") from error


def _take_golden(path: Path, labels: int) -> list[dict[str, Any]]:
    """Return what the golden squares are said to give."""
    said = _read_json(path, 4 * MIB)
    entries = said.get("images") if isinstance(said, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= len(GOLDEN):
        raise NotBelieved("golden.json is not as a trainer writes it.")
    rows = _as_probabilities(
        [e.get("probabilities") if isinstance(e, dict) else None for e in entries], labels
    )
    return [{"file": name, "probabilities": row} for name, row in zip(GOLDEN, rows.tolist(), strict=False)]


def _take_rejection(making: Path, source: Path, spec: dict[str, Any]) -> None:
    """Write what tells the unknown anew, and let package.json say what that is."""
    content = read(source / REJECTION_FILE, rejection.LARGEST_FILE + 1)
    spec["rejection"] = None
    if content is None:
        return
    path = making / REJECTION_FILE
    path.write_bytes(content)
    try:
        found = rejection.load(path)
    except rejection.RejectionDamaged as error:
        raise NotBelieved(f"{REJECTION_FILE} is not as a trainer writes it.") from error
    found.save(path)
    spec["rejection"] = {"is_on": True, **found.to_spec()}


def _hash(path: Path) -> str:
    if not path.exists():
        raise NotBelieved(f"{path.name} is missing.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_spec(spec: Any, settings: dict, labels: list[str]) -> None:
    """See that package.json says what it must of this run, and holds plain values alone."""
    if not isinstance(spec, dict) or not _is_plain(spec):
        raise NotBelieved("package.json is not as a trainer writes it.")
    wanted = {
        **{"answers_with": "network", "labels": labels, "task": settings["task"]},
        **{"recipe": settings["recipe"], "name": settings["dataset"], "format": "pigeonhole-package"},
    }
    for name, value in wanted.items():
        if spec.get(name) != value:
            raise NotBelieved(f"package.json says something else than the run of: {name}.")
    size, proven = spec.get("input_size"), spec.get("proven")
    if not isinstance(size, int) or not 8 <= size <= 1024:
        raise NotBelieved("package.json gives no size of the image.")
    if not isinstance(proven, list) or "litert" not in proven or not set(proven) <= {"litert", "keras"}:
        raise NotBelieved("The network is not proven.")
    try:
        calibration.from_spec(spec)
    except (ValueError, KeyError) as error:
        raise NotBelieved("package.json holds no calibration.") from error


def _is_plain(value: Any, depth: int = 12) -> bool:
    """Whether a value of JSON is finite, shallow and of short texts."""
    if isinstance(value, dict):
        return depth > 0 and all(
            len(key) <= 200 and _is_plain(each, depth - 1) for key, each in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
    if isinstance(value, str):
        return len(value) <= MOST_WORDS
    return value is None or isinstance(value, bool) or (is_number(value) and math.isfinite(value))


def _take_evaluation(folder: Path, inside: Path, settings: dict, labels: list[str], spec: dict) -> dict:
    """Write evaluation.json anew from the probabilities in the inner one; return the metrics."""
    told = _read_told(inside / "evaluation.json")
    # What own code learnt from counts as nothing, whatever it says; an uploaded model learnt from none of it.
    is_free = settings["recipe"] == "uploaded"
    by, chosen = {}, []
    for item in runs.read_items(folder):
        said = told.get(item["sha256"], {}).get("by")
        if said in BY and (is_free or said == item["split"]):
            chosen.append(item)
            by[item["sha256"]] = said
    if not chosen:
        raise NotBelieved("No image was measured.")
    rows = _as_probabilities([told[item["sha256"]].get("probabilities") for item in chosen], len(labels))
    task, thresholds = settings["task"], spec.get("thresholds") or None
    targets = make_targets(labels, chosen, task)
    kinds = np.array([by[item["sha256"]] for item in chosen])
    blocks = {
        name: evaluation.measure(task, rows[kinds == name], targets[kinds == name], labels, thresholds)
        for name in BY
        if (kinds == name).any()
    }
    chief = blocks.get("test") or blocks["validation"]
    evaluation.write(folder / "evaluation.json", labels, chosen, kinds.tolist(), rows, chief)
    return evaluation.summarise(task, **blocks)


def _read_told(path: Path) -> dict[str, dict[str, Any]]:
    """Return the inner evaluation's lines by hash."""
    said = _read_json(path, MOST_JSON)
    lines = said.get("items") if isinstance(said, dict) else None
    lines = [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
    return {line["sha256"]: line for line in lines if isinstance(line.get("sha256"), str)}


def _as_probabilities(rows: list[Any], count: int) -> np.ndarray:
    try:
        array = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise NotBelieved("What should be probabilities is no array of numbers.") from error
    if array.shape != (len(rows), count) or not ((array >= 0) & (array <= 1)).all():
        raise NotBelieved("What should be probabilities is not from 0 to 1, or of other labels.")
    return array


def _take_refused(folder: Path, said: Any) -> list[dict[str, str]]:
    """Return the lines of images left out, of those that are in the run."""
    names = {item.get("name") or item["path"] for item in runs.read_items(folder)}
    lines = [line for line in said if isinstance(line, dict)] if isinstance(said, list) else []
    return [
        {key: str(line.get(key))[:300] for key in ("name", "code", "message")}
        for line in lines
        if line.get("name") in names or line.get("code") == "label_unknown"
    ]


def _keep_golden(package: Path, size: int, rows: np.ndarray) -> None:
    """Write golden.json anew with the awkward originals, whose pixels and files are ours."""
    golden.keep(package, golden.read_entries(package)["images"], size, rows)


def _check(package: Path, labels: int) -> np.ndarray:
    """Let the package answer for its golden images, in a sandbox where no foreign code runs.

    Returns:
        What it says of the awkward images, float64 (images, labels).

    Raises:
        NotBelieved: it does not.
    """
    found = sandbox.probe()
    scratch = package.parent / f".check-{time.monotonic_ns()}"
    scratch.mkdir()
    try:
        out = scratch / "said.json"
        words = sandbox.command(
            found, ["-c", CHECK, str(package), str(out)], scratch, [package], ANSWER_MEMORY
        )
        tried = subprocess.run(
            words,
            cwd=sandbox.ROOT,
            env=sandbox.environment(scratch) | {"PYTHONPATH": str(sandbox.ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
        )
        said = _read_json(out, 4 * MIB)
    except subprocess.TimeoutExpired:
        raise NotBelieved("The network takes too long to answer.") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if tried.returncode != 0 or not isinstance(said, list):
        most = f"with {ANSWER_MEMORY // 2**30} GB of memory"
        raise NotBelieved(f"The network does not answer as its package says, {most}.")
    return _as_probabilities(said, labels)
