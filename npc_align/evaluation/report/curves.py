"""Curves over training steps, as the shares of a box that the page draws: text stays text, in the reader's own fonts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from npc_align.evaluation.report.runs import Points, ShownRun
from npc_align.evaluation.report.words import Text

_TICKS = 4


@dataclass(frozen=True)
class Series:
    """A line of a panel: `path` is SVG path data in a box of 100 x 100; `dots` marks each measured point as well."""

    name: Text
    path: str
    dots: str


@dataclass(frozen=True)
class Panel:
    """Series over the same steps. Ticks are (percent from the left or from the top, label)."""

    title: Text
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]


def panels(run: ShownRun) -> list[Panel]:
    """The run's loss curves, and the gate's violation rate below; a panel without a point is left out."""
    losses = [
        (Text("학습 손실", "train loss"), run.curve("loss"), False),
        (Text("따로 둔 대사의 손실", "held-out loss"), run.curve("eval_loss"), True),
    ]
    rates = [(Text("흠 있는 대사 (기본 디코딩)", "greedy violation rate"), run.curve("eval_violation_rate"), True)]
    steps = max((x for _, points, _ in (*losses, *rates) for x, _ in points), default=1) or 1
    wanted = ((Text("손실", "loss"), losses, 1, ""), (Text("흠 있는 대사", "violation rate"), rates, 100, "%"))
    drawn = [_panel(title, lines, steps, scale, unit) for title, lines, scale, unit in wanted]
    return [panel for panel in drawn if panel.series]


def _panel(title: Text, lines: list[tuple[Text, Points, bool]], steps: float, scale: int, unit: str) -> Panel:
    finite = [(name, tuple(p for p in points if math.isfinite(p[1])), dots) for name, points, dots in lines]
    highest = max((y for _, points, _ in finite for _, y in points), default=0)
    ys, xs = ticks(highest), ticks(steps)
    series = tuple(_series(name, points, steps, ys[-1], dots) for name, points, dots in finite if points)
    x_ticks = tuple((100 * x / steps, f"{x:g}") for x in xs if x <= steps)
    return Panel(title, x_ticks, tuple((100 - 100 * y / ys[-1], f"{scale * y:g}{unit}") for y in ys), series)


def _series(name: Text, points: Points, right: float, top: float, dots: bool) -> Series:
    places = [f"{100 * x / right:.2f} {100 - 100 * max(y, 0) / top:.2f}" for x, y in points]
    return Series(name, "M" + "L".join(places), "".join(f"M{place}h0" for place in places) if dots else "")


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 to at least `highest`, about five of them."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [round(i * step, 10) for i in range(math.ceil(highest / step - 1e-9) + 1)]
