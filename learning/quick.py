"""Recipe `quick`: a head solved in closed form on embeddings that are known already."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning import backbones, evaluation, exports, heads, inputs, rejection, tables
from learning.calibration import SINGLE
from learning.embeddings import Embedder
from learning.gathering import Gathered, gather
from learning.rejection import Rejection
from learning.work import Work


@dataclass(frozen=True)
class Outcome:
    """What a recipe gives: the head that goes live, metrics for everybody, and every item's prediction."""

    head: heads.Head
    metrics: dict[str, Any]  # what evaluation.summarise gives
    probabilities: np.ndarray  # float64 (items, labels), each by a head that never saw the item


def train(work: Work) -> None:
    """Embed what is missing, solve, evaluate, write the package's head and a first result, show the table.

    Raises:
        NotEnough: there is too little to learn from.
        Stopped: an end was asked for.
    """
    gathered = gather(work)
    hashes = [item["sha256"] for item in gathered.items]
    task = work.settings["task"]
    targets = inputs.make_targets(work.labels, gathered.items, task)
    embeddings = inputs.stack(work.open_store(), hashes, work.folder / "checkpoint")
    outcome = learn(
        work.labels,
        targets,
        embeddings,
        gathered.learnt,
        task=task,
        seed=work.settings["seed"],
        train_on_all=work.settings["train_on_all"],
        on_phase=work.report,
    )
    known = rejection.fit(
        embeddings, outcome.probabilities, targets, hashes, task=task, seed=work.settings["seed"]
    )
    _keep(work, gathered, outcome, known)
    shutil.rmtree(work.folder / "checkpoint", ignore_errors=True)
    work.show(tables.write(work.settings["dataset"], outcome.metrics, str(work.package)))


def _keep(work: Work, gathered: Gathered, outcome: Outcome, known: Rejection) -> None:
    """Write evaluation, package and result."""
    by = gathered.told_by("leave_one_out", "test")
    measured = outcome.metrics["leave_one_out"]
    path = work.folder / "evaluation.json"
    evaluation.write(path, work.labels, gathered.items, by, outcome.probabilities, measured)
    prepared = backbones.find(work.settings["backbone"], work.settings["backbones"])
    about = work.describe(gathered.items)
    name = work.settings["dataset"]
    spec = exports.describe(name, work.labels, prepared, outcome.head, outcome.metrics, about)
    exports.write_package(work.package, spec, outcome.head, known)
    work.settle(spec, len(gathered.items), gathered.refused)


def export(work: Work) -> list[str]:
    """Add the whole network to a package whose head is solved; return the proven formats (TensorFlow)."""
    work.report("exporting", 0, exports.STEPS)
    prepared = backbones.find(work.settings["backbone"], work.settings["backbones"])
    return exports.export_networks(
        work.package,
        inputs.read_golden(list(work.read_items()), work.open_store(), prepared.input_size),
        Embedder(prepared.path).embed,
        lambda done, total: work.report("exporting", done, total),
        work.settings["backbones"],
    )


def learn(
    labels: list[str],
    targets: np.ndarray,
    embeddings: np.ndarray,
    learnt: int,
    *,
    task: str = SINGLE,
    seed: int = 0,
    train_on_all: bool = True,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Outcome:
    """Solve and measure the quick recipe's head.

    The figures come from a head that never saw the test items: leave-one-out for those it learnt from, plain
    prediction for the test items. What goes live is then solved again with every item.

    Args:
        labels: names in order.
        targets: float (items, labels), 1 where the item has the label, else 0.
        embeddings: float32 (items, embedding size).
        learnt: how many of the items, from the first, may be learnt from; the others are the test split.
        on_phase: told `solving` and `evaluating` as each begins.
    """
    on_phase("solving")
    kernel = heads.find_kernel(embeddings)  # both solutions need it
    own = None if kernel is None else kernel[:learnt, :learnt]
    solution = heads.solve(embeddings[:learnt], targets[:learnt], seed, own, task)
    live = solution.head
    if train_on_all and learnt < len(targets):
        live = heads.solve_again(embeddings, targets, solution.head, kernel)
    on_phase("evaluating")
    test = solution.head.probabilities(embeddings[learnt:]) if learnt < len(targets) else targets[:0]
    thresholds = solution.head.calibration.thresholds or None
    left_out = evaluation.measure(task, solution.leave_one_out, targets[:learnt], labels, thresholds)
    tested = evaluation.measure(task, test, targets[learnt:], labels, thresholds) if len(test) else None
    metrics = evaluation.summarise(task, leave_one_out=left_out, test=tested)
    return Outcome(live, metrics, np.concatenate([solution.leave_one_out, test]))
