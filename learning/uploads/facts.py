"""What is known of an uploaded model: its facts, why one is refused, its labels. No h5py, no Keras."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

MAX_MODEL = 512 * 1024 * 1024  # bytes of the file, and of what it unpacks to
MOST_LABELS = 10_000
LONGEST_LABEL = 100  # characters
# How the values 0 to 255 become what the network was trained on.
SCALINGS = {
    "0-255": "0 to 255, as they are",
    "0-1": "0 to 1: divided by 255",
    "tf": "−1 to 1: divided by 127.5, less 1 (“tf”)",
    "torch": "ImageNet mean and deviation, RGB (“torch”)",
    "caffe": "ImageNet mean taken off, BGR (“caffe”: VGG16, ResNet50)",
}
AUTO = "auto"
TEACHABLE_MACHINE_SCALING = "tf"
ANEW = 'Save the model anew, as model.save("name.keras").'
PLAIN = "Send a plain network."
SMALLER = "Send a smaller model."
_NUMBERED = re.compile(r"([0-9]{1,6})[ \t]+(\S.*)")


class ModelRefused(ValueError):
    """A model that is not taken. `code` is for programs; the message names the file and the remedy."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Facts:
    """What the gate read in an uploaded model without running it.

    `size` is the side of its square input in pixels, None where it takes any; `channels` 3 or 1; `outputs`
    None where only running it tells; `ending` softmax, sigmoid or logits; `parameters` the numbers among
    its weights; `labels` those beside it, None where none were.
    """

    sent_name: str
    format: str  # keras or h5
    size: int | None
    channels: int
    outputs: int | None
    ending: str
    parameters: int
    layers: int
    is_teachable_machine: bool = False
    has_scaling: bool = False  # it begins with a layer that scales its input
    labels: tuple[str, ...] | None = None

    @property
    def file(self) -> str:
        """The name of the checked copy: Keras goes by the ending."""
        return f"model.{self.format}"

    def as_json(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return asdict(self)


def from_json(given: dict[str, Any]) -> Facts:
    """Return the facts that `Facts.as_json` gave."""
    labels = given["labels"]
    return Facts(**{**given, "labels": None if labels is None else tuple(labels)})


def parse_labels(text: str, file: str) -> tuple[str, ...]:
    """Return the labels of a text, one a line in the network's order; “0 rose”, “1 tulip” lose their numbers.

    Raises:
        ModelRefused: a name is too long, holds control characters or comes twice, or there are too many.
    """
    lines = [unicodedata.normalize("NFC", line).strip() for line in text.removeprefix("\ufeff").splitlines()]
    names = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    if all(found and int(found[1]) == index for index, found in enumerate(numbered)):
        names = [found[2] for found in numbered]
    if len(names) > MOST_LABELS:
        raise ModelRefused("labels", f"{file} names more than {MOST_LABELS:,} labels.")
    for name in names:
        if len(name) > LONGEST_LABEL or any(unicodedata.category(letter) in _UNSEEN for letter in name):
            shown = ascii(name[:40])
            raise ModelRefused("labels", f"{file}: {shown} is too long, or holds control characters.")
    if twice := {name for name in names if names.count(name) > 1}:
        raise ModelRefused(
            "labels", f"{file} names “{min(twice)}” twice. Every label needs a name of its own."
        )
    return tuple(names)


_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def match_labels(given: tuple[str, ...] | list[str], known: list[str]) -> list[str]:
    """Return the model's labels in its order, spelt as the dataset spells them where it has them.

    Upper and lower case count as the same where the exact name is missing.

    Raises:
        ModelRefused: fewer than two of the dataset's labels are among them, or two become one.
    """
    folded = {name.casefold(): name for name in reversed(known)}
    found = [name if name in known else folded.get(name.casefold(), name) for name in given]
    shared = set(found) & set(known)
    if len(set(found)) < len(found):
        raise ModelRefused("labels", "Two of the labels are the same but for upper and lower case.")
    if len(shared) < 2:
        has = ", ".join(f"“{name}”" for name in known[:5]) or "none yet"
        raise ModelRefused(
            "labels",
            f"At least two labels must be the dataset's own ({has}). Name them in the model's order.",
        )
    return found


def choose_scaling(found: Facts, chosen: str) -> str:
    """Return the scaling that holds; of `auto`, what the file tells.

    Raises:
        ModelRefused: it was left to the file, and the file doesn't tell.
    """
    if found.is_teachable_machine:
        return TEACHABLE_MACHINE_SCALING
    if chosen != AUTO:
        return chosen
    if found.has_scaling:
        return "0-255"
    raise ModelRefused(
        "scaling", f"{found.sent_name} doesn't say how pixels were scaled when it was trained. Choose that."
    )


def choose_labels(found: Facts, typed: str, known: list[str]) -> list[str]:
    """Return the model's labels in the order of its outputs, spelt as the dataset spells them.

    Those typed (one a line, or with commas between them) go before those beside the model. Without either
    they are the dataset's in alphabetical order, as Keras reads folders, where their number fits.

    Raises:
        ModelRefused: as `match_labels` and `check_outputs`.
    """
    text = typed if "\n" in typed.strip() else typed.replace(",", "\n")
    named = parse_labels(text, "The list") or found.labels
    labels = list(named) if named else sorted(known)
    if found.outputs is not None:
        check_outputs(labels, found.outputs)
    return match_labels(labels, known)


def choose(found: Facts, chosen: dict[str, Any], known: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the labels of the version and the run's settings, decided before it begins.

    Args:
        chosen: the recipe's options, checked.
        known: the dataset's labels.

    Raises:
        ModelRefused: the scaling or the labels have to be said.
    """
    labels = choose_labels(found, chosen["model_labels"], known)
    settled = {
        "model": found.sent_name,
        "scaling": choose_scaling(found, chosen["scaling"]),
        "model_labels": "\n".join(labels),
        "input_size": found.size or chosen["input_size"],
    }
    return labels, chosen | settled


def check_outputs(labels: list[str] | tuple[str, ...], outputs: int) -> None:
    """See that there is a label for each output; one output stands for the second of two labels.

    Raises:
        ModelRefused: there is not.
    """
    if len(labels) != (2 if outputs == 1 else outputs):
        wanted = "1 output, so it needs 2 labels" if outputs == 1 else f"{outputs} outputs"
        raise ModelRefused("labels", f"The model has {wanted}, but {len(labels)} labels are named.")
