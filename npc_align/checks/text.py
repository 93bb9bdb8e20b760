"""The text itself, whatever it says: foreign letters, repetition, length, leaked prompt, cut-off endings, banned words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.speech_level import Token, tokens
from npc_align.violation import Violation

KINDS = ("foreign_text", "repetition", "length", "prompt_leak", "truncated", "banned_word")

_LAUGHING = re.compile(r"[ㅋㅎ]+|[ㅠㅜ]+")
_JAMO = re.compile(r"[ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+")
_LEAK = re.compile(r"#{3,}|\b(?:User|Assistant|System)\s*:|[{}\[\]|]|<[^<>\s]{0,40}>|[\n\r\v\f\x85\u2028\u2029]+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
# A unit of one to six characters, three times or more.
_RUN = re.compile(r"([^\W\d_]{1,6}?)\1{2,}")
# Vowel-like and breath syllables that people stretch and laugh with.
_VOCAL = frozenset("하호히허흐헤후크캬키카캭킁컹으아어오우이에야엉흑흥헉ㅋㅎㅠㅜ")
_COUNTING = re.compile(r"^(?:한|두|세|네|하나|매|몇|조금|차츰|점점)")
_CLOSED = re.compile(r"[.!?…~。！？\"'”’」』)]\s*[ㅋㅎㅠㅜ]*\s*$")
# Particles, determiners and connectives after which a Korean sentence has to go on.
_OPEN_TAGS = ("JKO", "JKG", "JKC", "JC", "MM", "ETM", "XPN")
_OPEN_CONNECTIVES = re.compile(r"^(?:[으]?면서|[으]?며|[으]?므로|자마자|거나|[으]?려면|도록)$")


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) as a piece of text."""
    length = list(_length(line, attributes, domain))
    if not line.strip():
        return length
    checks = (_foreign(line, domain), _repetition(line), _leak(line, domain), _truncated(line), _banned(line, domain))
    return length + [violation for found in checks for violation in found]


def cut_off(line: str) -> list[Violation]:
    """The verdict on a line whose generation was stopped by its length limit: its last word is marked."""
    words = list(re.finditer(r"\S+", line))
    start, end = words[-1].span() if words else (0, len(line))
    return [Violation("truncated", start, end, "생성이 길이 제한에 걸려 도중에 끊겼습니다.")]


def _length(line: str, attributes: Mapping[str, Any], domain: Domain) -> Iterator[Violation]:
    limits = domain.length_of(attributes)
    syllables = sum("가" <= char <= "힣" for char in line)
    if not line.strip():
        yield Violation("length", 0, len(line), "빈 대사입니다.")
    elif syllables < limits.min_syllables:
        yield Violation("length", 0, len(line), f"너무 짧습니다: {syllables}음절(최소 {limits.min_syllables}음절).")
    if limits.max_syllables is not None and syllables > limits.max_syllables:
        yield Violation("length", 0, len(line), f"너무 깁니다: {syllables}음절(최대 {limits.max_syllables}음절).")
    elif len(line) > limits.max_chars:
        yield Violation("length", limits.max_chars, len(line), f"너무 깁니다: {len(line)}자(최대 {limits.max_chars}자).")


def _foreign(line: str, domain: Domain) -> Iterator[Violation]:
    allowed = _positions(line, domain.allowed_foreign)
    start = None
    for i, char in enumerate([*line, " "]):
        odd = i < len(line) and i not in allowed and _is_foreign(char)
        if odd and start is None:
            start = i
        elif not odd and start is not None:
            yield Violation("foreign_text", start, i, f"한글이 아닌 글자: {_shown(line[start:i])}")
            start = None
    for jamo in _JAMO.finditer(line):
        if not _LAUGHING.fullmatch(jamo.group()):
            yield Violation("foreign_text", *jamo.span(), f"홀로 떨어진 자모: {_shown(jamo.group())}")


def _positions(line: str, words: tuple[str, ...]) -> set[int]:
    """Offsets covered by any of the words, where no further Latin letter clings to them."""
    found: set[int] = set()
    for word in words:
        for match in re.finditer(rf"(?<![A-Za-z]){re.escape(word)}", line):
            found.update(range(*match.span()))
    return found


def _is_foreign(char: str) -> bool:
    if "가" <= char <= "힣" or _JAMO.match(char):
        return False
    # Cs, Co and U+FFFD are what byte-level tokenizers leave of a character cut in half.
    return unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Mc", "Cs", "Co") or char == "\ufffd"


def _shown(text: str) -> str:
    """A short excerpt that any terminal can print."""
    return text[:20].encode("utf-8", "replace").decode("utf-8")


def _repetition(line: str) -> Iterator[Violation]:
    found = [*_repeated_clauses(line), *_repeated_phrases(line), *_runs(line)]
    covered: list[tuple[int, int]] = []
    for violation in found:
        # One verdict per place: a repeated clause is a repeated phrase as well.
        if all(violation.end <= start or end <= violation.start for start, end in covered):
            covered.append((violation.start, violation.end))
            yield violation


def _repeated_clauses(line: str) -> Iterator[Violation]:
    seen: set[str] = set()
    for match in re.finditer(r"[^.!?…~,\n]+", line):
        bare = "".join(_WORD.findall(match.group()))
        if len(bare) < 5:
            continue
        if bare in seen:
            yield Violation("repetition", *_stripped(match), f"같은 말이 되풀이됩니다: {_shown(match.group().strip())}")
        seen.add(bare)


def _stripped(match: re.Match[str]) -> tuple[int, int]:
    text = match.group()
    return match.start() + len(text) - len(text.lstrip()), match.end() - len(text) + len(text.rstrip())


def _repeated_phrases(line: str) -> Iterator[Violation]:
    words = list(_WORD.finditer(line))
    forms = [match.group() for match in words]
    i = 0
    while i < len(words):
        size, times = _phrase_at(forms, i)
        if not size:
            i += 1
            continue
        start, end = words[i].start(), words[i + size * times - 1].end()
        yield Violation("repetition", start, end, f"같은 말이 되풀이됩니다: {_shown(line[start : words[i + size - 1].end()])}")
        i += size * times


def _phrase_at(forms: list[str], i: int) -> tuple[int, int]:
    """Words in the phrase that starts at i and is repeated back to back, and how many times it stands; (0, 0) for none."""
    for size in range(1, 7):
        phrase, times = forms[i : i + size], 1
        while forms[i + times * size : i + (times + 1) * size] == phrase:
            times += 1
        if times >= _enough(phrase):
            return size, times
    return 0, 0


def _enough(phrase: list[str]) -> int:
    """From how many times on a repeated phrase is a fault and no emphasis, sound or counting ("한 닢 한 닢")."""
    if len(phrase) > 1:
        rhymes = len({word[-1] for word in phrase}) == 1
        return 2 if len("".join(phrase)) > 3 and not rhymes and not _COUNTING.match(phrase[0]) else 3
    word = phrase[0]
    sound = len(word) == 1 or set(word) <= _VOCAL or word[: len(word) // 2] * 2 == word
    return 5 if sound else 3


def _runs(line: str) -> Iterator[Violation]:
    for match in _RUN.finditer(line):
        if _is_stammer(line, match):
            yield Violation("repetition", *match.span(), f"같은 글자가 되풀이됩니다: {_shown(match.group())}")


def _is_stammer(line: str, match: re.Match[str]) -> bool:
    """Whether a run of syllables is a broken record rather than laughter, a shout or a sound ("하하하", "쾅쾅쾅", "덜컹덜컹")."""
    unit, times = match.group(1), len(match.group()) // len(match.group(1))
    if len(match.group()) > 24:
        return True
    if set(unit) <= _VOCAL:
        return False
    clings = match.start() > 0 and line[match.start() - 1].isalpha()
    if len(unit) > 1:
        return times >= (3 if clings or len(unit) > 2 else 4)
    closed = "가" <= unit <= "힣" and (ord(unit) - ord("가")) % 28 > 0
    return clings or (times > 3 and not (closed and times < 7))


def _leak(line: str, domain: Domain) -> Iterator[Violation]:
    names = {domain.line_key, *(name for a in domain.attributes for name in (a.key, a.prompt_key))}
    fields = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for pattern in (_LEAK, re.compile(rf"(?:{fields})\s*[:=：＝]")):
        for match in pattern.finditer(line):
            shown = "줄 바꿈" if not match.group().strip() else _shown(match.group())
            yield Violation("prompt_leak", *match.span(), f"대사가 아니라 프롬프트의 흔적입니다: {shown}")


def _truncated(line: str) -> Iterator[Violation]:
    text = line.rstrip()
    if text.endswith((",", "，", "、", ":", ";")):
        yield Violation("truncated", len(text) - 1, len(text), "문장이 쉼표 따위로 끝났습니다.")
    elif not _CLOSED.search(text):
        last = tokens(line)[-1:]
        if last and _needs_more(last[0]):
            start = max(text.rfind(" "), text.rfind("\n")) + 1
            yield Violation("truncated", start, len(text), f"말이 도중에 끊겼습니다: {_shown(text[start:])}")


def _needs_more(last: Token) -> bool:
    return last.tag in _OPEN_TAGS or (last.tag == "EC" and bool(_OPEN_CONNECTIVES.match(last.form)))


def _banned(line: str, domain: Domain) -> Iterator[Violation]:
    for word in domain.banned_words:
        for match in re.finditer(re.escape(word), line):
            if not _across_words(line, *match.span()):
                yield Violation("banned_word", *match.span(), f"쓰지 않기로 한 말: {_shown(word)}")


def _across_words(line: str, start: int, end: int) -> bool:
    """Whether the letters only meet by chance, the end of one word and the start of the next."""
    return any(t.start < start < t.end < end for t in tokens(line))
