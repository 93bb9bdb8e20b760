"""Records of the last quest and the visits, and the kinds that the checks of both find in a line."""

from __future__ import annotations

from typing import Any

from npc_align.checks import results, visits
from npc_align.domain import load_domain

DOMAIN = load_domain("weapon_rental")
FIRST = {"방문횟수": "첫방문", "이전_아이템": "없음", "재방문간격": "없음", "최근_의뢰": "첫방문"}
RESULT, VISIT, INTERVAL = "result_contradiction", "visit_contradiction", "interval_contradiction"


def record(**changed: str) -> dict[str, Any]:
    base = {
        "모험가타입": "전사",
        "방문횟수": "보통",
        "이전_아이템": "검",
        "재방문간격": "보통",
        "최근_의뢰": "성공",
        "성격": "평범형",
    }
    return {**base, **changed}


FAILED = record(최근_의뢰="실패")
WON = record(최근_의뢰="성공")
GREAT = record(최근_의뢰="대성공")
NEW = record(**FIRST)
RECENT = record(재방문간격="최근")
LONG = record(재방문간격="오래됨")


def kinds(line: str, attributes: dict[str, Any]) -> set[str]:
    found = results.check(line, attributes, DOMAIN) + visits.check(line, attributes, DOMAIN)
    assert all(0 <= v.start < v.end <= len(line) for v in found)
    return {v.kind for v in found}
