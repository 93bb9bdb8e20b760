"""Words that one value of an attribute has more of than the others: what a model may take for the value itself."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from npc_align.corpus import Example
from npc_align.domain import Domain
from npc_align.korean.morphemes import tokens
from npc_align.mentions import item_mentions

ROLES = ("class", "previous_item", "result")
_CONTENT = ("NNG", "NNP", "XR", "VV", "VA", "MAG")  # Kiwi's tags of words that carry meaning
_PRIOR = 500.0  # weight of the whole corpus' frequencies, in words


@dataclass(frozen=True)
class Keyword:
    """A word, how many lines of the value have it, and its z-score; above 1.96 chance is unlikely."""

    word: str
    lines: int
    z: float


def over_represented(examples: Sequence[Example], domain: Domain, role: str, minimum: float = 2.58) -> dict[str, list[Keyword]]:
    """Per value of the role's attribute the words it has too many of, the strongest first; item names are left out.

    Log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008, "Fightin' Words", equations 15 to 22),
    counted once per line.

    Args:
        examples: the corpus.
        domain: the game's world.
        role: one of `ROLES`; a domain without it gives nothing.
        minimum: smallest z-score listed; 2.58 is one chance in a hundred for a word looked at alone.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        value = domain.role(example.attributes, role)
        if value is not None:
            counts[str(value)].update(content_words(example.line, domain))
    overall = sum(counts.values(), Counter[str]())
    return {
        value: sorted((k for k in _scored(own, overall) if k.z >= minimum), key=lambda k: (-k.z, k.word))
        for value, own in counts.items()
    }


def content_words(line: str, domain: Domain) -> frozenset[str]:
    """Nouns, roots, adverbs, verbs and adjectives in their dictionary form; the names of items are left out."""
    named = item_mentions(line, domain.items, domain)
    found = (
        token
        for token in tokens(line)
        if token.tag.split("-")[0] in _CONTENT and not any(start < token.end and token.start < end for start, end in named)
    )
    return frozenset(token.form + ("다" if token.tag[0] == "V" else "") for token in found)


def _scored(own: Counter[str], overall: Counter[str]) -> list[Keyword]:
    own_total, total = own.total(), overall.total()
    rest_total = total - own_total
    if not rest_total:
        return []
    scored = []
    for word, here in own.items():
        prior = _PRIOR * overall[word] / total
        there = overall[word] - here
        odds = math.log((here + prior) / (own_total + _PRIOR - here - prior))
        others = math.log((there + prior) / (rest_total + _PRIOR - there - prior))
        spread = math.sqrt(1 / (here + prior) + 1 / (there + prior))
        scored.append(Keyword(word, here, (odds - others) / spread))
    return scored
