"""Speech level and manner against the personality (tone_break), and both sides of politeness in one line (mixed_speech)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npc_align.domain import Domain, Tone
from npc_align.korean.morphemes import spoken_tokens
from npc_align.korean.pronouns import humble_pronouns
from npc_align.korean.speech_level import Sentence, fragments_only, sentences
from npc_align.violation import Violation

KINDS = ("tone_break", "mixed_speech")


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) by its sentence-final speech levels, and by a humble 저 where the personality has none."""
    tone = domain.tone_of(attributes)
    with_level = [s for s in sentences(line) if s.level is not None]
    breaks = [] if tone is None else _tone_break(line, with_level, tone)
    return [*breaks, *_mixed_speech(with_level, tone, domain)]


def _tone_break(line: str, spoken: list[Sentence], tone: Tone) -> list[Violation]:
    """A line most of whose sentences are off the personality's levels (half of them only mix), or whose 저 is."""
    if not spoken:
        return _bare(line, tone)
    off = [s for s in spoken if s.level not in tone.allowed and s.sure]
    if not off:
        return _humility(line, tone)
    if 2 * len(off) <= len(spoken):
        return []
    first, allowed = off[0], "·".join(tone.allowed)
    return [Violation("tone_break", first.start, first.end, f"이 성격의 말투({allowed})가 아니라 {first.level}입니다.")]


def _bare(line: str, tone: Tone) -> list[Violation]:
    if tone.fragments or not fragments_only(line):
        return []
    return [Violation("tone_break", 0, len(line), f"문장이 하나도 없습니다. 이 성격은 {'·'.join(tone.home)} 문장으로 말합니다.")]


def _humility(line: str, tone: Tone) -> list[Violation]:
    found = [] if tone.humble else humble_pronouns(spoken_tokens(line))
    if not found:
        return []
    message = f"이 성격은 자기를 낮추지 않습니다. '{found[0].form}'가 아니라 '{'우리' if found[0].form == '저희' else '나'}'라고 합니다."
    return [Violation("tone_break", found[0].start, found[0].end, message)]


def _mixed_speech(spoken: list[Sentence], tone: Tone | None, domain: Domain) -> list[Violation]:
    sides = [domain.side_of(s.level or "") for s in spoken]
    if len(set(sides)) < 2:
        return []
    odd = _odd_sentence(spoken, sides, tone)
    return [Violation("mixed_speech", odd.start, odd.end, f"한 대사에 존댓말과 반말이 섞였습니다. 이 문장은 {odd.level}입니다.")]


def _odd_sentence(spoken: list[Sentence], sides: list[str], tone: Tone | None) -> Sentence:
    """The sentence to mark: the first off the personality's tone, else the first of the rarer (or later) side."""
    off = [s for s in spoken if tone is not None and s.level not in tone.allowed]
    if off:
        return off[0]
    rarer = min(dict.fromkeys(reversed(sides)), key=sides.count)
    return spoken[sides.index(rarer)]
