"""Whether a dataset is ready to be trained, in words, with what would make it better."""

from __future__ import annotations

from dataclasses import dataclass

from models import Dataset
from web.formats import count
from web.found import look_up

FEW = 20  # items of a label below which figures are rough
LEAST = 2
IMBALANCE = 10  # times as many items of one label as of another
NAMED = 5  # labels named in one warning


@dataclass(frozen=True)
class Readiness:
    """`is_ready` to train; `summary` in one line; `warnings` say what is thin and what to do."""

    is_ready: bool
    summary: str
    warnings: list[str]


def of(dataset: Dataset) -> Readiness:
    """Read it from the dataset's counts, and from what was found by looking through it."""
    counts = count_labels(dataset)
    used = {name: number for name, number in counts.items() if number}
    is_ready = _is_ready(dataset, used)
    state = "ready to train" if is_ready else "not ready to train yet"
    items = dataset.counts.get("items", 0)
    summary = f"{count(items, 'image')}, {count(len(used), 'label')}, {state}"
    return Readiness(is_ready, summary, _warnings(dataset, counts, used))


def _is_ready(dataset: Dataset, used: dict[str, int]) -> bool:
    """As jobs.training asks it: two labels with images, or of several labels an image one that parts them."""
    if dataset.task == "multi-label":
        return any(LEAST <= number < dataset.counts.get("items", 0) for number in used.values())
    return len(used) >= 2 and min(used.values()) >= LEAST


def count_labels(dataset: Dataset) -> dict[str, int]:
    """How many items bear each label, by its name."""
    counts = dataset.counts.get("labels", {})
    return {label.name: sum(counts.get(str(label.id), {}).values()) for label in dataset.labels}


def _warnings(dataset: Dataset, counts: dict[str, int], used: dict[str, int]) -> list[str]:
    found = [odd.text for odd in look_up(dataset)]
    has_several = dataset.task == "multi-label"
    if has_several and not _is_ready(dataset, used):
        found.append("Training needs a label that at least two images have and another lacks.")
    if len(used) < 2 and not has_several:
        found.append("Training needs images of at least two labels. Add images of another label.")
    if few := [name for name, number in counts.items() if number < FEW]:
        found.append(f"Fewer than {FEW} images: {_named(few)}. More of them make the figures surer.")
    if used and max(used.values()) >= IMBALANCE * min(used.values()):
        most, least = max(used, key=used.get), min(used, key=used.get)
        words = f"“{most}” has {used[most]:,} images and “{least}” only {used[least]:,}"
        found.append(f"{words}: rare labels will be found less often.")
    if unlabelled := dataset.counts.get("unlabelled", 0):
        what = "are learnt as showing none of them" if has_several else "will be left out"
        found.append(f"{count(unlabelled, 'image')} without a label {what}.")
    return found


def _named(names: list[str]) -> str:
    named = ", ".join(f"“{name}”" for name in names[:NAMED])
    more = len(names) - NAMED
    return f"{named} and {more:,} more" if more > 0 else named
