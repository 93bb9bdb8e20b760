"""Words that Korean doesn't have: stems and endings that don't go together, and endings piled on endings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.conjugation import broken_forms
from npc_align.korean.impossible import impossible_words
from npc_align.korean.morphemes import tokens
from npc_align.violation import Violation

KINDS = ("broken_form",)


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """The broken words of `line` (in NFC), each once, with the right form where it is known."""
    morphemes = tokens(line)
    corrections: dict[tuple[int, int], str | None] = {}
    for found in (*broken_forms(line, morphemes), *impossible_words(line, morphemes)):
        span = found.start, found.end
        corrections[span] = corrections.get(span) or found.correct
    return [_violation(line, *span, correct) for span, correct in corrections.items()]


def _violation(line: str, start: int, end: int, correct: str | None) -> Violation:
    message = f"우리말에 없는 꼴입니다: {line[start:end]}."
    return Violation("broken_form", start, end, f"{message} 바른 꼴: {correct}." if correct else message)
