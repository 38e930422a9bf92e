"""The result as a table for a terminal."""

from __future__ import annotations

from typing import Any

FORMAT_NAMES = {"litert": "LiteRT", "keras": "Keras"}


def write(name: str, metrics: dict[str, Any], package: str) -> str:
    """Return the accuracies with their 95 % intervals, each label's figures, and where the package lies."""
    lines = [f"{name}", ""]
    lines.append(_accuracy("leave-one-out", metrics["leave_one_out"]))
    if metrics["test"]:
        lines.append(_accuracy("untouched test", metrics["test"]))
    rows = metrics["leave_one_out"]["labels"]
    width = max(len("label"), *(len(row["label"]) for row in rows))
    lines += ["", f"{'label':{width}}  precision  recall    F1  images"]
    lines += [_label(row, width) for row in rows]
    return "\n".join([*lines, "", f"Package: {package}"])


def write_end(result: dict[str, Any], package: str) -> str:
    """Return the last line: where the whole package lies and which of its files were proven."""
    if not result["proven"]:
        return result["message"] or f"No file of the whole network could be proven: {package}"
    names = " and ".join(FORMAT_NAMES[name] for name in result["proven"])
    return f"Whole network proven in {names}: {package}"


def _accuracy(kind: str, measured: dict[str, Any]) -> str:
    low, high = (100 * bound for bound in measured["interval"])
    share = f"{100 * measured['accuracy']:5.1f} %  ({low:.1f} to {high:.1f} %)"
    return f"Accuracy, {kind:15} {share}  of {measured['items']:,} images"


def _label(row: dict[str, Any], width: int) -> str:
    shares = f"{row['precision']:9.2f}  {row['recall']:6.2f}  {row['f1']:4.2f}"
    return f"{row['label']:{width}}  {shares}  {row['count']:6,}"
