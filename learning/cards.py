"""The model card, README.md of a package: what it sorts, how well, where it fails, how to use it."""

from __future__ import annotations

from typing import Any

# Runs as it stands: a test takes it out of the card and compares its answer with ours.
USE_ALONE = """\
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert numpy pillow
from PIL import Image, ImageOps

package = json.load(open("package.json", encoding="utf-8"))
size = package["input_size"]
image = Image.open(sys.argv[1])
if image.format == "JPEG":
    image.draft(None, (2 * size, 2 * size))
image = ImageOps.exif_transpose(image).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
side = min(image.size)
left, top = (image.width - side) / 2, (image.height - side) / 2
image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))

network = Interpreter("model.tflite")
network.allocate_tensors()
network.set_tensor(network.get_input_details()[0]["index"], np.asarray(image, np.float32)[np.newaxis])
network.invoke()
logits = network.get_tensor(network.get_output_details()[0]["index"])[0] / package["temperature"]
probabilities = np.exp(logits - logits.max())
for label, probability in zip(package["labels"], probabilities / probabilities.sum()):
    print(f"{probability:.6f} {label}")
"""

CARD = """\
# {name}

Sorts a photo into one of {count} labels: {labels}.

## How good it is

{accuracy}

| label | precision | recall | F1 | images |
|---|---|---|---|---|
{rows}

Precision: how often it is right when it says the label. Recall: how many of the label's images it finds.

{confusions}

## What to know before relying on it

- It knows nothing but these labels: a photo of something else gets one of them all the same.
- It was measured on photos like those it learnt from. Other cameras, places or light can make it worse.
- {fewest}
- Backbone: {backbone} with ImageNet weights (Apache-2.0). Recipe: {recipe}. Made {made}.

## Using it

The files proven to give the golden answers (`golden/`): {proven}. This needs `model.tflite` and
`package.json`:

```python
{use_alone}```

`model.keras` opens with `keras.models.load_model("model.keras")` for more training; it gives logits, to be
divided by `temperature` in package.json before the softmax.
"""


def write(spec: dict[str, Any]) -> str:
    """Return the card as Markdown for package.json's content."""
    measured = spec["metrics"]["leave_one_out"]
    fewest = min(measured["labels"], key=lambda label: label["count"])
    return CARD.format(
        name=_plain(spec["name"]),
        count=len(spec["labels"]),
        labels=", ".join(map(_plain, spec["labels"])),
        accuracy=_describe_accuracy(spec["metrics"]),
        rows="\n".join(_row(label) for label in measured["labels"]),
        confusions=_describe_confusions(measured["confusion"], spec["labels"]),
        fewest=f"{_plain(fewest['label'])} has the fewest images to learn from: {fewest['count']}.",
        backbone=spec["backbone"]["name"],
        recipe=spec["recipe"],
        made=spec["made"],
        proven=", ".join(spec["proven"]) or "none yet",
        use_alone=USE_ALONE,
    )


def _describe_accuracy(metrics: dict[str, Any]) -> str:
    card = f"{_share(metrics['leave_one_out'])}, each predicted by a head that never saw it."
    if metrics["test"]:
        card += f" {_share(metrics['test'])}, kept apart and never used to choose anything."
    return card


def _share(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    share = f"{measured['accuracy']:.1%} right (95 % interval {low:.1%} to {high:.1%})"
    return f"{share} of {measured['items']:,} images"


def _row(label: dict[str, Any]) -> str:
    name, count = _plain(label["label"]), label["count"]
    return f"| {name} | {label['precision']:.2f} | {label['recall']:.2f} | {label['f1']:.2f} | {count} |"


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


def _plain(text: str) -> str:
    """Keep a name from being read as Markdown, HTML or a table's edge."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>()#+!|&~" else mark for mark in text)
