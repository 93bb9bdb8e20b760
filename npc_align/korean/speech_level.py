"""Speech levels (화계) of spoken Korean lines, from the sentence-final endings that Kiwi's morphology finds.

Only the final ending speaks to the listener: 께서, -시- and anything inside a quotation say nothing about the level. Where the
ending is ambiguous the answer is None; a verdict that is wrong costs more than one that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from npc_align.korean.endings import STRONG, YO_TAGS, Reading, closing_level, is_yo, wonder
from npc_align.korean.levels import PLAIN, POLITE, side_of
from npc_align.korean.morphemes import (
    Token,
    compose,
    covered,
    quotations,
    spoken_tokens,
    tokens,
    within,
    words_of,
)
from npc_align.korean.pronouns import speaks_down, speaks_humbly
from npc_align.korean.retelling import announces, cites, is_postposed, quotes_back, reports_back

# No speaker strings more sentences together; beyond it lies degenerate text, and quadratic time.
_MOST_JOINTS = 24
_JOINT_TAGS = ("SP", "EF", *YO_TAGS)
_TERMINATOR = re.compile(r"[.!?…~。！？\n]+")
_HANGUL = re.compile(r"[가-힣]")
_LETTER = re.compile(r"[^\W_ㄱ-ㅣ]")
# What may stand behind the mark that closes a sentence, and such marks.
_BEHIND_MARK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "".join(map(chr, range(0x3131, 0x3164))) + ")\"'”’」』》]"
_MARKS = ".!?…~。！？,"
# A noun that ends so may be a predicate that Kiwi didn't know.
_PREDICATE_LIKE = tuple("다요까죠네지군라자냐니마세게소오어아해줘와봐놔용당워려져켜셔겨서며데든래대걸")


class Sentence(NamedTuple):
    """A sentence, its addressee level (None where it has none or it isn't clear) and its code-point span in the line.

    `sure` is False where the ending stands on either side (-ㅂ시다), and nothing beside it tells on which.
    """

    text: str
    level: str | None
    start: int
    end: int
    sure: bool = True


class _Clause(NamedTuple):
    """A sentence whose level may yet depend on those beside it."""

    reading: Reading | None
    start: int
    end: int
    morphemes: tuple[Token, ...]

    @property
    def side(self) -> str | None:
        return side_of(self.reading.alone) if self.reading is not None and self.reading.alone else None


def sentences(line: str) -> list[Sentence]:
    """The sentences of a line with their addressee levels; spans are code-point offsets into `line`."""
    composed = compose(line)
    found = _sentences(composed.text)
    if composed.text == line:
        return list(found)
    spans = [composed.span(s.start, s.end) for s in found]
    return [s._replace(text=line[start:end], start=start, end=end) for s, (start, end) in zip(found, spans, strict=True)]


def politeness(line: str) -> str:
    """Which side a line is on: 존댓말, 반말, 혼용 (both) or 판단불가.

    A line without any ending that tells ("그러니까 제가…") is on the side of its pronouns and answers: whoever says 저 of themself
    or 네 for yes speaks up, whoever says 너 to the listener or 응 for yes speaks down.
    """
    sides = {side_of(s.level) for s in sentences(line) if s.level is not None}
    if len(sides) > 1:
        return "혼용"
    if sides:
        return sides.pop()
    spoken = spoken_tokens(compose(line).text)
    humble, down = speaks_humbly(spoken), speaks_down(spoken)
    return "판단불가" if humble == down else "존댓말" if humble else "반말"


def fragments_only(line: str) -> bool:
    """Whether a line is noun fragments, with or without calls and interjections, and nothing else. False where that is in doubt.

    A single noun is in doubt: "사장님!" calls.
    """
    text = compose(line).text
    if quotations(text) or not _HANGUL.search(text):
        return False
    morphemes = tokens(text)
    if any(t.tag in ("EF", "EC", "EP") or (t.tag == "JX" and t.form.endswith("요")) for t in morphemes):
        return False
    tags = [t.tag[0] for t in morphemes]
    if "N" not in tags or tags.count("N") + tags.count("M") < 2:
        return False
    return all(_nominal_end(morphemes, start, end) for start, end in _segments(text, []))


def _nominal_end(morphemes: tuple[Token, ...], start: int, end: int) -> bool:
    inside = words_of(within(morphemes, start, end))
    if not inside:
        return True
    last = inside[-1]
    doubtful = last.tag in ("NNG", "NNP", "XR", "UN", "NA") and last.form.endswith(_PREDICATE_LIKE)
    return (not doubtful and last.tag[:2] not in ("VV", "VA", "VX", "VC", "XS", "ET")) or last.tag == "XSN"


@lru_cache(maxsize=8192)
def _sentences(text: str) -> tuple[Sentence, ...]:
    outside = spoken_tokens(text)
    quoted = quotations(text)
    found: list[_Clause] = []
    for start, end in _segments(text, quoted):
        inside = within(outside, start, end)
        clauses = _clauses(text, start, end, inside)
        if found and reports_back(inside):
            _disown(found, clauses[-1].side, at_least=1)
        elif found and cites(inside):
            _disown(found, clauses[-1].side, at_least=0)
        found += clauses
    return tuple(_settle(text, _without_retold(found, quoted), has_elder=any(t.form == "자네" for t in outside)))


def _segments(text: str, quoted: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans between sentence-ending punctuation, with it; what holds no letter joins the span before it."""
    cuts = [
        match.end() for match in _TERMINATOR.finditer(text) if _ends_sentence(text, match) and not covered(match.start(), quoted)
    ]
    spans: list[tuple[int, int]] = []
    begin = 0
    for cut in [*cuts, len(text)]:
        piece = text[begin:cut]
        if spans and not _LETTER.search(piece):
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


# --- Words of others


def _disown(found: list[_Clause], reporting: str | None, at_least: int) -> None:
    """Takes the level off the sentences that the next one reports ("살려 줘! 하길래"): they were somebody else's."""
    last = len(found) - 1
    for i in range(last, -1, -1):
        if i <= last - at_least and (found[i].side is None or reporting is None or found[i].side == reporting):
            return
        found[i] = found[i]._replace(reading=None)


def _without_retold(found: list[_Clause], quoted: list[tuple[int, int]]) -> list[_Clause]:
    """Sentences without the level of what a verb of saying announces ("스승님이 그러셨어요. 활은 마음으로 쏘는 거다.")."""
    kept: list[_Clause] = []
    teller: str | None = None
    for clause in found:
        if teller is not None and clause.side is not None and clause.side != teller:
            clause = clause._replace(reading=None)
        elif clause.side is not None:
            told = any(clause.start <= start < clause.end for start, _ in quoted)
            teller = clause.side if not told and announces(clause.morphemes) else None
        kept.append(clause)
    return kept


# --- Clauses


def _clauses(text: str, start: int, end: int, morphemes: tuple[Token, ...]) -> list[_Clause]:
    """One clause for a segment, or several where a comma or nothing at all stands between whole sentences."""
    found: list[_Clause] = []
    begin = start
    for cut in _joints(text, morphemes):
        left = within(morphemes, begin, cut)
        right = within(morphemes, cut, end)
        if _spliced(left, right) and _segment_level(right, text, end) is not None:
            found.append(_Clause(_segment_level(left, text, cut, ","), begin, cut, left))
            begin = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
    rest = within(morphemes, begin, end)
    return [*found, _Clause(_segment_level(rest, text, end), begin, end, rest)]


def _joints(text: str, morphemes: Sequence[Token]) -> list[int]:
    """Where one sentence of a segment may end and the next begin: after commas, and after final endings before a space."""
    joints = [t.end for t in morphemes if t.tag in _JOINT_TAGS and _is_joint(text, t)]
    return sorted(joints)[:_MOST_JOINTS]


def _is_joint(text: str, token: Token) -> bool:
    if token.tag == "SP":
        return token.form in (",", "，")
    return text[token.end : token.end + 1].isspace() and (token.tag == "EF" or is_yo(token))


def _spliced(left: tuple[Token, ...], right: tuple[Token, ...]) -> bool:
    words = words_of(left)
    return bool(words) and _ends_sentence_with(words) and not quotes_back(right)


def _ends_sentence_with(words: Sequence[Token]) -> bool:
    """Whether words in the middle of a segment end a sentence."""
    last = words[-1]
    if last.tag == "JX" and last.form == "요":
        return len(words) > 1 and words[-2].tag == "EF"
    tensed = len(words) > 1 and words[-2].tag == "EP"
    if tensed and last.form in ("어", "네"):
        # After a tense marker these two only end, whatever Kiwi calls them.
        return True
    if tensed and last.tag == "EF" and last.form in ("다", "군"):
        return True
    return last.tag in ("EF", "EC") and STRONG.search(last.form) is not None


def _segment_level(morphemes: Sequence[Token], text: str, end: int, mark: str | None = None) -> Reading | None:
    """The level by the last comma piece that has one; what stands after it is postposed ("좋더군, 그 그림.")."""
    commas = [i for i, t in enumerate(morphemes) if t.tag == "SP" and t.form in (",", "，")]
    pieces = [morphemes[i + 1 : j] for i, j in pairwise((-1, *commas, len(morphemes)))]
    if mark is None:
        mark = _final_mark(text[morphemes[0].start : end]) if morphemes else ""
    wonders = bool(morphemes) and wonder(morphemes[0])
    reading = None
    for i, piece in enumerate(reversed(pieces)):
        words = words_of(piece)
        if words:
            surface = text[words[0].start : words[-1].end]
            reading = closing_level(words, surface, mark if i == 0 else ",?" if mark == "?" else ",", wonders) or reading
            if reading is not None and not is_postposed(words):
                return reading
    return reading


def _final_mark(surface: str) -> str:
    """How a segment closes: "…" (trails off), "." (also ! and ?) or "" (nothing)."""
    said = surface.rstrip(_BEHIND_MARK)
    marks = said[len(said.rstrip(_MARKS)) :]
    if "?" in marks or "？" in marks:
        return "?"
    if "…" in marks or ".." in marks or (marks and set(marks) <= {"~"}):
        return "…"
    return "." if marks else ""


def _settle(text: str, found: list[_Clause], has_elder: bool) -> list[Sentence]:
    """Sentences with their levels: ambiguous endings take the side, or the level, of the clear ones around them."""
    clear = {c.reading.alone for c in found if c.reading is not None and c.reading.clear}
    polite, plain = bool(clear & set(POLITE)), bool(clear & set(PLAIN))
    settled = []
    for c in found:
        level, sure = None, True
        if c.reading is not None:
            old = has_elder or "하게체" in clear
            level = c.reading.polite if polite else c.reading.old if old else c.reading.plain if plain else c.reading.alone
            sure = polite or plain or c.reading.polite is None or side_of(c.reading.plain or "") == side_of(c.reading.polite)
        settled.append(Sentence(text[c.start : c.end], level, c.start, c.end, sure))
    return settled
