"""One training run from its first line to its last, in a process of its own; and the command line for it.

python training.py --dataset NAME_OR_PATH    train on a dataset of this instance, a folder, a zip or a CSV
python training.py --run FOLDER              what the worker calls
python training.py --preview FOLDER            draw how a run varies its images while it trains
python training.py --prepare [BACKBONE]      convert a backbone once, so that no training waits for it
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import config
from datasets import manifest
from jobs import runs
from jobs.enclosing import enclose
from learning import (
    answers,
    applications,
    backbones,
    custom,
    embeddings,
    exports,
    inputs,
    networks,
    options,
    own_code,
    package,
    quick,
    settings_text,
    tables,
)
from learning.torch_weights import WeightsRefused
from learning.tuning import augmentation, fine_tune, preview
from learning.uploads import facts, throwaway, uploaded
from learning.work import Stopped, Work

RECIPES = {
    "quick": quick.train,
    "fine-tune": fine_tune.train,
    "custom": custom.train,
    "uploaded": uploaded.train,
}
# What some leave to do once the version answers: each returns the proven formats.
EXPORTS = {"quick": quick.export}
PREVIEW_SIDE = 160  # pixels of each image
log = logging.getLogger("training")

# What may go wrong for reasons a person can mend; each message says how.
MENDABLE = (
    answers.NoNumbers,
    config.BadSetting,
    manifest.ManifestRefused,
    backbones.BackboneUnknown,
    embeddings.StoreDamaged,
    applications.WeightsMissing,
    facts.ModelRefused,
    inputs.NotEnough,
    own_code.CodeRefused,
    package.PackageDamaged,
    runs.RunBusy,
    exports.NotProven,
    WeightsRefused,
)
_terminated = threading.Event()


class WrongUse(ValueError):
    """The command line asks for something that cannot be; the message says what."""


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; return the exit status: 0 done, 1 failed, 2 wrong use."""
    arguments = _parse(words)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    try:
        return _do(arguments)
    except (WrongUse, options.OptionRefused) as error:
        print(error, file=sys.stderr)
        return 2
    except Stopped as error:
        print(error, file=sys.stderr, flush=True)
        return _end_by_signal()
    except (*MENDABLE, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="training.py", description="Train an image classifier.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dataset", metavar="NAME_OR_PATH", help="a dataset, or a folder, zip or CSV")
    what.add_argument("--run", metavar="FOLDER", type=Path, help="a run folder, as the worker makes it")
    what.add_argument("--preview", metavar="FOLDER", type=Path, help="a run: show how its images are varied")
    what.add_argument("--prepare", metavar="BACKBONE", nargs="?", const=backbones.DEFAULT)
    parser.add_argument("--resume", action="store_true", help="take up a run that failed or was cancelled")
    parser.add_argument("--recipe", choices=list(RECIPES), help="how to train; quick unless --config says")
    parser.add_argument("--config", metavar="FILE", type=Path, help="YAML, as a run's page offers it")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="where the package is to lie")
    parser.add_argument("--json", action="store_true", help="print one JSON line at the end")
    manifest.add_arguments(parser)
    settings_text.add_arguments(parser)
    return parser.parse_args(words)


def _do(arguments: argparse.Namespace) -> int:
    if arguments.prepare:
        return _prepare(arguments.prepare, arguments.out or config.load().folder("backbones"))
    if arguments.preview:
        return _preview(arguments.preview, arguments.out or arguments.preview)
    if arguments.out and not exports.is_place(arguments.out):
        raise WrongUse(f"{arguments.out} holds other files. Name a folder that is new or empty.")
    folder = arguments.run or _create_run(arguments)
    if not (folder / "settings.json").exists():
        raise WrongUse(f"{folder} is not a run folder: it has no settings.json.")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _note_the_wish_to_end)
    result = run(folder, arguments.resume, keep_log=arguments.run is None)
    if result["state"] != "finished":
        print(result["message"], file=sys.stderr)
        return 1
    lies_at = folder / "package"
    if arguments.out:
        lies_at = exports.place(lies_at, arguments.out)
        runs.let_go(folder)
    print(tables.write_end(result, str(lies_at)), flush=True)
    if arguments.json:
        told = {key: value for key, value in result.items() if key not in ("state", "message")}
        print(json.dumps(told | {"package": str(lies_at)}, ensure_ascii=False), flush=True)
    return 0


def _preview(run_folder: Path, out: Path) -> int:
    """Draw a few of the run's images, and what its settings make of them, into preview.png."""
    if not (run_folder / "settings.json").exists():
        raise WrongUse(f"{run_folder} is not a run folder: it has no settings.json.")
    settings = runs.read_settings(run_folder)
    if "flip" not in settings:
        raise WrongUse(f"The recipe “{settings['recipe']}” does not vary its images.")
    chosen = inputs.choose_golden(list(runs.read_items(run_folder)))[: augmentation.GRID]
    networks.load_tensorflow_quietly()
    out.mkdir(parents=True, exist_ok=True)
    preview.draw(inputs.read_squares(chosen, PREVIEW_SIDE), settings, out / "preview.png")
    print(out / "preview.png", flush=True)
    return 0


def _prepare(name: str, folder: Path) -> int:
    """Convert a backbone unless that was done, and say so only where it takes time."""
    if backbones.find(name, folder) is None:
        log.info("Preparing %s: once, about 15 seconds.", name)
        backbones.prepare(name, folder)
    return 0


def _create_run(arguments: argparse.Namespace) -> Path:
    """Freeze the dataset into a run folder of this instance, as the web side does."""
    recipe, chosen = _choose(arguments)
    settings = config.load()
    source = Path(arguments.dataset)
    labels, items, task = manifest.read_chosen(arguments, settings)
    frame = {
        "recipe": recipe,
        "task": task,
        "dataset": source.stem if source.exists() else arguments.dataset,
        "train_on_all": settings.train_on_all,
        "backbones": str(settings.folder("backbones")),
        "embeddings": str(settings.folder("embeddings")),
    }
    create = _create_with_model if recipe == "uploaded" else runs.create
    folder = create(settings.folder("runs"), frame | chosen, labels, items)
    runs.keep(folder)
    return folder


def _create_with_model(
    root: Path, chosen: dict[str, Any], labels: list[str], items: Iterable[dict[str, Any]]
) -> Path:
    """Let the model through the gate and the probe, and put its clean copy into the run folder."""
    model = Path(chosen["model"])
    if not model.is_file():
        raise WrongUse(f"There is no model {chosen['model']!r}. Name a file: --model FILE")
    with tempfile.TemporaryDirectory(dir=root, prefix=".making-") as passed:
        found = throwaway.take(model.resolve(), model.name, Path(passed), enclose)
        labels, chosen = facts.choose(found, chosen, labels)
        throwaway.look(Path(passed), found, chosen["input_size"], enclose)
        folder = runs.create(root, chosen, labels, items)
        shutil.move(Path(passed, found.file), folder)
        uploaded.keep_facts(folder, found)
    return folder


def _choose(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the recipe and its checked options; the command line goes before the file."""
    recipe, said = "quick", {}
    if arguments.config:
        recipe, said = settings_text.read_yaml(_read_text(arguments.config))
    recipe = arguments.recipe or recipe
    if recipe not in RECIPES:
        raise WrongUse(f"The recipe {recipe!r} is not on offer here. Choose one of {', '.join(RECIPES)}.")
    given = settings_text.given_in(arguments)
    if "code" in given:
        given["code"] = _read_text(Path(given["code"]))
    return recipe, options.check(recipe, said | given)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read: {error}") from None


def run(folder: Path, resume: bool = False, keep_log: bool = False) -> dict[str, Any]:
    """Train the run in `folder`, unless that was done, and return its result.

    The table is printed when the head is solved, before TensorFlow is loaded to export the whole network. A
    run that was cut off is simply done again: embeddings are kept as they are computed, and the rest takes a
    second and gives the same.

    Raises:
        RunBusy: another trainer is at work on it.
        Stopped: the process was asked to end; there is no result, so that the run can be resumed.
    """
    with runs.hold(folder), _logging_to(folder / "log.txt" if keep_log else None):
        result = runs.read_result(folder)
        if _is_over(result, resume):
            return result
        try:
            work = _work_of(folder)
            if not result or result["state"] != "finished":
                runs.reopen(folder)
                RECIPES[work.settings["recipe"]](work)
            return _export(work)
        except Stopped:
            if not runs.is_stop_asked(folder):
                raise
            return _cancel(folder)
        except MENDABLE as error:
            return _fail(folder, str(error))
        except MemoryError:
            return _fail(folder, "Memory ran out. Train with fewer images or on a larger machine.")
        except Exception as error:
            log.exception("The run failed.")
            return _fail(folder, f"The run failed: {error!r}. Its log says where.")


def _is_over(result: dict[str, Any] | None, resume: bool) -> bool:
    """Whether nothing is left to do: of a finished run the export may be; others only go on when asked to."""
    if result is None:
        return False
    return result["is_exported"] if result["state"] == "finished" else not resume


def _work_of(folder: Path) -> Work:
    """Return the run as its recipe sees it."""

    def report(phase: str, done: int | None = None, total: int | None = None, **more: Any) -> None:
        _stop_if_asked(folder)
        if done is None:
            log.info("%s", phase)
        runs.report(folder, phase, done, total, **more)

    return Work(
        folder=folder,
        settings=runs.read_settings(folder),
        labels=runs.read_labels(folder),
        read_items=lambda: runs.read_items(folder),
        report=report,
        is_ending=lambda: _is_ending(folder),
        write_result=lambda result: runs.write_result(folder, result),
        show=lambda text: print(text, flush=True),
    )


def _export(work: Work) -> dict[str, Any]:
    """Do what the recipe has left for after its first result; the version stands even where that fails."""
    result = runs.read_result(work.folder)
    if not result["is_exported"]:
        result |= _try_to_export(work) | {"is_exported": True}
        runs.write_result(work.folder, result)
    runs.report(work.folder, "done", 1, 1, proven=result["proven"])
    return result


def _try_to_export(work: Work) -> dict[str, Any]:
    """Return what the result says of it."""
    try:
        return {"message": None, "proven": EXPORTS[work.settings["recipe"]](work)}
    except Stopped:
        raise
    except Exception as error:
        log.exception("The whole network could not be exported.")
        message = f"It answers here, but its network could not be exported: {error}"
        return {"message": message, "proven": []}


def _is_ending(folder: Path) -> bool:
    return _terminated.is_set() or runs.is_stop_asked(folder)


def _stop_if_asked(folder: Path) -> None:
    if _is_ending(folder):
        raise Stopped(f"Stopped. Go on with: python training.py --run {folder} --resume")


def _cancel(folder: Path) -> dict[str, Any]:
    """Note that the run was cancelled, unless its head was solved: then only the export is missing."""
    result = runs.read_result(folder)
    if result is None:
        result = {"state": "cancelled", "message": "The run was stopped. It can be resumed."}
        runs.write_result(folder, result)
    return result


def _fail(folder: Path, message: str) -> dict[str, Any]:
    result = {"state": "failed", "message": message}
    runs.write_result(folder, result)
    return result


@contextlib.contextmanager
def _logging_to(path: Path | None) -> Iterator[None]:
    """Write the log into the run folder too; the worker does so itself for the runs it starts."""
    if path is None:
        yield
        return
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _note_the_wish_to_end(number: int, _: Any) -> None:
    """Let the run end at its next step; a second signal ends it at once."""
    if _terminated.is_set():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _terminated.set()


def _end_by_signal() -> int:
    """End as the signal would have ended us, so that whoever started us sees it was no failure."""
    if os.name != "nt":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    return 1


if __name__ == "__main__":
    sys.exit(main())
