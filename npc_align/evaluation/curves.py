"""Is a run still learning, or learning by heart: losses with warning signs, and how much of its lines is training text.

The signs are those of the strategy note this project comes from: a held-out loss far above the train loss, and one that rises again
while the train loss goes on falling.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from npc_align.evaluation.runs import Run
from npc_align.evaluation.terminal import table
from npc_align.korean.speech_level import sentences
from npc_align.likeness import jaccard, trigrams
from npc_align.progress import watched

# The note's "watch out" stands at a train loss of 0.8 and a held-out loss of 1.1, its "overfitting" at 0.3 and 1.5.
WATCH_RATIO = 1.35
_RISE = 1.01  # a held-out loss this many times its lowest has turned, not wavered
_NEIGHBOURS = 8


@dataclass(frozen=True)
class Point:
    """One evaluation. `train_loss`: mean over the steps since the evaluation before; None at step 0."""

    step: int
    epoch: float
    train_loss: float | None
    held_out_loss: float
    violation_rate: float | None
    distinct_lines: float | None
    sign: str


@dataclass(frozen=True)
class Memory:
    """How much of a checkpoint's greedy lines is training text, as shares; `likeness` is each line's highest, median over lines."""

    step: int
    lines: float
    sentences: float
    likeness: float


def points(run: Run) -> list[Point]:
    """Every evaluation of a run with its warning sign: `ok`, `watch` or `overfitting`."""
    found: list[Point] = []
    losses: list[float] = []
    for row in run.rows:
        if "loss" in row:
            losses.append(row["loss"])
        if "eval_loss" in row:
            train = statistics.mean(losses) if losses else None
            losses = []
            found.append(
                Point(
                    row["step"], row["epoch"], train, row["eval_loss"], row.get("eval_violation_rate"),
                    row.get("eval_distinct_lines"), _sign(found, train, row["eval_loss"]),
                )
            )  # fmt: skip
    return found


def _sign(before: Sequence[Point], train: float | None, held_out: float) -> str:
    if train is None:
        return "ok"
    lowest = min((point.held_out_loss for point in before), default=held_out)
    trained = [point.train_loss for point in before if point.train_loss is not None]
    if held_out > _RISE * lowest and trained and train < trained[-1]:
        return "overfitting"
    return "watch" if held_out >= WATCH_RATIO * train else "ok"


def memory(run: Run, training: Sequence[str]) -> tuple[list[Memory], list[dict[str, Any]]]:
    """Memorisation at every checkpoint with greedy lines, and the best one's lines nearest to training text, nearest first.

    Args:
        training: the lines that the run learnt from.
    """
    known_lines = {_plain(line) for line in training}
    known_sentences = {part for line in training for part in _sentences(line)}
    grams = [(line, trigrams(line)) for line in training]
    found = []
    near: list[dict[str, Any]] = []
    with watched(run.sampled_steps(), "Comparing lines with the training text") as steps:
        for step in steps:
            lines = [sample.line for sample in run.samples(step)]
            own = [part for line in lines for part in _sentences(line)]
            nearest = [_nearest(line, grams) for line in lines]
            found.append(
                Memory(
                    step,
                    sum(_plain(line) in known_lines for line in lines) / len(lines),
                    sum(part in known_sentences for part in own) / max(1, len(own)),
                    statistics.median(likeness for likeness, _ in nearest),
                )
            )
            if step == run.best_step:
                near = _shown(lines, nearest)
    return found, near


def report(run: Run, training: Sequence[str]) -> dict[str, Any]:
    """`points` and `memory` of a run, ready for JSON."""
    steps, near = memory(run, training)
    return {
        "run": str(run.path),
        "best_step": run.best_step,
        "curve": [asdict(point) for point in points(run)],
        "memorisation": [asdict(step) for step in steps],
        "nearest": near,
    }


def text(found: dict[str, Any]) -> str:
    """The report for a terminal."""
    shown = [["step", "epoch", "train loss", "held-out", "violations", "distinct", ""]]
    for point in found["curve"]:
        mark = " <- adapter/" if point["step"] == found["best_step"] else ""
        shown.append(
            [
                str(point["step"]), f"{point['epoch']:.2f}", _number(point["train_loss"], ".3f"), f"{point['held_out_loss']:.3f}",
                _number(point["violation_rate"], ".1%"), _number(point["distinct_lines"], ".1%"), point["sign"] + mark,
            ]
        )  # fmt: skip
    learnt = [["step", "lines", "sentences", "likeness"]]
    learnt += [[str(m["step"]), *(f"{m[key]:.1%}" for key in ("lines", "sentences", "likeness"))] for m in found["memorisation"]]
    nearest = [f"{near['likeness']:.0%}  {near['line']}\n      {near['training']}" for near in found["nearest"]]
    return "\n".join(
        [
            table(shown, numbers=True),
            f"\nwatch: held-out loss at least {WATCH_RATIO} times the train loss; overfitting: it rises while the train loss falls.\n",
            "Greedy lines that are training text, word for word, and the median likeness to the nearest training line:",
            table(learnt, numbers=True),
            "\nNearest to a training line without being it, at the best checkpoint:",
            *nearest,
        ]
    )


def _shown(lines: Sequence[str], nearest: Sequence[tuple[float, str]]) -> list[dict[str, Any]]:
    apart = {line: (likeness, other) for line, (likeness, other) in zip(lines, nearest, strict=True) if likeness < 1}
    ranked = sorted(apart.items(), key=lambda item: -item[1][0])[:_NEIGHBOURS]
    return [{"line": line, "training": other, "likeness": likeness} for line, (likeness, other) in ranked]


def _nearest(line: str, training: Sequence[tuple[str, frozenset[str]]]) -> tuple[float, str]:
    own = trigrams(line)
    return max(((jaccard(own, grams), other) for other, grams in training), default=(0.0, ""))


def _plain(line: str) -> str:
    return " ".join(line.split())


def _sentences(line: str) -> list[str]:
    return [_plain(line[sentence.start : sentence.end]) for sentence in sentences(line)]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
