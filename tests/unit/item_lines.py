"""The words of a line that the item check objects to, for a record."""

from __future__ import annotations

from typing import Any

from npc_align.checks import items
from npc_align.domain import load_domain

DOMAIN = load_domain("weapon_rental")


def record(adventurer: str, previous: str, personality: str) -> dict[str, Any]:
    first = previous == "없음"
    return {
        "모험가타입": adventurer,
        "방문횟수": "첫방문" if first else "보통",
        "이전_아이템": previous,
        "재방문간격": "없음" if first else "보통",
        "최근_의뢰": "첫방문" if first else "성공",
        "성격": personality,
    }


def found(kind: str, line: str, adventurer: str = "전사", previous: str = "도끼", personality: str = "평범형") -> list[str]:
    """The words of the line that earn `kind`."""
    violations = items.check(line, record(adventurer, previous, personality), DOMAIN)
    return [line[v.start : v.end] for v in violations if v.kind == kind]
