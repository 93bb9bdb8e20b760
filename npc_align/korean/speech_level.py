"""Speech levels (화계) of spoken Korean lines, from the sentence-final endings that Kiwi's morphology finds.

Only the final ending speaks to the listener: 께서, -시- and anything inside a quotation say nothing about the level. Where the
ending is ambiguous the answer is None; a verdict that is wrong costs more than one that is missing.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

POLITE = ("하십시오체", "해요체")
PLAIN = ("하오체", "하게체", "해체", "해라체")
SIDES = ("존댓말", "반말")

# Endings as Kiwi writes them; ᆸ, ᆫ, ᆯ are conjoining jamo (U+11B8, U+11AB, U+11AF). The first pattern that fits decides.
_ENDINGS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (level, re.compile(f"(?:{pattern})$"))
    for level, pattern in (
        ("해요체", "요|죠|[^어]여$|어여"),
        ("하십시오체", "(?:습|ᆸ|옵|답|랍|읍)니(?:다|까)|슴다|십시오|ᆸ시오|소서|나이다|올시다"),
        ("하오체", "^[으시]?오|^소|소이다|구려|리다|다오|라오"),
        ("해체", "ᆯ게|을게|ᆯ까|을까"),
        ("하게체", "^게|게나|^나|^으?나|^세|세나|[는은ᆫ던]가|구먼|[ᆯ을]세|으이|다네|라네|다던가|라던가"),
        ("해라체", "다|더라|냐|^니|라|^자|자꾸나|구나|^으?마|렴|려무나|[ᆯ을]쏘냐|으?랴|람"),
        (
            "해체",
            "^어|^아|^여|야|^지|어야지|으?라지|다지|군|데|거든|니까|고|려고|래|대|냬|재|[ᆯ을]걸|잖아|다며|라며|다면서|라면서|든가",
        ),
    )
)
# -ㅂ시다, -ㅂ디다 are polite among polite sentences and plain (하오체) among plain ones; -네 is 해체 unless the speaker uses 하게체.
_TWO_FACED = re.compile(r"(?:ᆸ|습)(?:시다|디다|디까)$")
# These connect as often as they end: they decide only before a full stop, a question or an exclamation mark.
_WEAK = re.compile(r"^(?:[는은ᆫ]데|으?니까|고|으?려고|지|어|아|여|게|나|니|으?라)$")
# Left hanging, these are plain among plain sentences; among polite ones people take them for an unfinished thought.
_TRAILING = re.compile(r"^(?:[는은ᆫ]데|으?니까|고|으?려고)$")
# Endings that nothing but a sentence end can follow, so that a comma after them splices two sentences.
_STRONG = re.compile(r"(?:요|죠|니다|습니까|십시오|더군|더라|는군|구나|잖아|거든)$")
# Words that look like interjections to Kiwi and close a sentence as predicates do ("내 탓 아냐.").
_VERBAL_INTERJECTIONS = ("아니야", "아냐", "그래")
_CALLS = ("여보세요", "저기요", "여봐요")
# No speaker strings more sentences together; beyond it lies degenerate text, and quadratic time.
_MOST_JOINTS = 24
_TERMINATOR = re.compile(r"[.!?…~。！？\n]+")
_QUOTED = re.compile(
    r"“[^”]*”|‘[^’]*’|「[^」]*」|『[^』]*』|《[^》]*》|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'",
)
_CSV_QUOTED = re.compile(r'""[^"]*""')
_CAT_TAIL = re.compile(r"(?<=[다냐라자])[옹냥](?=\W|$)")
_HANGUL = re.compile(r"[가-힣]")
# A noun that ends so may be a predicate that Kiwi didn't know.
_PREDICATE_LIKE = tuple("다요까죠네지군라자냐니마세게소오어아해줘와봐놔용당")


class Token(NamedTuple):
    """One morpheme: its form, its Sejong tag and its span in the text."""

    form: str
    tag: str
    start: int
    end: int


@dataclass(frozen=True)
class Sentence:
    """A sentence, its addressee level (None where it has none or it isn't clear) and its code-point span in the line."""

    text: str
    level: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Composed:
    """A text in NFC with, for each of its characters, where its source starts and ends in the text as given."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """A span of the composed text in offsets of the given one."""
        if not self.starts:
            return 0, 0
        first = self.starts[min(start, len(self.starts) - 1)]
        return first, max(first, self.ends[end - 1] if end > 0 else 0)


def compose(line: str) -> Composed:
    """`line` in NFC, with the way back to its offsets."""
    if unicodedata.is_normalized("NFC", line):
        positions = range(len(line) + 1)
        return Composed(line, positions[:-1], positions[1:])
    text: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(line):
        for char in unicodedata.normalize("NFC", line[start:end]):
            text.append(char)
            starts.append(start)
            ends.append(end)
    return Composed("".join(text), starts, ends)


def _clusters(line: str) -> list[tuple[int, int]]:
    """Spans of characters that compose with each other."""
    spans: list[tuple[int, int]] = []
    begin = 0
    for i in range(1, len(line) + 1):
        if i < len(line) and (unicodedata.combining(line[i]) or _joins(line[begin:i], line[i])):
            continue
        spans.append((begin, i))
        begin = i
    return spans


def _joins(left: str, right: str) -> bool:
    whole = unicodedata.normalize("NFC", left + right)
    return whole != unicodedata.normalize("NFC", left) + unicodedata.normalize("NFC", right)


@lru_cache(maxsize=1)
def _kiwi() -> Any:
    # Imported here: whoever only imports the checks shouldn't pay for loading. Titles of several words and typos aren't needed,
    # and take half of it.
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1, load_multi_dict=False, load_typo_dict=False)


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[Token, ...]:
    """Kiwi's morphemes of `text`, spans in code points. Anything that UTF-16 can't carry counts as an unknown sign."""
    safe = re.sub(r"[\ud800-\udfff\x00]", "\ufffd", text)
    safe = _CAT_TAIL.sub("~", safe)
    return tuple(Token(t.form, str(t.tag), t.start, t.start + t.len) for t in _kiwi().tokenize(safe))


def quotations(text: str) -> list[tuple[int, int]]:
    """Spans of what stands in quotation marks; a line quoted as a whole is plain speech, not a quotation."""
    spans = [match.span() for match in _QUOTED.finditer(text)]
    whole = len(text) - len(text.lstrip()), len(text.rstrip())
    if spans == [whole]:
        return []
    if text[whole[0] : whole[0] + 1] == '"' == text[whole[1] - 1 : whole[1]] and '""' in text[1:-1]:
        # A line copied out of a CSV file: wrapped as a whole, with its own quotation marks doubled.
        return [match.span() for match in _CSV_QUOTED.finditer(text, whole[0] + 1)]
    return spans


def spoken_tokens(text: str) -> tuple[Token, ...]:
    """The morphemes outside quotation marks: what the speaker says in their own name."""
    quoted = quotations(text)
    return tuple(t for t in tokens(text) if not _covered(t.start, quoted)) if quoted else tokens(text)


def sentences(line: str) -> list[Sentence]:
    """The sentences of a line with their addressee levels; spans are code-point offsets into `line`."""
    composed = compose(line)
    found = []
    for sentence in _sentences(composed.text):
        start, end = composed.span(sentence.start, sentence.end)
        found.append(replace(sentence, text=line[start:end], start=start, end=end))
    return found


def politeness(line: str) -> str:
    """Which side a line is on: 존댓말, 반말, 혼용 (both) or 판단불가 (no sentence has a level)."""
    sides = {side_of(s.level) for s in sentences(line) if s.level is not None}
    if len(sides) > 1:
        return "혼용"
    return sides.pop() if sides else "판단불가"


def side_of(level: str) -> str:
    """존댓말 or 반말."""
    return "존댓말" if level in POLITE else "반말"


def fragments_only(line: str) -> bool:
    """Whether a line is nothing but calls, interjections and noun fragments. False where that is in doubt."""
    text = compose(line).text
    if quotations(text) or not _HANGUL.search(text):
        return False
    morphemes = tokens(text)
    if any(t.tag in ("EF", "EC", "EP") or (t.tag == "JX" and t.form.endswith("요")) for t in morphemes):
        return False
    return all(_nominal_end(morphemes, start, end) for start, end in _segments(text, []))


def _nominal_end(morphemes: tuple[Token, ...], start: int, end: int) -> bool:
    inside = [t for t in _within(morphemes, start, end) if t.tag[0] not in "SWZ"]
    if not inside:
        return True
    last = inside[-1]
    doubtful = last.tag in ("NNG", "NNP", "XR", "UN", "NA") and last.form.endswith(_PREDICATE_LIKE)
    return (not doubtful and last.tag[:2] not in ("VV", "VA", "VX", "VC", "XS", "ET")) or last.tag == "XSN"


@lru_cache(maxsize=8192)
def _sentences(text: str) -> tuple[Sentence, ...]:
    outside = spoken_tokens(text)
    found: list[Sentence] = []
    for start, end in _segments(text, quotations(text)):
        inside = _within(outside, start, end)
        new = _levels(text, start, end, inside)
        if _reports(inside):
            _disown(found, new[-1].level)
        found += new
    return tuple(_settle(found))


def _segments(text: str, quoted: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans between sentence-ending punctuation, with it; what holds no letter joins the span before it."""
    cuts = [
        match.end() for match in _TERMINATOR.finditer(text) if _ends_sentence(text, match) and not _covered(match.start(), quoted)
    ]
    spans: list[tuple[int, int]] = []
    begin = 0
    for cut in [*cuts, len(text)]:
        piece = text[begin:cut]
        if spans and not re.search(r"[^\W_ㄱ-ㅣ]", piece):
            spans[-1] = (spans[-1][0], begin + len(piece.rstrip()))
        elif piece.strip():
            spans.append((begin + len(piece) - len(piece.lstrip()), begin + len(piece.rstrip())))
        begin = cut
    return spans


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    after = text[match.end() : match.end() + 1]
    if set(match.group()) == {"~"}:
        return not after or after.isspace()
    return not (match.group() == "." and after.isdigit())


def _covered(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether one of the spans, which come in order, holds the position."""
    at = bisect_right(spans, position, key=lambda span: span[0])
    return at > 0 and position < spans[at - 1][1]


def _within(morphemes: tuple[Token, ...], start: int, end: int) -> tuple[Token, ...]:
    """The morphemes that start in the span; they come in order."""
    first = bisect_left(morphemes, start, key=lambda t: t.start)
    return morphemes[first : bisect_left(morphemes, end, lo=first, key=lambda t: t.start)]


def _reports(morphemes: Sequence[Token]) -> bool:
    """Whether a sentence opens by reporting the one before it ("라고 했어요", "하길래")."""
    if not morphemes:
        return False
    first = morphemes[0]
    if first.tag == "JKQ" or first.form in ("라고", "하고"):
        return True
    return first.form in ("하", "이러", "이렇") and first.tag[0] == "V" and len(morphemes) > 1 and morphemes[1].tag[0] == "E"


def _disown(found: list[Sentence], reporting: str | None) -> None:
    """Takes the level off the sentences that the next one reports ("살려 줘! 하길래"): they were somebody else's."""
    for i in range(len(found) - 1, -1, -1):
        level = found[i].level
        if i < len(found) - 1 and (level is None or reporting is None or side_of(level) == side_of(reporting)):
            return
        found[i] = replace(found[i], level=None)


def _levels(text: str, start: int, end: int, morphemes: tuple[Token, ...]) -> list[Sentence]:
    """One sentence for a segment, or several where a comma or nothing at all stands between whole sentences."""
    for cut in _joints(text, morphemes):
        left = _within(morphemes, start, cut)
        right = _within(morphemes, cut, end)
        if _spliced(left, right) and _segment_level(right, text[start:end]) is not None:
            first = Sentence(text[start:cut], _segment_level(left, ","), start, cut)
            begin = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
            return [first, *_levels(text, begin, end, right)]
    return [Sentence(text[start:end], _segment_level(morphemes, text[start:end]), start, end)]


def _joints(text: str, morphemes: Sequence[Token]) -> list[int]:
    """Where one sentence of a segment may end and the next begin: after commas, and after final endings before a space."""
    commas = [t.end for t in morphemes if t.tag == "SP" and t.form in (",", "，")]
    endings = [t.end for t in morphemes if (t.tag == "EF" or _is_yo(t)) and text[t.end : t.end + 1].isspace()]
    return sorted(commas + endings)[:_MOST_JOINTS]


def _spliced(left: tuple[Token, ...], right: tuple[Token, ...]) -> bool:
    words = [t for t in left if t.tag[0] not in "SWZ"]
    if not words or _quotes_back(right):
        return False
    last = words[-1]
    if last.tag == "JX" and last.form == "요":
        return len(words) > 1 and words[-2].tag == "EF"
    tensed = len(words) > 1 and words[-2].tag == "EP"
    if tensed and last.form in ("어", "네"):
        # After a tense marker these two only end, whatever Kiwi calls them.
        return True
    return last.tag == "EF" and bool(_STRONG.search(last.form) or (tensed and last.form in ("다", "군")))


def _quotes_back(morphemes: Sequence[Token]) -> bool:
    """Whether what follows reports speech without quotation marks ("…, 그래, 이랬어요")."""
    return any(t.tag == "JKQ" or t.form in ("이러", "그러", "이렇", "그렇", "라고", "하고") for t in morphemes)


def _segment_level(morphemes: tuple[Token, ...], surface: str) -> str | None:
    """The level by the last comma piece that has one; what stands after it is postposed ("좋더군, 그 그림.")."""
    pieces: list[list[Token]] = [[]]
    for token in morphemes:
        if token.tag == "SP" and token.form in (",", "，"):
            pieces.append([])
        else:
            pieces[-1].append(token)
    final = _final_mark(surface)
    for i, piece in enumerate(reversed(pieces)):
        level = _piece_level(piece, final if i == 0 else ",?" if final == "?" else ",")
        if level is not None:
            return level
    return None


def _final_mark(surface: str) -> str:
    """How a segment closes: "…" (trails off), "." (also ! and ?) or "" (nothing)."""
    tail = re.search(r"[.!?…~。！？,]*$", re.sub(r"[\sㄱ-ㅣ)\"'”’」』》\]]+$", "", surface))
    marks = tail.group() if tail else ""
    if "?" in marks or "？" in marks:
        return "?"
    if "…" in marks or ".." in marks or (marks and set(marks) <= {"~"}):
        return "…"
    return "." if marks else ""


def _piece_level(piece: Sequence[Token], mark: str) -> str | None:
    words = [t for t in piece if t.tag[0] not in "SWZ"]
    while len(words) > 1 and words[-1].tag == "IC" and words[-1].form not in _VERBAL_INTERJECTIONS:
        words.pop()
    if not words:
        return None
    ended = _with_ending_last(words)
    return _ending_level(ended, mark, moved=len(ended) < len(words)) if ended else None


def _with_ending_last(words: list[Token]) -> list[Token]:
    """The words up to the ending that closes the sentence: the last word, or the last one before a call or postposed words."""
    if words[-1].tag[0] == "E" or words[-1].tag == "IC" or _is_yo(words[-1]):
        return words
    for i in range(len(words) - 1, 0, -1):
        tag = words[i].tag
        if tag[0] == "E" or _is_yo(words[i]):
            closes = tag == "EF" or _is_yo(words[i]) or _STRONG.search(words[i].form) or words[i].form == "ᆸ시오"
            particle = words[i + 1].tag in ("JX", "JKQ")
            return words[: i + 1] if (closes and not particle) or words[i + 1].form in ("만", "그려", "마는") else []
    return []


def _is_yo(token: Token) -> bool:
    return token.form in ("요", "이요") and token.tag in ("JX", "EF", "EC")


def _ending_level(words: Sequence[Token], mark: str, moved: bool) -> str | None:
    last = words[-1]
    if last.tag == "IC":
        return _interjection_level(words)
    if _is_yo(last):
        call = "".join(t.form for t in words) in _CALLS
        return None if call else "해요체"
    if last.tag not in ("EF", "EC"):
        return None
    if _WEAK.match(last.form) and not _weak_decides(words, mark, moved):
        return None
    if last.form == "니" and "?" not in mark:
        return None
    if _TWO_FACED.search(last.form):
        return "?"
    level = next((level for level, pattern in _ENDINGS if pattern.search(last.form)), None)
    if last.form in ("네", "더네"):
        return "해체?"
    return "해체~" if _TRAILING.match(last.form) else level


def _weak_decides(words: Sequence[Token], mark: str, moved: bool) -> bool:
    """Whether an ending that may also connect closes the sentence here."""
    ending = words[-1]
    if mark in (".", "?"):
        return not (ending.tag == "EC" and (ending.form == "게" or moved))
    if mark == ",?" and ending.form in ("나", "니"):
        return True
    if ending.form in ("어", "아", "여"):
        return ending.tag == "EF" or mark[:1] == ","
    if ending.form in ("지", "게", "나", "니", "라", "으라"):
        return ending.tag == "EF" or (ending.form in ("지", "라") and words[-2].tag == "EP")
    return False


def _interjection_level(words: Sequence[Token]) -> str | None:
    last = words[-1]
    if last.form in _VERBAL_INTERJECTIONS and len(words) > 1:
        return "해체"
    return "해요체" if last.form.endswith("요") and last.form not in _CALLS else None


def _settle(found: list[Sentence]) -> list[Sentence]:
    """Ambiguous endings take the side, or the level, of the clear ones around them."""
    levels = {s.level for s in found}
    polite = bool(levels & set(POLITE))
    plain = bool(levels & {*PLAIN, "해체?"})
    readings = {
        "?": "하오체" if plain and not polite else "하십시오체",
        "해체?": "하게체" if "하게체" in levels else "해체",
        "해체~": None if polite else "해체",
    }
    return [replace(s, level=readings.get(s.level, s.level)) if s.level else s for s in found]
