"""Intervals for rates, and for the difference of two models on the same prompts."""

from __future__ import annotations

import math
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


def paired_difference(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """mean(second) - mean(first) on the same prompts, with a percentile bootstrap over prompts (10,000 resamples).

    Args:
        first, second: one number or truth value per prompt, in the same order.

    Raises:
        ValueError: the two aren't paired, or are empty.
    """
    import numpy as np

    if len(first) != len(second) or not first:
        raise ValueError(f"paired samples must have the same length, at least 1: {len(first)} and {len(second)}")
    steps, counts = np.unique(np.subtract(second, first, dtype=float), return_counts=True)
    # How often each step is drawn in a resample of prompts is one multinomial draw: the same distribution in milliseconds.
    drawn = np.random.default_rng(seed).multinomial(len(first), counts / len(first), size=_RESAMPLES)
    low, high = np.quantile(drawn @ steps / len(first), [0.025, 0.975], method="inverted_cdf")
    return Interval(float(counts @ steps) / len(first), float(low), float(high))
