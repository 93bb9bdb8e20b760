"""Items named in a line, by the domain's words, and lines that name another one instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from npc_align.domain import Domain
from npc_align.korean.morphemes import tokens
from npc_align.korean.particles import refit


def item_mentions(line: str, items: Collection[str], domain: Domain) -> list[tuple[int, int]]:
    """Spans of the words that name one of `items`, look-alikes left out."""
    words = sorted({word for item in items for word in domain.items.get(item, ())}, key=len, reverse=True)
    if not words:
        return []
    # A word may also begin a verb or adjective: the same syllables are a thing and a colour.
    predicates = {token.start for token in tokens(line) if token.tag[0] == "V"}
    return [
        match.span()
        for match in re.finditer(rf"(?<![가-힣])(?:{'|'.join(map(re.escape, words))})", line)
        if not line.startswith(domain.not_items, match.start()) and match.start() not in predicates
    ]


def rename_mentions(line: str, mentions: Sequence[tuple[int, int]], name: str) -> str:
    """`line` with `name` in place of every mention, the particles after it made to fit."""
    for start, end in sorted(mentions, reverse=True):
        line = line[:start] + name + refit(line[end:], line[start:end], name)
    return line
