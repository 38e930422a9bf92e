"""The model card, README.md of a package: what it sorts, how well, where it fails, how to use it."""

from __future__ import annotations

from typing import Any

from learning import evaluation
from learning.calibration import MULTI, SINGLE

TITLES = {"f1": "F1", "average_precision": "average precision"}
# Runs as it stands: a test takes it out of the card and compares its answer with ours.
USE_ALONE = """\
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert numpy pillow
from PIL import Image, ImageOps

package = json.load(open("package.json", encoding="utf-8"))
size = package["input_size"]
image = Image.open(sys.argv[1])
if image.format in ("JPEG", "MPO"):
    image.draft(None, (2 * size, 2 * size))
image = ImageOps.exif_transpose(image)
if image.mode.startswith("I"):  # grey of 16 bits
    image = Image.fromarray((np.asarray(image, float) / 257).round().clip(0, 255).astype(np.uint8))
image = image.convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
side = min(image.size)
left, top = (image.width - side) / 2, (image.height - side) / 2
image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))

network = Interpreter("model.tflite")
network.allocate_tensors()
network.set_tensor(network.get_input_details()[0]["index"], np.asarray(image, np.float32)[np.newaxis])
network.invoke()
answer = next(output for output in network.get_output_details() if len(output["shape"]) == 2)
logits = network.get_tensor(answer["index"])[0].astype(float)
"""
SOFTMAX = """\
probabilities = np.exp((logits - logits.max()) / package["temperature"])
probabilities = probabilities / probabilities.sum()
for label, probability in zip(package["labels"], probabilities):
    print(f"{probability:.6f} {label}")
best, limits = probabilities.argmax(), package["thresholds"] or [0] * len(probabilities)
print(package["labels"][best] if probabilities[best] >= limits[best] else "not sure")
"""
SIGMOIDS = """\
probabilities = 1 / (1 + np.exp(-(logits * package["scales"] + package["offsets"])))
for label, probability, threshold in zip(package["labels"], probabilities, package["thresholds"]):
    print(f"{probability:.6f} {label}" + (" *" if probability >= threshold else ""))
"""
# As learning/rejection.py scores an image; the doubt is of one label an image, or of several.
UNKNOWN = """\
seen = next(output for output in network.get_output_details() if len(output["shape"]) == 4)
embedding, taught = network.get_tensor(seen["index"])[0].mean((0, 1)), np.load("rejection.npz")
own = taught["bears"][:, probabilities.argmax()] > 0
own = own if own.any() else ~own
direction = embedding[: taught["references"].shape[1]]
near = (taught["references"][own] @ direction * taught["scales"][own]).max()
near = near / max(np.linalg.norm(direction), 1e-12)
centred = embedding - taught["mean"]
left_over = (centred**2).sum() - ((taught["axes"] @ centred) ** 2).sum()
sure = np.clip(probabilities, 1e-6, 1 - 1e-6)
{doubt}
signs = (np.array([doubt, 1 - max(near, 0), left_over]) - taught["centres"]) / taught["spreads"]
score = np.logaddexp(0, 1.8 * (signs - [0, 0, 2])).sum()
if package["rejection"]["is_on"] and not score <= taught["limits"][0]:
    print("but this is like nothing that was taught")
"""
DOUBTS = {
    SINGLE: "second, first = np.sort(np.log(sure))[-2:]\ndoubt = second - first",
    MULTI: "doubt = -(sure * np.log(sure) + (1 - sure) * np.log(1 - sure)).mean()",
}
AFTERWARDS = {
    SINGLE: "`temperature` in package.json divides before the softmax; the likeliest label is said where it "
    "reaches its number in `thresholds`, if there are any",
    MULTI: "package.json's `scales` and `offsets` calibrate before the sigmoid; a label is said from its "
    "threshold on (marked *)",
}

CARD = """\
# {name}

{purpose}: {labels}.

## How good it is

{figures}

{table}

Precision: how often it is right when it says the label. Recall: how many of the label's images it finds.

{failures}

## What to know before relying on it

- It knows nothing but these labels{strangers}.
{certainty}- It was measured on photos like those it learnt from. Other cameras, places or light can make it
  worse.
- {fewest}
- {origin}

## Using it

The files proven to give the golden answers (`golden/`): {proven}. This needs `model.tflite`,
`package.json` and, where it is there, `rejection.npz`:

```python
{use_alone}```

`model.keras` opens with `keras.models.load_model("model.keras")` for more training; it gives logits:
{afterwards}.
"""
KINDS = {
    "leave_one_out": "each predicted by a head that never saw it",
    "validation": "kept apart to learn from, but used to choose when to stop",
    "test": "kept apart and never used to choose anything",
}


def write(spec: dict[str, Any]) -> str:
    """Return the card as Markdown for package.json's content."""
    measured = evaluation.chief(spec["metrics"])
    fewest = min(measured["labels"], key=lambda label: label["count"])
    is_single = spec["task"] == SINGLE
    count = len(spec["labels"])
    return CARD.format(
        name=_plain(spec["name"]),
        purpose=f"Sorts a photo into one of {count} labels"
        if is_single
        else f"Says which of {count} labels fit",
        labels=", ".join(map(_plain, spec["labels"])),
        figures=" ".join(_describe_figures(spec["metrics"])),
        table=_table(measured["labels"]),
        failures=_describe_confusions(measured["confusion"], spec["labels"])
        if is_single
        else _weakest(measured),
        strangers=_describe_strangers(spec),
        certainty="".join(f"- {words}\n" for words in _describe_certainty(spec, measured)),
        fewest=f"{_plain(fewest['label'])} has the fewest images to be measured by: {fewest['count']}.",
        origin=_describe_origin(spec),
        proven=", ".join(spec["proven"]) or "none yet",
        use_alone=_write_code(spec),
        afterwards=AFTERWARDS[spec["task"]],
    )


def _write_code(spec: dict[str, Any]) -> str:
    code = USE_ALONE + (SOFTMAX if spec["task"] == SINGLE else SIGMOIDS)
    return code + UNKNOWN.format(doubt=DOUBTS[spec["task"]]) if spec.get("rejection") else code


def _describe_strangers(spec: dict[str, Any]) -> str:
    """Say what becomes of a photo of something else."""
    if spec.get("rejection"):
        return ". `rejection.npz` tells a photo that is like nothing it was taught, as the code below does"
    return ": a photo of something else gets one of them all the same" if spec["task"] == SINGLE else ""


def _describe_certainty(spec: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    """Say what its probabilities are worth, and from where on it says a label, as far as that is known."""
    told = []
    if "calibration_error" in measured:
        off = f"{100 * measured['calibration_error']:.1f} points"
        told.append(f"Its probabilities were {off} off on average (expected calibration error, 15 bins).")
    if "trained_thresholds" in spec and spec["thresholds"]:
        pairs = zip(spec["labels"], spec["thresholds"], strict=True)
        limits = ", ".join(f"{_plain(label)} {limit:.3g}" for label, limit in pairs)
        single = "; below, it says that it is not sure"
        else_ = single if spec["task"] == SINGLE else "; the figures above are by those of the training"
        told.append(f"It says a label from a probability on that somebody chose: {limits}{else_}.")
    return told


def _describe_origin(spec: dict[str, Any]) -> str:
    backbone = spec["backbone"]
    began = f"Backbone: {_plain(backbone['name'])}. " if backbone else ""
    weights = "ImageNet weights: Apache-2.0. " if backbone and "efficientnet-lite" in backbone["name"] else ""
    return f"{began}{weights}Recipe: {spec['recipe']}. Made {spec['made']}."


def _describe_figures(metrics: dict[str, Any]) -> list[str]:
    return [f"{_share(metrics[by])}, {words}." for by, words in KINDS.items() if metrics.get(by)]


def _share(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    if "micro_f1" in measured:
        share = f"Micro F1 {measured['micro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f})"
        more = (
            f"{measured['binary_accuracy']:.1%} of all decisions right, {measured['exact_accuracy']:.1%} of "
        )
        return f"{share}, {more}{measured['items']:,} images right in every label"
    share = f"{measured['accuracy']:.1%} right (95 % interval {low:.1%} to {high:.1%})"
    return f"{share} of {measured['items']:,} images"


def _table(rows: list[dict[str, Any]]) -> str:
    columns = ["precision", "recall", "f1"]
    columns += ["average_precision", "threshold"] if "threshold" in rows[0] else []
    head = f"| label | {' | '.join(TITLES.get(name, name) for name in columns)} | images |"
    lines = [_row(row, columns) for row in rows]
    return "\n".join([head, "|---" * (len(columns) + 2) + "|", *lines])


def _row(label: dict[str, Any], columns: list[str]) -> str:
    figures = ["–" if label[name] is None else f"{label[name]:.2f}" for name in columns]
    return f"| {_plain(label['label'])} | {' | '.join(figures)} | {label['count']} |"


def _describe_confusions(confusion: list[list[int]], labels: list[str]) -> str:
    """Name the three commonest confusions."""
    found = [
        (times, labels[true], labels[said])
        for true, row in enumerate(confusion)
        for said, times in enumerate(row)
        if true != said and times
    ]
    if not found:
        return "It confused none of them."
    commonest = sorted(found, reverse=True)[:3]
    parts = [f"{_plain(true)} taken for {_plain(said)} ({times} ×)" for times, true, said in commonest]
    return f"Where it fails most: {'; '.join(parts)}."


def _weakest(measured: dict[str, Any]) -> str:
    """Name the three labels with the lowest F1."""
    seen = [label for label in measured["labels"] if label["count"]]
    if not seen:
        return "No image that it was measured by has a label."
    weakest = sorted(seen, key=lambda label: label["f1"])[:3]
    parts = [f"{_plain(label['label'])} (F1 {label['f1']:.2f})" for label in weakest]
    return f"Where it is weakest: {'; '.join(parts)}."


def _plain(text: str) -> str:
    """Keep a name from being read as Markdown, HTML or a table's edge."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>()#+!|&~" else mark for mark in text)
