"""A line as Kiwi reads it: composed text with a way back to the given one, morphemes with their spans, quotations."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_QUOTED = re.compile(
    r"“[^”]*”|‘[^’]*’|「[^」]*」|『[^』]*』|《[^》]*》|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'",
)
_QUOTE_MARK = re.compile(r"[“‘「『《\"']")
_CSV_QUOTED = re.compile(r'""[^"]*""')
# What Kiwi misreads, and what it stands for, one character for one, so that spans stay: first of all endings that players decorate.
_DECORATED = (
    (re.compile(r"(?<=[다냐라자])[옹냥](?=\W|$)"), "~"),
    (re.compile(r"(?<=[어아여해게네세까죠예에봐줘와나데])염(?=\W|$)"), "요"),
    (re.compile(r"(?<=[어아여해줘봐와자마])잉(?=\W|$)"), "~"),
    (re.compile(r"(?<=[가-힣])지롱(?=\W|$)"), "지~"),
    # "상관 마. 창 줘." isn't item 마 of a list.
    (re.compile(r"(?<=\s[가나다라마바사아자차카타파하])\.(?=\s)"), "!"),
)
# None of them is in a line without these.
_DECORATION = re.compile(r"[옹냥염잉롱]|[가나다라마바사아자차카타파하]\.\s")
# How the tags of punctuation, foreign letters, links and emoji begin.
NO_WORD = "SWZ"
_UNENCODABLE = re.compile(r"[\ud800-\udfff\x00]")


class Token(NamedTuple):
    """One morpheme: its form, its Sejong tag and its span in the text."""

    form: str
    tag: str
    start: int
    end: int


class Composed(NamedTuple):
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
def kiwi() -> Any:
    """The process' one analyser, a `kiwipiepy.Kiwi`; the first call loads it, which takes a second or two.

    For what `tokens` doesn't give: joining morphemes to words, and the likelihood of a reading.
    """
    # Imported here: whoever only imports the checks shouldn't pay for loading. Encyclopedia titles and typos aren't needed, take half
    # of it, and mislead: a common noun that ends in 이 becomes a title with its particle.
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1, load_default_dict=False, load_multi_dict=False, load_typo_dict=False)


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[Token, ...]:
    """Kiwi's morphemes of `text`, spans in code points. Anything that UTF-16 can't carry counts as an unknown sign."""
    safe = encodable(text)
    if _DECORATION.search(safe):
        for decoration, plain in _DECORATED:
            safe = decoration.sub(plain, safe)
    return tuple([Token(t.form, t.tag, t.start, t.end) for t in kiwi().tokenize(safe)])


def encodable(text: str) -> str:
    """`text` with a sign for whatever UTF-16, and so Kiwi, can't carry."""
    return _UNENCODABLE.sub("\ufffd", text)


def quotations(text: str) -> list[tuple[int, int]]:
    """Spans of what stands in quotation marks; a line quoted as a whole is plain speech, not a quotation."""
    if not _QUOTE_MARK.search(text):
        return []
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
    return tuple(t for t in tokens(text) if not covered(t.start, quoted)) if quoted else tokens(text)


def covered(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether one of the spans, which come in order, holds the position."""
    if not spans:
        return False
    at = bisect_right(spans, position, key=lambda span: span[0])
    return at > 0 and position < spans[at - 1][1]


def within(morphemes: tuple[Token, ...], start: int, end: int) -> tuple[Token, ...]:
    """The morphemes that start in the span; they come in order."""
    if not morphemes or (start <= morphemes[0].start and morphemes[-1].end <= end):
        return morphemes
    first = bisect_left(morphemes, start, key=lambda t: t.start)
    return morphemes[first : bisect_left(morphemes, end, lo=first, key=lambda t: t.start)]


def words_of(morphemes: Sequence[Token]) -> list[Token]:
    """The morphemes that are words or parts of words: no punctuation, foreign letters or emoji."""
    return [t for t in morphemes if t.tag[0] not in NO_WORD]
