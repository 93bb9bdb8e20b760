"""Figures and names in the report's two languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from npc_align.violation import KIND_NAMES

Rate = Mapping[str, float]


class Text(NamedTuple):
    """The same in Korean and in English."""

    ko: str
    en: str


def kind_name(kind: str) -> Text:
    """A kind of violation as a writer calls it; a kind that this version doesn't know keeps its own name."""
    return Text(*(KIND_NAMES[language].get(kind, kind) for language in ("ko", "en")))


def percent(value: float) -> str:
    return f"{value:.1%}"


def interval(rate: Rate, unit: str = "share") -> str:
    """An estimate with its 95 % interval: a share in percent, a mean (`unit`) as it is."""
    value, low, high = (f"{rate[k]:.1%}" if unit == "share" else f"{rate[k]:.3g}" for k in ("value", "low", "high"))
    return f"{value} ({low} ~ {high})"


def points(value: float) -> str:
    """A difference of two shares in percentage points, signed, with a real minus sign."""
    return f"{round(100 * value, 1) + 0.0:+.1f}%p".replace("-", "−")


def difference(rate: Rate, unit: str = "share") -> str:
    """A signed difference with its 95 % interval."""
    if unit == "share":
        return f"{points(rate['value'])} ({points(rate['low'])} ~ {points(rate['high'])})"
    value, low, high = (f"{rate[k] + 0.0:+.3g}".replace("-", "−") for k in ("value", "low", "high"))
    return f"{value} ({low} ~ {high})"
