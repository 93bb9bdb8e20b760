"""loss.png: train and held-out loss against epochs, from metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole row: a killed run may have left half of a last one."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]


def plot_losses(metrics: Path, target: Path) -> None:
    """Draw train and held-out loss (and violation rate, where measured) of one run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(metrics)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for key, label in (("loss", "train loss"), ("eval_loss", "held-out loss"), ("eval_violation_rate", "greedy violation rate")):
        points = [(row["epoch"], row[key]) for row in rows if key in row and "epoch" in row]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o" if key != "loss" else None, markersize=3, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target, dpi=120)
