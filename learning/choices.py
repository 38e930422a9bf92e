"""What may be chosen of each recipe: once for the command line, YAML files, the page's form and the API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from learning import backbones, own_code
from learning.uploads import facts

RECIPES = ("quick", "fine-tune", "custom", "uploaded")
LEARNING = ("fine-tune", "custom")  # those that go through the images in epochs


@dataclass(frozen=True)
class Option:
    """One thing to choose.

    Attributes:
        kind: `whole` and `number` (from `low` to `high`), `choice`, `switch` (true or false) or `text`.
        default: what holds when nothing was said.
        title: its name for a person, with the unit where there is one.
        words: what it does, in a sentence or two.
        recipes: who knows it.
        choices: of a `choice`; of a number, the words allowed in its place.
        low, high: the least and the greatest number allowed; of a text, `high` counts characters.
    """

    kind: str
    default: Any
    title: str
    words: str
    recipes: tuple[str, ...]
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf


OPTIONS: dict[str, Option] = {
    "backbone": Option(
        "choice",
        backbones.DEFAULT,
        "Backbone",
        "The ready-made network that looks at the images.",
        ("quick", "fine-tune"),
        tuple(backbones.BACKBONES),
    ),
    "weights": Option(
        "choice",
        "pretrained",
        "Weights to begin with",
        "What the backbone learnt from ImageNet, or none: it then begins from nothing, as small-cnn does.",
        ("fine-tune",),
        ("pretrained", "none"),
    ),
    "minutes": Option(
        "number",
        5.0,
        "Time budget (minutes)",
        "As many epochs as fit in this time are done, and no more than “epochs” says.",
        LEARNING,
        low=0.1,
        high=1440,
    ),
    "epochs": Option(
        "whole",
        30,
        "Epochs, at most",
        "How often every image is learnt from.",
        LEARNING,
        low=1,
        high=1000,
    ),
    "batch_size": Option(
        "whole",
        16,
        "Images a step",
        "The network learns from this many images at once. Larger is steadier and needs more memory.",
        LEARNING,
        low=2,
        high=256,
    ),
    "learning_rate": Option(
        "number",
        0.001,
        "Learning rate",
        "How large the steps are at their largest. “auto” looks for it first and shows the curve.",
        LEARNING,
        ("auto",),
        low=1e-7,
        high=1.0,
    ),
    "weight_decay": Option(
        "number",
        0.02,
        "Weight decay",
        "Pulls weights towards zero, against learning the images by heart.",
        LEARNING,
        low=0,
        high=1,
    ),
    "label_smoothing": Option(
        "number",
        0.1,
        "Label smoothing",
        "How much doubt is kept in every label: it makes the network less sure of itself, and often better.",
        LEARNING,
        low=0,
        high=0.5,
    ),
    "flip": Option(
        "choice",
        "horizontal",
        "Mirroring",
        "Images are mirrored at random. Choose “none” where left and right, as in writing, mean something; "
        "“both” where up and down mean nothing, as seen from above.",
        LEARNING,
        ("horizontal", "both", "none"),
    ),
    "rotate": Option(
        "number",
        15.0,
        "Turning (degrees)",
        "Images are turned at random, this far at most to either side.",
        LEARNING,
        low=0,
        high=180,
    ),
    "zoom": Option(
        "number",
        0.2,
        "Zooming (share)",
        "Images are made larger or smaller at random, by this share at most.",
        LEARNING,
        low=0,
        high=0.9,
    ),
    "translate": Option(
        "number",
        0.05,
        "Shifting (share)",
        "Images are shifted at random, by this share of their side at most.",
        LEARNING,
        low=0,
        high=0.5,
    ),
    "contrast": Option(
        "number",
        0.1,
        "Contrast (share)",
        "Contrast is raised or lowered at random, by this share at most.",
        LEARNING,
        low=0,
        high=0.9,
    ),
    "mixup": Option(
        "number",
        0.2,
        "Mixing two images",
        "Two images and their labels are blended, more evenly the greater this is; 0 leaves them apart.",
        ("fine-tune",),
        low=0,
        high=2,
    ),
    "class_weights": Option(
        "switch",
        False,
        "Weigh rare labels more",
        "Every label counts alike however few images it has.",
        LEARNING,
    ),
    "patience": Option(
        "whole",
        10,
        "Patience (epochs)",
        "Training ends early when validation got no better for this many epochs.",
        LEARNING,
        low=1,
        high=1000,
    ),
    "mixed_precision": Option(
        "choice",
        "auto",
        "Half precision",
        "Quicker on most GPUs and never on a processor: “auto” uses it where there is a GPU.",
        ("fine-tune",),
        ("auto", "on", "off"),
    ),
    "code": Option(
        "text",
        own_code.TEMPLATE,
        "Code",
        "Python that defines build_model(input_shape, labels) and returns a Keras model; or lines of "
        "model.add(…), to which the last layer is added. At the command line, the name of a file.",
        ("custom",),
        high=own_code.MOST_BYTES,
    ),
    "image_size": Option(
        "whole",
        128,
        "Side of the images (pixels)",
        "Every image is made a square of this side. Larger shows more and takes longer.",
        LEARNING,
        low=16,
        high=512,
    ),
    "colour": Option(
        "choice",
        "colour",
        "Colour",
        "Whether the network is given three channels or one.",
        ("custom",),
        ("colour", "greyscale"),
    ),
    "loss": Option(
        "choice",
        "auto",
        "Loss",
        "What it learns to make small. “auto” is what the code compiles, else cross-entropy.",
        ("custom",),
        ("auto", "cross-entropy", "focal", "mean-squared-error"),
    ),
    "model": Option(
        "text",
        "",
        "Model",
        "A .keras or .h5 file, or a zip from Teachable Machine.",
        ("uploaded",),
        high=1024,
    ),
    "scaling": Option(
        "choice",
        facts.AUTO,
        "Pixels were scaled to",
        "What its training did to the values 0 to 255; “auto” where the file itself tells.",
        ("uploaded",),
        (facts.AUTO, *facts.SCALINGS),
    ),
    "model_labels": Option(
        "text",
        "",
        "Its labels, in order",
        "One a line, or with commas between them, in the order of the outputs; empty: labels.txt beside it, "
        "or this dataset's in alphabetical order.",
        ("uploaded",),
        high=1_000_000,
    ),
    "input_size": Option(
        "whole",
        224,
        "Side of its images (pixels)",
        "Used where the network takes images of any size.",
        ("uploaded",),
        low=8,
        high=1024,
    ),
    "seed": Option(
        "whole",
        1,
        "Seed",
        "Of everything drawn at random: the same seed on the same machine gives the same result.",
        ("quick", *LEARNING),
        low=0,
        high=2**31 - 1,
    ),
}
