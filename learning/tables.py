"""The result as a table for a terminal."""

from __future__ import annotations

from typing import Any

from learning import evaluation

FORMAT_NAMES = {"litert": "LiteRT", "keras": "Keras"}


def write(name: str, metrics: dict[str, Any], package: str) -> str:
    """Return the score with its 95 % interval, each label's figures, and where the package lies.

    Args:
        metrics: what `evaluation.summarise` gives.
    """
    names = evaluation.BLOCK_NAMES.items()
    blocks = {name.lower(): metrics[by] for by, name in names if metrics.get(by)}
    chief = evaluation.chief(metrics)
    lines = [f"{name}", "", *(_score(kind, measured) for kind, measured in blocks.items())]
    if "micro_f1" in chief:
        lines += ["", *_shares(blocks)]
    rows = chief["labels"]
    width = max(len("label"), *(len(row["label"]) for row in rows))
    head = "  avg. precision  threshold" if "micro_f1" in chief else ""
    lines += ["", f"{'label':{width}}  precision  recall    F1{head}  images"]
    lines += [_label(row, width) for row in rows]
    return "\n".join([*lines, "", f"Package: {package}"])


def head_epochs(name: str) -> str:
    """Return the line above the epochs; `name` is the score's, `accuracy` or `micro_f1`."""
    score = name.replace("_", " ")
    return (
        f"{'epoch':>9}  {'loss':>7}  {score:>9}  {'val. loss':>9}  {'val. ' + score:>13}  {'rate':>8}   time"
    )


def write_epoch(event: dict[str, Any], name: str) -> str:
    """Return the line of an epoch, of the event that tells of its end."""
    said = event["metrics"]
    place = f"{event['epoch']}/{event['epochs']}"
    shares = f"{said['loss']:7.4f}  {said[name]:9.3f}  {said['val_loss']:9.4f}  {said['val_' + name]:13.3f}"
    return f"{place:>9}  {shares}  {said['learning_rate']:8.1e}  {event['seconds']:4.0f} s"


def write_end(result: dict[str, Any], package: str) -> str:
    """Return the last line: where the whole package lies and which of its files were proven."""
    if not result["proven"]:
        return result["message"] or f"No file of the whole network could be proven: {package}"
    names = " and ".join(FORMAT_NAMES[name] for name in result["proven"])
    return f"Whole network proven in {names}: {package}"


def _score(kind: str, measured: dict[str, Any]) -> str:
    name, value = ("Micro F1", "micro_f1") if "micro_f1" in measured else ("Accuracy", "accuracy")
    low, high = (100 * bound for bound in measured["interval"])
    share = f"{100 * measured[value]:5.1f} %  ({low:.1f} to {high:.1f} %)"
    return f"{name}, {kind:15} {share}  of {measured['items']:,} images"


def _shares(blocks: dict[str, dict[str, Any]]) -> list[str]:
    """One line for each figure of a multi-label version, one column for each block."""
    lines = [f"{'':22}" + "".join(f"  {kind:>14}" for kind in blocks)]
    for key, name in evaluation.SHARE_NAMES.items():
        lines.append(
            f"{name:22}" + "".join(f"  {_percent(measured[key]):>14}" for measured in blocks.values())
        )
    return lines


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _label(row: dict[str, Any], width: int) -> str:
    shares = f"{row['precision']:9.2f}  {row['recall']:6.2f}  {row['f1']:4.2f}"
    if "threshold" in row:
        precision = row["average_precision"]
        shares += f"  {'–' if precision is None else f'{precision:.2f}':>14}  {row['threshold']:9.2f}"
    return f"{row['label']:{width}}  {shares}  {row['count']:6,}"
