"""What a run has learnt so far, epoch by epoch: its curves and its table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from web.charts import as_percent
from web.work import as_duration

METRICS = {"accuracy": "Accuracy", "micro_f1": "Micro F1"}
COLUMNS = ("epoch", "loss", "val_loss", "metric", "val_metric")


@dataclass(frozen=True)
class Curves:
    """A run's events (the lines of progress.jsonl, oldest first) as its page draws it; `task` is its own."""

    events: list[dict[str, Any]]
    task: str = "single-label"

    @cached_property
    def ends(self) -> list[dict[str, Any]]:
        """The event that ended each epoch, in order; of an epoch done again after a resume the later one."""
        found = [event for event in self.events if event.get("metrics") and "epoch" in event]
        return [event for _, event in sorted({event["epoch"]: event for event in found}.items())]

    @cached_property
    def metric(self) -> str:
        """The name of the figure beside the loss: accuracy or micro_f1."""
        names = [name for event in self.ends[:1] for name in METRICS if name in event["metrics"]]
        return names[0] if names else "micro_f1" if self.task == "multi-label" else "accuracy"

    @property
    def metric_words(self) -> str:
        """The same for a person."""
        return METRICS[self.metric]

    def epochs(self) -> dict[str, list[float | None]]:
        """The curves as columns of the same length: epoch, losses, metrics of 0 to 1, None where unknown."""
        rows = [
            (
                event["epoch"],
                event["metrics"].get("loss"),
                event["metrics"].get("val_loss"),
                event["metrics"].get(self.metric),
                event["metrics"].get(f"val_{self.metric}"),
            )
            for event in self.ends
        ]
        return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}

    def rates(self) -> dict[str, list[float]]:
        """What the learning-rate finder tried: columns rate and loss, the lowest rate first."""
        tried = [event for event in self.events if event.get("phase") == "finding" and "loss" in event]
        pairs = sorted((event["rate"], event["loss"]) for event in tried if "rate" in event)
        return {"rate": [rate for rate, _ in pairs], "loss": [loss for _, loss in pairs]}

    def suggested(self) -> float | None:
        """The rate that the finder suggests, once it has one."""
        found = [event["suggested"] for event in self.events if event.get("suggested")]
        return found[-1] if found else None

    def rows(self) -> list[list[str]]:
        """The epoch table: epoch, loss, validation loss, metric, validation metric, rate, duration."""
        return [_row(event, self.metric) for event in self.ends]

    def as_json(self) -> dict[str, Any]:
        """All of it for the page to follow; `sources` are the columns of the charts' data by name."""
        suggested = self.suggested()
        return {
            "sources": {
                "epochs": self.epochs(),
                "rates": self.rates(),
                "suggested": {"rate": [] if suggested is None else [suggested]},
            },
            "epochs": self.rows(),
            "suggestion": "" if suggested is None else as_rate(suggested),
        }


def _row(event: dict[str, Any], metric: str) -> list[str]:
    known = event["metrics"]
    return [
        f"{event['epoch']}",
        *[_as_loss(known.get(name)) for name in ("loss", "val_loss")],
        *[_as_share(known.get(name)) for name in (metric, f"val_{metric}")],
        "–" if known.get("learning_rate") is None else as_rate(known["learning_rate"]),
        "–" if event.get("seconds") is None else as_duration(event["seconds"]),
    ]


def as_rate(rate: float) -> str:
    """A learning rate as a person reads it, such as 0.0012 or 3.2e-06."""
    return f"{rate:.2g}"


def _as_loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _as_share(value: float | None) -> str:
    return "–" if value is None else as_percent(value)
