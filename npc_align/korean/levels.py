"""The six speech levels (화계), and the side that each is on. Nothing is imported here: a domain needs the names, not the linguistics."""

from __future__ import annotations

POLITE = ("하십시오체", "해요체")
PLAIN = ("하오체", "하게체", "해체", "해라체")
SIDES = ("존댓말", "반말")


def side_of(level: str) -> str:
    """존댓말 or 반말."""
    return "존댓말" if level in POLITE else "반말"
