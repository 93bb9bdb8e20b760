"""Counterfactual copies of a corpus: the same line about another item of the same class.

A model may learn that only a 활 goes with the wind. A copy that differs in the item alone, in line and attributes alike, says
that the item comes from the attributes. Copies of lines with words that belong to their class come first, so that those
words gain weight against the corpus' common stock.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from npc_align.checks import check_line
from npc_align.corpus import Example
from npc_align.domain import Attributes, Domain
from npc_align.keywords import content_words, over_represented
from npc_align.mentions import item_mentions, rename_mentions
from npc_align.splits import group_ids


def counterfactuals(examples: Sequence[Example], domain: Domain, *, limit: int | None = None, seed: int = 0) -> list[Example]:
    """Copies with another item of the speaker's class, at most one per line and at most as many as there are lines.

    A line is copied where it names one item only, one that its class uses, and nothing that belongs to this item alone
    (a bow's string, a book's page); where the copy breaks no rule; and where no line says it already.

    Args:
        examples: the corpus; copies among them are not copied again.
        domain: the game's world.
        limit: the most copies; None: as many as there are lines.
        seed: another seed, other items.

    Returns:
        Copies whose `augmented_from` is the group id of their source.
    """
    sources = [e for e in examples if e.augmented_from is None]
    groups = group_ids(sources, domain)
    own_words = {
        item: {k.word for k in words} for item, words in over_represented(sources, domain, "previous_item", 1.96).items()
    }
    of_class = {name: {k.word for k in words} for name, words in over_represented(sources, domain, "class").items()}
    taken = {e.line for e in sources}
    rng = random.Random(seed)
    made: list[tuple[int, Example]] = []
    for example, group in zip(sources, groups, strict=True):
        copy = _copy(example, domain, own_words, rng)
        if copy is None or copy[1] in taken:
            continue
        taken.add(copy[1])
        class_words = of_class.get(str(domain.role(example.attributes, "class")), set())
        weight = len(content_words(example.line, domain) & class_words)
        made.append((weight, Example(*copy, f"{example.id}*", group)))
    made.sort(key=lambda pair: -pair[0])
    return [copy for _, copy in made[: len(sources) if limit is None else min(limit, len(sources))]]


def _copy(
    example: Example, domain: Domain, own_words: Mapping[str, set[str]], rng: random.Random
) -> tuple[Attributes, str] | None:
    usable = domain.affinity.get(str(domain.role(example.attributes, "class")), ())
    named = [item for item in domain.items if item_mentions(example.line, [item], domain)]
    # A word such as 칼 names several items; which one is meant is for the reader to know.
    if len(named) != 1 or named[0] not in usable:
        return None
    (item,) = named
    if content_words(example.line, domain) & own_words.get(item, set()):
        return None
    choices = [other for other in usable if other != item]
    rng.shuffle(choices)
    for other in choices:
        attributes = _renamed(example.attributes, item, other, domain)
        line = rename_mentions(example.line, item_mentions(example.line, [item], domain), other)
        if not domain.problems(attributes) and not check_line(line, attributes, domain):
            return attributes, line
    return None


def _renamed(attributes: Attributes, item: str, other: str, domain: Domain) -> dict[str, Any]:
    key = domain.roles.get("previous_item")
    return {k: other if k == key and v == item else v for k, v in attributes.items()}
