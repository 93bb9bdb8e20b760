"""Counterfactual copies of a corpus: the same line about another item of the class, or from another class about the same strange item.

A model may learn that only a 활 goes with the wind. A copy that differs in the item alone, in line and attributes alike, says
that the item comes from the attributes. Copies of lines with words that belong to their class come first, so that those
words gain weight against the corpus' common stock.

Adventurers who come back with an item that isn't their class's own are rare, and what they ask for next is what a model gets wrong:
it asks for that item again. Such a line serves every class to which the item is just as strange, asking for that class's own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from npc_align.checks import check_line
from npc_align.corpus import Example
from npc_align.domain import Attributes, Domain
from npc_align.keywords import content_words, over_represented
from npc_align.mentions import item_mentions, rename_mentions
from npc_align.splits import group_ids

_Copy = tuple[Attributes, str]


def counterfactuals(examples: Sequence[Example], domain: Domain, *, limit: int | None = None, seed: int = 0) -> list[Example]:
    """Copies that break no rule, at most as many as there are lines.

    With another item: one of a line that names one item only, which its class uses, and nothing that belongs to this item alone
    (a bow's string, a book's page); no line says it already. From another class: one for every class that doesn't use the speaker's
    last item either, of a line that names no class, has none of its class's words and names at most one item beside the last one, its
    class's own; that one becomes one of the other class's. Its attributes are nobody else's.

    Args:
        examples: the corpus; copies among them are not copied again.
        domain: the game's world.
        limit: the most copies; None: as many as there are lines.
        seed: another seed, other items.

    Returns:
        Copies whose `augmented_from` is the group id of their source, those from other classes first.
    """
    sources = [e for e in examples if e.augmented_from is None]
    words, rng = _words(sources, domain), random.Random(seed)
    lines, prompts = {e.line for e in sources}, {domain.combination(e.attributes) for e in sources}
    made: list[tuple[float, Example]] = []
    for example, group in zip(sources, group_ids(sources, domain), strict=True):
        own = words.of_class.get(str(domain.role(example.attributes, "class")), set())
        for attributes, line in _from_other_classes(example, domain, words, rng):
            # The line may stand as it is, so its prompt must be a new one.
            if (combination := domain.combination(attributes)) not in prompts:
                prompts.add(combination)
                made.append((math.inf, Example(attributes, line, f"{example.id}*", group)))
        for attributes, line in _with_another_item(example, domain, words, rng):
            if line not in lines:
                lines.add(line)
                made.append((len(words.content(example) & own), Example(attributes, line, f"{example.id}*", group)))
    made.sort(key=lambda pair: -pair[0])
    return [copy for _, copy in made[: len(sources) if limit is None else min(limit, len(sources))]]


@dataclass(frozen=True)
class _Words:
    """Words that go with an item (z above 1.96) or a class (2.58), item names left out."""

    domain: Domain
    of_item: Mapping[str, set[str]]
    of_class: Mapping[str, set[str]]

    def content(self, example: Example) -> frozenset[str]:
        return content_words(example.line, self.domain)


def _words(sources: Sequence[Example], domain: Domain) -> _Words:
    items, classes = over_represented(sources, domain, "previous_item", 1.96), over_represented(sources, domain, "class")
    return _Words(domain, *({name: {k.word for k in words} for name, words in found.items()} for found in (items, classes)))


def _with_another_item(example: Example, domain: Domain, words: _Words, rng: random.Random) -> Iterator[_Copy]:
    usable = domain.affinity.get(str(domain.role(example.attributes, "class")), ())
    named = _named(example, domain)
    # A word such as 칼 names several items; which one is meant is for the reader to know.
    if len(named) != 1 or named[0] not in usable:
        return
    (item,) = named
    if words.content(example) & words.of_item.get(item, set()):
        return
    key = domain.roles.get("previous_item")
    for other in _shuffled([other for other in usable if other != item], rng):
        attributes = {k: other if k == key and v == item else v for k, v in example.attributes.items()}
        line = _renamed(example.line, item, other, domain)
        if _flawless(attributes, line, domain):
            yield attributes, line
            return


def _from_other_classes(example: Example, domain: Domain, words: _Words, rng: random.Random) -> Iterator[_Copy]:
    speaker, last = (str(domain.role(example.attributes, role)) for role in ("class", "previous_item"))
    usable = domain.affinity.get(speaker, ())
    if not usable or last not in domain.items or last in usable or any(name in example.line for name in domain.affinity):
        return
    beside = [item for item in _named(example, domain) if item != last]
    if len(beside) > 1 or not set(beside) <= set(usable) or words.content(example) & words.of_class.get(speaker, set()):
        return
    # 칼 may be the last item or the one beside it; which one is meant is for the reader to know.
    if set(item_mentions(example.line, [last], domain)) & set(item_mentions(example.line, beside, domain)):
        return
    for other, own in domain.affinity.items():
        if other == speaker or not own or last in own:
            continue
        attributes = {**example.attributes, domain.roles["class"]: other}
        # Without a line to rename in there is one to try: the line as it is.
        lines = [_renamed(example.line, beside[0], item, domain) for item in _shuffled(own, rng)] if beside else [example.line]
        fitting = next((line for line in lines if _flawless(attributes, line, domain)), None)
        if fitting:
            yield attributes, fitting


def _named(example: Example, domain: Domain) -> list[str]:
    return [item for item in domain.items if item_mentions(example.line, [item], domain)]


def _renamed(line: str, item: str, other: str, domain: Domain) -> str:
    return rename_mentions(line, item_mentions(line, [item], domain), other)


def _shuffled(items: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(items, len(items))


def _flawless(attributes: Attributes, line: str, domain: Domain) -> bool:
    return not domain.problems(attributes) and not check_line(line, attributes, domain)
