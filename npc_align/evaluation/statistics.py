"""Intervals for rates, and for the difference of two models on the same prompts."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.959964
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def wilson(hits: int, total: int) -> Interval:
    """Wilson score interval of a proportion. Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Raises:
        ValueError: nothing was counted.
    """
    if total <= 0:
        raise ValueError("a rate over nothing has no interval")
    p, z2 = hits / total, _Z95**2
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))


def paired_difference(first: Sequence[bool], second: Sequence[bool], seed: int = 0) -> Interval:
    """rate(second) - rate(first) on the same prompts, with a percentile bootstrap over prompts (10,000 resamples).

    Raises:
        ValueError: the two aren't paired, or are empty.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"paired samples must have the same length, at least 1: {len(first)} and {len(second)}")
    steps = [int(b) - int(a) for a, b in zip(first, second, strict=True)]
    rng, count = random.Random(seed), len(steps)
    means = sorted(sum(rng.choices(steps, k=count)) / count for _ in range(_RESAMPLES))
    return Interval(sum(steps) / count, means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES)])
