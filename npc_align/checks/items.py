"""Items of the game's world in a line: rentals that never happened, and wishes that the class has no use for.

Gives no verdict where a clause may speak of somebody else, or of a figure of speech: a false alarm costs a good line, and a
miss is caught by the next judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npc_align.checks.item_clauses import Mention, Sentence, readings, sentences_of
from npc_align.checks.item_past import Past
from npc_align.checks.item_wishes import asked_later, asks_for
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token, spoken_tokens
from npc_align.violation import Violation

KINDS = ("hallucinated_item", "class_item_mismatch")


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) by the items it names."""
    if not any(_may_be_wrong(items, attributes, domain) for items in readings(line, domain)):
        return []
    sentences = list(sentences_of(line, spoken_tokens(line), domain))
    found: list[Violation] = []
    before: list[Token] = []
    for i, sentence in enumerate(sentences):
        if sentence.mentions:
            found += _hallucinated(line, sentence, attributes, domain)
            found += _mismatched(line, sentences, i, before[-60:], attributes, domain)
        before += sentence.morphemes
    return found


def _may_be_wrong(items: frozenset[str], attributes: Mapping[str, Any], domain: Domain) -> bool:
    """Whether this customer hasn't had, or can't use, what a word means: hardly any other line has to be read."""
    previous = domain.role(attributes, "previous_item")
    usable = domain.affinity.get(str(domain.role(attributes, "class")))
    return (previous is not None and previous not in items) or (bool(usable) and items.isdisjoint(usable or ()))


def _violation(kind: str, line: str, mention: Mention, fault: str, known: str) -> Violation:
    return Violation(kind, mention.start, mention.end, f"{fault}: {line[mention.start : mention.end]}. {known}")


def _mismatched(
    line: str, sentences: Sequence[Sentence], at: int, before: Sequence[Token], attributes: Mapping[str, Any], domain: Domain
) -> list[Violation]:
    adventurer = domain.role(attributes, "class")
    usable = domain.affinity.get(str(adventurer))
    if not usable:
        return []
    known = f"쓸 수 있는 것: {', '.join(usable)}."
    wrong = [
        m
        for m in sentences[at].mentions
        if not m.items & set(usable) and _is_asked_for(line, sentences, at, m, before, attributes, domain)
    ]
    return [_violation("class_item_mismatch", line, m, f"{adventurer}에게 맞지 않는 물건을 청합니다", known) for m in wrong]


def _is_asked_for(
    line: str,
    sentences: Sequence[Sentence],
    at: int,
    mention: Mention,
    before: Sequence[Token],
    attributes: Mapping[str, Any],
    domain: Domain,
) -> bool:
    tone = domain.tone_of(attributes)
    previous = domain.role(attributes, "previous_item")
    had = previous in mention.items
    question = any(t.tag == "SF" and "?" in t.form for t in sentences[at].morphemes)
    # A bare name of the item that the customer has had may as well tell of it.
    terse = tone is not None and tone.fragments and not had
    if asks_for(sentences[at], mention, question=question, terse=terse, before=before):
        return True
    told = had or (
        previous is not None and Past(line, sentences[at], mention, previous, domain).was_had(previous == domain.no_item)
    )
    return asked_later(sentences, at, mention, had=told)


def _hallucinated(line: str, sentence: Sentence, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    previous = domain.role(attributes, "previous_item")
    if previous is None:
        return []
    first_visit = previous == domain.no_item
    known = "처음 온 손님이라 빌린 적이 없습니다." if first_visit else f"이전에 빌린 것은 {previous}입니다."
    wrong = [
        m for m in sentence.mentions if previous not in m.items and Past(line, sentence, m, previous, domain).was_had(first_visit)
    ]
    return [_violation("hallucinated_item", line, m, "빌린 적 없는 물건을 이야기합니다", known) for m in wrong]
