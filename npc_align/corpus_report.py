"""What a corpus is made of, and whether that is fit to train on: `npc-data stats` and `npc-data corpus-report`."""

from __future__ import annotations

import itertools
import re
import statistics as stats
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from npc_align.corpus import Example
from npc_align.domain import Domain
from npc_align.keywords import ROLES, over_represented
from npc_align.likeness import near_components

# Largest values that the report calls fit, as shares where not said otherwise.
_MOST_NEAR = 0.03
_MOST_REPEATED_SENTENCES = 0.02
_MOST_SHARED_OPENINGS = 0.01
_SHORT = 4  # Hangul syllables: "또 왔어." may be said twice
_KEYWORDS = 5  # shown per value


@dataclass(frozen=True)
class Figure:
    """One measured property. `limit` is the largest value that is fit; None where there is nothing to hold it against."""

    name: str
    value: float
    limit: float | None = None

    @property
    def fit(self) -> bool:
        return self.limit is None or self.value <= self.limit


def statistics(examples: Sequence[Example], domain: Domain) -> dict[str, Any]:
    """What a corpus is made of, ready for JSON: values, lengths, repetition, variety."""
    lines = [example.line for example in examples]
    lengths = [len(line) for line in lines]
    return {
        "examples": len(examples),
        "values": {
            attribute.key: _value_counts(examples, attribute.key, list(attribute.labels)) for attribute in domain.attributes
        },
        "cells": _cell_sizes(examples, domain),
        "characters": {"min": min(lengths), "median": stats.median(lengths), "max": max(lengths)} if lengths else {},
        "duplicate_lines": len(lines) - len(set(lines)),
        "near_duplicate_lines": _near_duplicates(lines),
        "distinct_openings": {p: len({_opening(e.line) for e in own}) for p, own in _by_personality(examples, domain).items()},
        "distinct_1": _distinct(lines, 1),
        "distinct_2": _distinct(lines, 2),
    }


def fitness(examples: Sequence[Example], domain: Domain, checked: Callable[[Example], bool]) -> list[Figure]:
    """The properties that a corpus should have before a model learns from it.

    Args:
        examples: at least one.
        domain: the game's world.
        checked: whether an example passes the checks; asked for each of them.
    """
    lines = [example.line for example in examples]
    return [
        Figure("lines told twice", len(lines) - len(set(lines)), 0),
        Figure("share of lines with a near neighbour", _near_duplicates(lines) / len(lines), _MOST_NEAR),
        Figure("share of sentences told twice", repeated_sentences(lines), _MOST_REPEATED_SENTENCES),
        Figure("share of openings across levels of speech", shared_openings(examples, domain), _MOST_SHARED_OPENINGS),
        Figure("empty cells of personality, class, result and visit", list(_cells(examples, domain).values()).count(0), 0),
        Figure("values never heard", _unheard(examples, domain), 0),
        Figure("lines that break a rule", sum(not checked(example) for example in examples), 0),
    ]


def variety(examples: Sequence[Example], domain: Domain) -> dict[str, dict[str, float]]:
    """Per personality: lines, distinct openings (two words), distinct-1, distinct-2, median length in characters."""
    return {
        personality: {
            "lines": len(own),
            "distinct_openings": len({_opening(e.line) for e in own}),
            "distinct_1": _distinct([e.line for e in own], 1),
            "distinct_2": _distinct([e.line for e in own], 2),
            "median_characters": stats.median(len(e.line) for e in own),
        }
        for personality, own in _by_personality(examples, domain).items()
    }


def keywords(examples: Sequence[Example], domain: Domain) -> dict[str, dict[str, dict[str, Any]]]:
    """Per role and value: how many words it has too many of (z of at least 2.58), and the strongest ones."""
    return {
        role: {
            value: {"words": len(found), "strongest": [asdict(k) for k in found[:_KEYWORDS]]}
            for value, found in over_represented(examples, domain, role).items()
        }
        for role in ROLES
    }


def shared_openings(examples: Sequence[Example], domain: Domain) -> float:
    """Share of the distinct openings (first two words) that personalities of different home levels of speech have in common."""
    homes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for example in examples:
        tone = domain.tone_of(example.attributes)
        if tone is not None:
            homes[_opening(example.line)].add(tone.home)
    return sum(len(levels) > 1 for levels in homes.values()) / len(homes) if homes else 0.0


def repeated_sentences(lines: Sequence[str]) -> float:
    """Share of the sentences of more than a few syllables that stand word for word in another line too."""
    sentences = [s for line in lines for s in {_bare(part) for part in re.split(r"(?<=[.!?~…])\s+", line)} if len(s) > _SHORT]
    counts = Counter(sentences)
    return sum(counts[s] > 1 for s in sentences) / len(sentences) if sentences else 0.0


def _bare(sentence: str) -> str:
    return "".join(re.findall("[가-힣0-9]", sentence))


def _opening(line: str) -> str:
    """The first two words, without their punctuation."""
    return " ".join(_bare(word) for word in line.split()[:2])


def _by_personality(examples: Sequence[Example], domain: Domain) -> dict[str, list[Example]]:
    found: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        personality = domain.role(example.attributes, "personality")
        found["(unset)" if personality is None else str(personality)].append(example)
    return dict(sorted(found.items()))


def _cells(examples: Sequence[Example], domain: Domain) -> dict[tuple[Any, ...], int]:
    """Lines per cell of personality x class x result x visit that the domain allows."""
    keys = [domain.roles[role] for role in ("personality", "class", "result", "visit") if role in domain.roles]
    counts = Counter(tuple(example.attributes.get(key) for key in keys) for example in examples)
    grid = itertools.product(*(domain.by_key[key].labels for key in keys))
    return {cell: counts[cell] for cell in grid if not domain.problems(dict(zip(keys, cell, strict=True)))}


def _cell_sizes(examples: Sequence[Example], domain: Domain) -> dict[str, int]:
    sizes = _cells(examples, domain).values()
    return {"allowed": len(sizes), "filled": sum(size > 0 for size in sizes), "min lines": min(sizes), "max lines": max(sizes)}


def _unheard(examples: Sequence[Example], domain: Domain) -> int:
    heard = {(key, value) for example in examples for key, value in example.attributes.items()}
    return sum((attribute.key, value) not in heard for attribute in domain.attributes for value in attribute.labels)


def _value_counts(examples: Sequence[Example], key: str, allowed: Sequence[Any]) -> dict[str, int]:
    counts = Counter(example.attributes.get(key) for example in examples)
    unset = {"(unset)": counts[None]} if counts[None] else {}
    return {str(value): counts[value] for value in allowed} | unset


def _near_duplicates(lines: Sequence[str]) -> int:
    """How many lines have another one nearer than NEAR, the very same one included."""
    sizes = Counter(likeness := near_components(lines))
    return sum(sizes[component] > 1 for component in likeness)


def _distinct(lines: Iterable[str], size: int) -> float:
    """Share of n-grams of white-space tokens that are different from each other."""
    grams = [tuple(words[i : i + size]) for words in map(str.split, lines) for i in range(len(words) - size + 1)]
    return round(len(set(grams)) / len(grams), 4) if grams else 0.0
