"""Particles whose form doesn't fit the final sound of the word before them: "사람를", "나무을", "3는"."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.particle_slips import slips
from npc_align.violation import Violation

KINDS = ("josa_error",)


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Wrong particles in `line` (in NFC), each with the word as it should stand."""
    return [
        Violation("josa_error", slip.start, slip.end, f"조사가 앞말에 맞지 않습니다: {word} → {slip.corrected(line)}")
        for slip in slips(line, _nouns(domain))
        for word in (line[slip.start : slip.end],)
    ]


@lru_cache(maxsize=16)
def _nouns(domain: Domain) -> frozenset[str]:
    """The words of the game that are surely nouns: its items, by all their names, and its classes."""
    kinds = domain.by_key.get(domain.roles.get("class", ""))
    aliases = (alias for words in domain.items.values() for alias in words)
    return frozenset((*domain.items, *aliases, *(str(label) for label in (kinds.labels if kinds else ()))))
