"""How far people agree with each other, and with themselves.

Opinions of round 1 are compared (a mended line is a bad one, a skip is missing data), each task counting once. Figures stand apart by
mode: good/bad and first/second are never the same word, so that an alpha over both would flatter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from npc_align.evaluation.statistics import wilson
from preference_data.judgements import Judgement
from preference_data.outcomes import Words, all_words, judgement_of, kinds_of, opinion, verdicts_of_tasks
from preference_data.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOO_FEW = 10  # below this many tasks (or choices) a figure is an anecdote
RESAMPLES = 1_000
_SEED = 0


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval where it has one, over how many tasks or choices it was taken, or why there is none."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True)
class Shares:
    """A share over all annotators together, and each one's own."""

    overall: Figure
    by_annotator: dict[str, Figure]


@dataclass(frozen=True)
class Group:
    """What the annotators' words on one group of tasks tell.

    Attributes:
        tasks: on which somebody has an opinion.
        raw: share of pairs of annotators that agree, averaged over the tasks that two or more judged.
        alpha: Krippendorff's, nominal, with a bootstrap interval over tasks.
        kappa: Cohen's, by annotator and annotator.
        self_consistency: share of repeated tasks on which an annotator said the same again.
        left: share of the left (upper) line among choices of one line; about 0.5 unless position leads.
    """

    tasks: int
    raw: Figure
    alpha: Figure
    kappa: dict[str, dict[str, Figure]]
    self_consistency: Shares
    left: Shares


ALL = "all"  # stands for all kinds together


def agreement(store: Store, progress: Callable[[Sequence[Any]], Iterable[Any]] = iter) -> dict[str, dict[str, Group]]:
    """Groups by mode, then by kind of violation, "all" first.

    Args:
        progress: wraps the groups as they are gone through, to show a bar.
    """
    verdicts = verdicts_of_tasks(store)
    groups: dict[tuple[str, str], list[Words]] = {}
    for words in all_words(store):
        for kind in (ALL, *kinds_of(words.task, verdicts)):
            groups.setdefault((words.task.mode, kind), []).append(words)
    found: dict[str, dict[str, Group]] = {}
    for mode, kind in progress(sorted(groups, key=lambda key: (key[0] != "pair", key[1] != ALL, key[1]))):
        found.setdefault(mode, {})[kind] = group_of(groups[mode, kind])
    return found


def group_of(words: Sequence[Words]) -> Group:
    opinions = [w.opinions for w in words]
    return Group(
        tasks=sum(map(bool, opinions)),
        raw=raw_agreement(opinions),
        alpha=alpha(opinions),
        kappa=_kappas(opinions),
        self_consistency=_shares(_repeated(words)),
        left=_shares(_lefts(words)),
    )


# --- Between people


def raw_agreement(opinions: Iterable[Mapping[str, str]]) -> Figure:
    shared = [list(said.values()) for said in opinions if len(said) > 1]
    if len(shared) < TOO_FEW:
        return Figure(len(shared), why="too few")
    rates = [sum(a == b for a, b in combinations(said, 2)) / math.comb(len(said), 2) for said in shared]
    return Figure(len(shared), math.fsum(rates) / len(rates))


def alpha(opinions: Iterable[Mapping[str, str]]) -> Figure:
    """Krippendorff's alpha for nominal data (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    The interval is a percentile bootstrap over the tasks that two or more judged. It depends neither on the order of tasks nor on
    anybody's name. Where all say the same of everything, alpha is undefined: there is nothing to tell agreement from habit.
    """
    import krippendorff
    import numpy as np

    shared = [Counter(said.values()) for said in opinions if len(said) > 1]
    values = sorted(set().union(*shared))
    if len(shared) < TOO_FEW:
        return Figure(len(shared), why="too few")
    if len(values) < 2:
        return Figure(len(shared), why="no variation")
    counts = np.array([[said[value] for value in values] for said in shared])
    low, high = np.percentile(resampled_alphas(counts), [2.5, 97.5])
    value = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    return Figure(len(shared), float(value), float(low), float(high))


def resampled_alphas(counts: NDArray[np.int_]) -> NDArray[np.float64]:
    """Alphas of tasks drawn anew with replacement, from how many people said what (a row per task, a column per value).

    For nominal data alpha is 1 - (n - 1) * sum((m^2 - sum(c^2)) / (m - 1)) / (n^2 - sum(n_v^2)) (Krippendorff 2011, with m words on a
    task, c of each value): sums over tasks. So it is enough to draw how often each kind of row comes, which is a thousand times
    faster than the library's function on every resample. A draw in which all say the same has no alpha and is left out.
    """
    import numpy as np

    rows, often = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(_SEED).multinomial(len(counts), often / len(counts), size=RESAMPLES)
    words = rows.sum(axis=1)
    differing = drawn @ ((words**2 - (rows**2).sum(axis=1)) / (words - 1))
    by_value = drawn @ rows
    total = by_value.sum(axis=1)
    by_chance = total**2 - (by_value**2).sum(axis=1)
    varied = by_chance > 0
    return 1 - (total[varied] - 1) * differing[varied] / by_chance[varied]


def _kappas(opinions: Sequence[Mapping[str, str]]) -> dict[str, dict[str, Figure]]:
    found: dict[str, dict[str, Figure]] = {}
    for a, b in combinations(sorted(set().union(*opinions)), 2):
        shared = [(said[a], said[b]) for said in opinions if a in said and b in said]
        if shared:
            found.setdefault(a, {})[b] = kappa(shared)
    return found


def kappa(pairs: Sequence[tuple[str, str]]) -> Figure:
    """Cohen's kappa of two people's words on the same things. Cohen 1960, doi:10.1177/001316446002000104.

    (observed - expected) / (1 - expected), where expected is how often two people with these habits agree by chance.
    """
    count = len(pairs)
    if count < TOO_FEW:
        return Figure(count, why="too few")
    ones, others = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(ones[word] * others[word] for word in ones) / count**2
    if expected == 1:
        return Figure(count, why="no variation")
    observed = sum(a == b for a, b in pairs) / count
    return Figure(count, (observed - expected) / (1 - expected))


# --- Of each person


def _repeated(words: Iterable[Words]) -> Iterable[tuple[str, bool]]:
    """Annotator, and whether they said the same again, of every task that they judged twice."""
    for w in words:
        for annotator, event in w.again.items():
            second = opinion(judgement_of(event).choice)
            if second is not None and annotator in w.opinions:
                yield annotator, w.opinions[annotator] == second


def _lefts(words: Iterable[Words]) -> Iterable[tuple[str, bool]]:
    """Annotator, and whether they took the left line, of every choice of one line; repeats are choices, too."""
    for w in words:
        for annotator, event in (*w.first.items(), *w.again.items()):
            judgement = judgement_of(event)
            if judgement.choice in ("first", "second"):
                yield annotator, took_left(judgement)


def took_left(judgement: Judgement) -> bool:
    return (judgement.choice == "first") == (judgement.shown == "first-left")


def _shares(found: Iterable[tuple[str, bool]]) -> Shares:
    hits: dict[str, list[bool]] = {}
    for annotator, hit in found:
        hits.setdefault(annotator, []).append(hit)
    by_annotator = {name: rate(sum(own), len(own)) for name, own in sorted(hits.items())}
    return Shares(rate(sum(map(sum, hits.values())), sum(map(len, hits.values()))), by_annotator)


def rate(hits: int, total: int) -> Figure:
    """A share with its Wilson interval."""
    if total < TOO_FEW:
        return Figure(total, why="too few")
    interval = wilson(hits, total)
    return Figure(total, interval.value, interval.low, interval.high)
