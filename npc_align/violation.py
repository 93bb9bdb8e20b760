"""What a check finds: one fault of a line, with its place and a sentence that a scenario writer understands."""

from __future__ import annotations

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
