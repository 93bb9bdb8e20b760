"""How alike two lines are: character 3-grams, and the lines of a corpus that hang together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

NEAR = 0.6  # lines whose trigrams overlap more than this count as the same line told twice


def trigrams(line: str) -> frozenset[str]:
    """Character 3-grams of a line without its white space; a shorter line is one gram of its own."""
    text = "".join(line.split())
    return frozenset(text[i : i + 3] for i in range(max(1, len(text) - 2)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared part of two sets of trigrams, 0 to 1."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if a or b else 1.0


def near_components(lines: Sequence[str]) -> list[int]:
    """A number per line; lines joined by a chain of likenesses above NEAR have the same one.

    Sets that share more than NEAR of either must share one of their few rarest grams (prefix filtering), so only lines
    that meet there are compared. Sets of lines are bit masks: a corpus of templates, where nearly all meet, stays fast,
    because what is joined already drops out in one step.
    """
    grams = [trigrams(line) for line in lines]
    frequency = Counter(gram for own in grams for gram in own)
    meeting: dict[str, int] = defaultdict(int)
    component = list(range(len(lines)))
    members = {index: 1 << index for index in component}
    for index, own in enumerate(grams):
        needed = max(1, int(NEAR * len(own)))
        rarest = sorted(own, key=lambda gram: (frequency[gram], gram))[: len(own) - needed + 1]
        met = 0
        for gram in rarest:
            met |= meeting[gram]
            meeting[gram] |= 1 << index
        while met := met & ~members[component[index]]:
            other = met.bit_length() - 1
            met ^= 1 << other
            if jaccard(own, grams[other]) > NEAR:
                _merge(component, members, index, other)
    return component


def _merge(component: list[int], members: dict[int, int], a: int, b: int) -> None:
    small, large = sorted((component[a], component[b]), key=lambda c: members[c].bit_count())
    mask = members.pop(small)
    members[large] |= mask
    for index in _bits(mask):
        component[index] = large


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask.bit_length() - 1
        mask ^= 1 << (mask.bit_length() - 1)
