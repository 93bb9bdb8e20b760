"""Particles and copula forms that change with the sound before them: the pairs, which form belongs, where a line may have the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Pair(NamedTuple):
    """Two forms of one particle or of 이다, and what may follow them in the word (None: any ending).

    After a vowel 이다 may keep its 이 ("나무이고"), so of a `copula` only the short form after a consonant is a mistake.
    """

    after_consonant: str
    after_vowel: str
    tails: tuple[str, ...] | None = ("",)
    copula: bool = False


class Slip(NamedTuple):
    """A wrong form in a line: the span of its word, where the form starts in it, the form, and the right one."""

    start: int
    end: int
    at: int
    form: str
    right: str

    def corrected(self, line: str) -> str:
        """The word with the right form."""
        return line[self.start : self.at] + self.right + line[self.at + len(self.form) : self.end]


_TO = (
    "",
    "는",
    "도",
    "만",
    "써",
    "서",
    "서는",
    "서도",
    "서의",
    "써는",
    "부터",
    "부터는",
    "까지",
    "밖에",
    "라도",
    "나",
    "요",
    "의",
    "선",
)
_COPULA = ("라", "란", "랍", "고", "다", "네", "군", "로군", "구나", "구먼", "지", "죠", "면", "며", "니", "거든", "잖", "더")
PAIRS = (
    Pair("은", "는", ("", "요", "커녕")),
    Pair("이", "가", ("", "요", "야")),
    Pair("을", "를", ("", "요")),
    Pair("과", "와", ("", "는", "도", "의", "만", "같이", "함께")),
    Pair("아", "야"),
    Pair("으로", "로", _TO),
    Pair("이나", "나", ("", "마", "마도")),
    Pair("이랑", "랑", ("", "은", "도", "만", "요", "같이")),
    Pair("이여", "여"),
    Pair("이야말로", "야말로"),
    Pair("이라도", "라도", ("", "요")),
    Pair("이에요", "예요"),
    Pair("이야", "야"),
    Pair("이시여", "시여", copula=True),
    Pair("이었", "였", None, copula=True),
    *(Pair("이" + form, form, None, copula=True) for form in _COPULA),
)
COPULAS = frozenset(pair.after_consonant for pair in PAIRS if pair.copula)
# No mistakes in themselves, for "물요" is said beside "물이요", and a "칼든 놈" holds one; but a new name takes its own form.
_REFITTED = sorted([*PAIRS, Pair("이요", "요"), Pair("이든", "든")], key=lambda pair: -len(pair.after_consonant))

_RIEUL = 8
_FINALS = {
    **dict(zip("0123456789", (21, _RIEUL, 0, 16, 0, 0, 1, _RIEUL, _RIEUL, 0), strict=True)),
    **dict.fromkeys("ABCDEFGHIJKOPQSTUVWXYZ", 0),
    **{"L": _RIEUL, "M": 16, "N": 4},
}
_TENS = (17, 1, 4)  # 십, 백, 천
_MYRIADS = (4, 1, 0, 21)  # 만, 억, 조, 경

_LETTER = "가-힣A-Za-z0-9"
_WORD = re.compile(f"[{_LETTER}]+")
_WORD_END = re.compile(f"[{_LETTER}]+$")
_OPENS = re.compile(r"(?:^|[.!?~…])\s*$")
_LATIN = re.compile(r"[A-Za-z]+$")
# How much of a word before the form is looked at.
_LONGEST_STEM = 20


def _by_ending() -> dict[str, list[tuple[Pair, str]]]:
    """Every way in which a word may end in a particle, with its pair and the form that stands there."""
    found: dict[str, list[tuple[Pair, str]]] = {}
    for pair in PAIRS:
        for tail in pair.tails or ():
            for form in (pair.after_vowel,) if pair.copula else pair[:2]:
                found.setdefault(form + tail, []).append((pair, form))
    return found


def _seams() -> re.Pattern[str]:
    """Where a word might end in a form that its sound forbids: a coarse sieve, so that hardly anything has to be looked at."""
    opened = "".join(map(chr, range(ord("가"), ord("힣") + 1, 28)))
    rieul = "".join(map(chr, range(ord("갈"), ord("힣") + 1, 28)))
    long = "".join(sorted({pair.after_consonant[0] for pair in PAIRS}))
    short = "".join(sorted({pair.after_vowel[0] for pair in PAIRS}))
    return re.compile(
        f"[{long}{short}](?:(?<=[{opened}{rieul}A-Z0-9][{long}])|(?<=[{_LETTER}][{short}])(?<![{opened}].))"
        f"(?=[가-힣]{{0,6}}(?![{_LETTER}]))"
    )


_ENDINGS = _by_ending()
_FREE = {pair.after_vowel: pair for pair in PAIRS if pair.tails is None}
_SEAM = _seams()


def final_consonant(word: str) -> int | None:
    """The final consonant of a word as it is read aloud, in Unicode's order of finals, 0 for none; None where that isn't known.

    Numbers are read in Sino-Korean (3 삼, 10 십, 100 백), capital letters by their names.
    """
    last = word[-1:]
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28
    if last == "0":
        return _final_of_round(word)
    latin = _LATIN.search(word)
    if latin and len(latin.group()) > 3:
        return None  # read as a word, not by its letters
    return _FINALS.get(last)


def _final_of_round(number: str) -> int:
    digits = re.split(r"[^\d.,]", number)[-1].replace(",", "")
    zeros = len(digits) - len(digits.rstrip("0"))
    if zeros == len(digits) or "." in digits:
        return _FINALS["0"]  # read digit by digit
    return _TENS[zeros - 1] if zeros < 4 else _MYRIADS[min(zeros // 4 - 1, 3)]


def ends_in_rieul(word: str) -> bool:
    return final_consonant(word) == _RIEUL


def right_form(pair: Pair, noun: str) -> str | None:
    """The form of `pair` that belongs after `noun`; None where its last sound isn't known."""
    final = final_consonant(noun)
    if final is None:
        return None
    return pair.after_vowel if final == 0 or (final == _RIEUL and pair.after_vowel == "로") else pair.after_consonant


def refit(rest: str, old: str, new: str) -> str:
    """`rest`, which followed the noun `old`, with its particle made to fit the noun `new`."""
    for pair in _REFITTED:
        before, after = right_form(pair, old), right_form(pair, new)
        if before and after and rest.startswith(before):
            return after + rest[len(before) :]
    return rest


def suspects(line: str) -> Iterator[Slip]:
    """Whatever could be a wrong form by its letters alone; many of them are real words ("마을", "먹는")."""
    for seam in _SEAM.finditer(line):
        at = seam.start()
        start, end = word_around(line, at)
        for pair, form in _forms_at(line, at, end):
            right = right_form(pair, line[max(0, at - _LONGEST_STEM) : at])
            if right is not None and right != form and _may_stand(line, start, end, form, right):
                yield Slip(start, end, at, form, right)


def word_around(line: str, at: int) -> tuple[int, int]:
    """The span of the word that goes on at a position: as much as counts before it, all of it after."""
    before = _WORD_END.search(line, max(0, at - _LONGEST_STEM), at)
    after = _WORD.match(line, at)
    return before.start() if before else at, after.end() if after else at


def _forms_at(line: str, at: int, end: int) -> Iterator[tuple[Pair, str]]:
    yield from _ENDINGS.get(line[at:end], ())
    if final_consonant(line[at - 1 : at]):
        for size in (1, 2):  # any ending may follow 이다
            pair = _FREE.get(line[at : at + size])
            if pair:
                yield pair, pair.after_vowel


def _may_stand(line: str, start: int, end: int, form: str, right: str) -> bool:
    """Whether the right form fits what comes before and after."""
    following = line[end : end + 1]
    if form == "아":
        return following in ",!?.~…"  # a call ends there; so does the line
    if form == "야":
        calls = following == "," or (following in "!?~…" and _OPENS.search(line, max(0, start - 2), start) is not None)
        return calls == (right == "아")
    if form == "가":
        return not line.startswith(" 얼마", end)  # "할인가 얼마예요": a price
    return form != "나" or following == " "  # "심술나." is a verb
