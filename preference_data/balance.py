"""What has to go from a set of pairs until no kind, personality or share of corruptions is too large."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preference_data.pairs import Limits, Pair

# No personality gets more than this many times the median one's pairs.
PERSONALITY_RATIO = 1.5
Bucket = tuple[tuple[bool, bool, bool], tuple[str, ...], str]  # Pair.dispensable, reasons, personality


def balanced(pairs: list[Pair], limits: Limits, dropped: Counter[str]) -> list[Pair]:
    """The pairs without those that made a kind, a personality or the corruptions too many.

    What has to go for one limit moves the others, so it is done until all hold.
    """
    while pairs:
        reason, excess, count = _excess(pairs, limits)
        if not excess:
            break
        going = _most_dispensable(excess, pairs, count, limits)
        dropped[reason] += len(going)
        pairs = [pair for pair in pairs if id(pair) not in going]
    return pairs


def _excess(pairs: Sequence[Pair], limits: Limits) -> tuple[str, list[Pair], int]:
    """What there is too much of, the pairs that make it so, and how many of them have to go; an empty list when all limits hold."""
    if limits.total is not None and len(pairs) > limits.total:
        return "too many in all", list(pairs), len(pairs) - limits.total
    kinds, people = _counts(pairs)
    kind, count = max(kinds.items(), key=lambda item: item[1])
    # Of two kinds one has half at least, whatever the cap.
    surplus = _surplus(count, len(pairs), max(limits.kind_cap, 1 / len(kinds)))
    if surplus and count > 1:  # one pair of a kind is never too many: a handful could keep to no share
        return f"too many {kind}", [pair for pair in pairs if kind in pair.reasons], min(surplus, count - 1)
    person, count = max(people.items(), key=lambda item: item[1])
    allowed = max(1, math.ceil(PERSONALITY_RATIO * statistics.median(people.values())))
    if count > allowed:
        return f"too many {person}", [pair for pair in pairs if pair.personality == person], count - allowed
    corrupted = [pair for pair in pairs if pair.corrupted]
    surplus = _surplus(len(corrupted), len(pairs), limits.corrupted_share)
    return ("too many corruptions", corrupted, surplus) if surplus else ("", [], 0)


def _surplus(part: int, whole: int, cap: float) -> int:
    """How many of `part` have to go until they are at most `cap` of what is left."""
    if part <= cap * whole:
        return 0
    return min(part, math.ceil((part - cap * whole) / (1 - cap) - 1e-9))


def _most_dispensable(excess: Iterable[Pair], pairs: Iterable[Pair], count: int, limits: Limits) -> set[int]:
    """The ids (of the objects) of `count` pairs whose loss costs least, counted anew after each.

    Corruptions go before samples, mere cuts before mistakes of speech, lines of earlier models before those of the newest, and common
    kinds and personalities before rare ones.
    """
    kinds, people = _counts(pairs)
    buckets: dict[Bucket, list[Pair]] = defaultdict(list)
    for pair in excess:
        buckets[pair.dispensable, pair.reasons, pair.personality].append(pair)

    def commonness(bucket: Bucket) -> tuple[tuple[bool, bool, bool], float, int]:
        dispensable, reasons, person = bucket
        return dispensable, limits.commonness(reasons, kinds), people[person]

    going = set()
    for _ in range(count):
        bucket = max(buckets, key=commonness)
        pair = buckets[bucket].pop()
        if not buckets[bucket]:
            del buckets[bucket]
        going.add(id(pair))
        kinds.subtract(pair.reasons)
        people[pair.personality] -= 1
    return going


def _counts(pairs: Iterable[Pair]) -> tuple[Counter[str], Counter[str]]:
    """How often each kind and each personality occurs among the pairs."""
    kinds: Counter[str] = Counter()
    people: Counter[str] = Counter()
    for pair in pairs:
        kinds.update(pair.reasons)
        people[pair.personality] += 1
    return kinds, people
