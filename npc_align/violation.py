"""What a check finds: one fault of a line, with its place and a sentence that a scenario writer understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FORM_KINDS = (
    "tone_break",
    "mixed_speech",
    "foreign_text",
    "josa_error",
    "broken_form",
    "repetition",
    "length",
    "prompt_leak",
    "truncated",
    "banned_word",
)
WORLD_KINDS = (
    "hallucinated_item",
    "class_item_mismatch",
    "result_contradiction",
    "visit_contradiction",
    "interval_contradiction",
)
KINDS = FORM_KINDS + WORLD_KINDS

# As a writer calls them.
KIND_NAMES: Mapping[str, Mapping[str, str]] = {
    "ko": {
        "tone_break": "말투 이탈 (성격과 다른 말투)",
        "mixed_speech": "말투 혼용 (존댓말과 반말이 섞임)",
        "foreign_text": "외국어·외국 글자",
        "josa_error": "조사 틀림",
        "broken_form": "깨진 말꼴 (없는 활용, 없는 낱말)",
        "repetition": "되풀이",
        "length": "길이 (너무 짧거나 긺)",
        "prompt_leak": "프롬프트 누출 (기호나 속성 이름이 샘)",
        "truncated": "잘림 (말이 중간에 끊김)",
        "banned_word": "금칙어",
        "hallucinated_item": "빌린 적 없는 물건",
        "class_item_mismatch": "직업에 안 맞는 물건",
        "result_contradiction": "의뢰 결과와 어긋남",
        "visit_contradiction": "방문 횟수와 어긋남",
        "interval_contradiction": "재방문 간격과 어긋남",
    },
    "en": {
        "tone_break": "tone break (not this personality's way of speaking)",
        "mixed_speech": "mixed speech (polite and plain in one line)",
        "foreign_text": "foreign words or letters",
        "josa_error": "wrong particle",
        "broken_form": "broken form (no such inflection or word)",
        "repetition": "repetition",
        "length": "length (too short or too long)",
        "prompt_leak": "prompt leak (symbols or attribute names)",
        "truncated": "truncated (breaks off)",
        "banned_word": "banned word",
        "hallucinated_item": "an item never rented",
        "class_item_mismatch": "an item the class doesn't use",
        "result_contradiction": "contradicts the quest's result",
        "visit_contradiction": "contradicts the number of visits",
        "interval_contradiction": "contradicts the time since the last visit",
    },
}


@dataclass(frozen=True)
class Violation:
    """One fault: its kind, its span in the line (code-point offsets, end exclusive) and a message in Korean."""

    kind: str
    start: int
    end: int
    message: str


def shown(text: str) -> str:
    """A short excerpt that any terminal can print."""
    return text[:20].encode("utf-8", "replace").decode("utf-8")
