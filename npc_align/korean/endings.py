"""What level of speech (화계) a closing ending speaks at, alone and beside the other sentences of a line.

Most endings have one level. Some lean on their neighbours: -ㅂ시다 is polite among polite sentences and plain among plain ones, and
"활 하나 보러 왔는데." or "어디 보자…" among polite sentences is an unfinished thought or talk to oneself, not 반말.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from npc_align.korean.morphemes import Token

# Endings as Kiwi writes them; ᆸ, ᆫ, ᆯ are conjoining jamo (U+11B8, U+11AB, U+11AF). The first pattern that fits decides.
_ENDINGS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (level, re.compile(f"(?:{pattern})$"))
    for level, pattern in (
        (
            "하십시오체",
            "니다요?|[습ᆸ옵답랍읍렵]니까요?|슴다|슴까|십시오|ᆸ시오|ᆸ시요|소서|나이다|나이까|리까|올시다|쇼|[습ᆸ십심]니?[더꺼껴]",
        ),
        ("해요체", "요|죠|쥬|[^어잖]여|어여|뇨|유|슈"),
        ("하오체", "^오|^소|소이다|외다|더이다|구려|구료|리다|다오|라오|다우|라우|^수"),
        ("해체", "[ᆯ을][게께]|[ᆯ을]까"),
        (
            "하게체",
            "^게|게나|^으?나|^세|세나|ᆷ세|음세|[는은ᆫ던런]가|잖은가|잖나|[구더누]먼|[구더두누]만|[ᆯ을]세|으이|다네|라네|다던가|라던가"
            "|[ᆯ을]꼬|[는은ᆫ던]고",
        ),
        (
            "해라체",
            "다|더라|냐|^니|단다|란다|라|^자|자꾸나|구나|^으?마|렴|[려으]므나|려무나|[ᆯ을]쏘냐|으?랴|[다라자냐]?디|[^담]담|^담",
        ),
        (
            "해체",
            "^어|^아|^여|^야|거야|다야|라야|어야지|으?라지|다지|^지|군|데|거든|거등|거덩|그든|그덩|니까|니깐|[고구]|려고|래|대|냬|재"
            "|[ᆯ을는은ᆫ던]걸|잖아|잖여|잖어|[다라]며|[다라]매|[다라]메|면서|든가|당께|랑께|텨|겨|다나|라나|려나|람",
        ),
    )
)
# Polite among polite sentences, plain (하오체) among plain ones; alone, the first.
_TWO_FACED = re.compile(r"(?:ᆸ|습|읍)(?:시다|디다|디까)$|올시다$")
# These connect as often as they end: they decide only before a full stop, a question or an exclamation mark.
_WEAK = re.compile(r"^(?:[는은ᆫ]데|으?니까|으?니깐|[고구]|으?려[고구]|지|어|아|여|게|나|니|으?라)$")
# Left hanging, these are plain among plain sentences; among polite ones people take them for an unfinished thought.
_TRAILING = re.compile(r"^(?:[는은ᆫ던]데|으?니까|으?니깐|[고구]|으?려[고구]|[ᆫ는]?다나|으?라나|[ᆯ을으]?려나)$")
# Endings that say what strikes the speaker. With an adjective after an interjection ("와, 멋있다!") they need no listener.
_EXCLAIMING = re.compile(r"^(?:다|네|구나|는구나|로구나|군|는군|로군|구먼|구만|어라)$")
_ADJECTIVES = ("VA", "VA-I", "XSA", "XSA-I")
_COPULAS = ("VCP", "VCN")
_WONDER = re.compile(
    r"와+|우와+|우왕|이야|야아*|캬+|햐|크으*|오+|오호|어휴|휴|아+|하+|허+|후|어이쿠|아이쿠|어이구|아이고|아이구|에고|에구|이크|세상에|맙소사"
    r"|이런|흠+|음+|어머|어머나|어라|헉|헐|하하|허허"
)
# Words said to oneself in passing, whatever the level of the talk: "아, 맞다!", "어디 보자…".
_ASIDES = re.compile(
    r"(?:아|아아|앗|어|오|옳지|참|그래|음|흠|자|가만|아이고|아이구|에고|에구|어이쿠|아이쿠)?"
    r"(?:맞다|옳거니|어디보자|어디한번보자|보자|보자보자|가만있자|가만있어봐|가만보자|깜짝이야|큰일났다"
    r"|큰일이다|사람살려|나죽네|나죽는다|나살려|살았다|이거다|그거다|바로이거다|내정신좀봐|내정신봐|어쩐다|어쩌지"
    r"|뭐더라|뭐였더라)"
)
_LONGEST_ASIDE = 20
# "아이고, 허리야!"
_ACHING = {
    "허리", "무릎", "다리", "팔", "어깨", "머리", "배", "삭신", "팔자", "발", "발목", "손", "손목", "목", "등", "엉덩이", "뼈",
    "팔다리", "속", "가슴", "옆구리", "뒷골", "골", "온몸", "코", "이마", "눈",
}  # fmt: skip
_ASKING = ("누구", "뭐", "무엇", "어디", "언제", "얼마", "몇", "어느", "무슨", "어떤", "어떻", "어쩌", "왜")
# Words that look like interjections to Kiwi and close a sentence as predicates do ("내 탓 아냐.", "상관 마.").
_VERBAL_INTERJECTIONS = ("아니야", "아냐", "그래", "마")
_CALLS = ("여보세요", "저기요", "여기요", "여봐요", "이봐요")
# Polite endings that Kiwi can't read, or reads as two.
_SPELT: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("하십시오체", re.compile(r"[가-힣]슴[다까당돠]$")),
    ("해요체", re.compile(r"(?:용요|요[어아오용])$")),
)
# Endings that nothing but a sentence end can follow, so that a comma after them splices two sentences.
STRONG = re.compile(r"(?:[^아]요|아요|죠|니다|습니까|십시오|더군|더라|는군|구나|잖아|거든)$")


# How Kiwi tags 요.
YO_TAGS = ("JX", "EF", "EC", "MM")


class Reading(NamedTuple):
    """The level of one sentence: by itself, beside clearly polite sentences, beside clearly plain ones, beside 하게체."""

    alone: str | None
    polite: str | None
    plain: str | None
    old: str | None

    @property
    def clear(self) -> bool:
        """Whether the neighbours have no say in the side."""
        return self.alone is not None and self.alone == self.polite == self.plain


def _level(level: str, old: str | None = None) -> Reading:
    return Reading(level, level, level, old or level)


def _unless_polite(reading: Reading) -> Reading:
    return reading._replace(polite=None)


def is_yo(token: Token) -> bool:
    """Whether a morpheme is the particle (or the ending) 요."""
    return token.form in ("요", "이요") and token.tag in YO_TAGS


def wonder(token: Token) -> bool:
    """Whether an interjection opens an exclamation at what one sees or feels."""
    return token.tag == "IC" and _WONDER.fullmatch(token.form) is not None


def closing_level(words: Sequence[Token], surface: str, mark: str, wonders: bool) -> Reading | None:
    """The level of a clause; None where it has none, or its end is in doubt.

    Args:
        words: its morphemes without punctuation.
        surface: the text they were read from.
        mark: how it closes: "." (also "!"), "?", "…" (trails off), "," (a clause of a longer sentence; ",?" of a question), "".
        wonders: whether its sentence opens with an interjection of wonder.
    """
    spelt = next((level for level, pattern in _SPELT if pattern.search(surface[-3:])), None)
    if spelt:
        return _level(spelt)
    trimmed = _without_interjections(words)
    ended = _with_ending_last(trimmed, surface)
    if not ended:
        return None
    reading = _reading(ended, mark, moved=len(ended) < len(trimmed))
    if reading is not None and reading.polite not in ("하십시오체", "해요체") and _to_oneself(ended, surface, mark, wonders):
        return _unless_polite(reading)
    return reading


def _without_interjections(words: Sequence[Token]) -> Sequence[Token]:
    end = len(words)
    while end > 1 and words[end - 1].tag == "IC" and words[end - 1].form not in _VERBAL_INTERJECTIONS:
        end -= 1
    return words[:end]


def _with_ending_last(words: Sequence[Token], surface: str) -> Sequence[Token]:
    """The words up to the ending that closes the clause: the last word, or the last one before a call or postposed words."""
    if not words or words[-1].tag[0] == "E" or words[-1].tag == "IC" or is_yo(words[-1]) or _exclaims_geol(words, surface):
        return words
    for i in range(len(words) - 2, -1, -1):
        word, after = words[i], words[i + 1]
        if word.tag[0] == "E" or is_yo(word):
            closes = word.tag == "EF" or is_yo(word) or STRONG.search(word.form) or word.form == "ᆸ시오" or _commands(words, i)
            return words[: i + 1] if (closes and after.tag not in ("JX", "JKQ")) or after.form in ("만", "그려", "마는") else ()
    return ()


def _commands(words: Sequence[Token], at: int) -> bool:
    """하오체 "주시오", which no word but a call follows."""
    return at > 0 and words[at].form == "오" and words[at - 1].form in ("시", "으시")


def _exclaims_geol(words: Sequence[Token], surface: str) -> bool:
    """-던걸, -는걸 at the very end, which Kiwi takes apart ("먼저 도망가던걸!")."""
    if len(words) < 3 or [t.tag for t in words[-3:]] != ["ETM", "NNB", "JKO"]:
        return False
    return words[-3].form in ("던", "는", "은", "ᆫ") and re.search(r"\S걸$", surface) is not None


def _reading(words: Sequence[Token], mark: str, moved: bool) -> Reading | None:
    last = words[-1]
    if last.tag == "JKO":
        return _level("해체")
    if last.tag == "IC":
        return _interjection_level(words)
    if is_yo(last):
        return _yo(words)
    if last.tag not in ("EF", "EC"):
        return None
    if _WEAK.match(last.form) and not _weak_decides(words, mark, moved):
        return None
    if last.form == "니" and "?" not in mark:
        return None
    return _of_form(words, mark)


def _of_form(words: Sequence[Token], mark: str) -> Reading | None:
    form, before = words[-1].form, words[-2] if len(words) > 1 else None
    if _TWO_FACED.search(form):
        return Reading("하십시오체", "하십시오체", "하오체", "하오체")
    if form in ("네", "더네"):
        return _level("해체", old="하게체")
    if form == "라" and before is not None and before.tag in _COPULAS:  # "처음이라": a reason
        return None
    if form == "오" and before is not None and before.form == "달":  # 다오
        return _level("해라체")
    level = _level_of_ending(form)
    if level is None:
        return None
    return _unless_polite(_level(level)) if _TRAILING.match(form) and "?" not in mark else _level(level)


@lru_cache(maxsize=1024)
def _level_of_ending(form: str) -> str | None:
    return next((level for level, pattern in _ENDINGS if pattern.search(form)), None)


def _yo(words: Sequence[Token]) -> Reading | None:
    """-요 after anything: 해요체, but for calls, and for 하오체 after a noun ("이게 뭐요?", "내가 그 사내요")."""
    if "".join(t.form for t in words) in _CALLS:
        return None
    before = words[:-2] if len(words) > 1 and words[-2].tag == "VCP" else words[:-1]
    if not before or before[-1].tag[0] != "N":
        level = _ENDINGS[0][0] if before and before[-1].tag == "EF" and _ENDINGS[0][1].search(before[-1].form) else "해요체"
        return _level(level)
    noun = before[-1]
    if noun.form == "것" and len(before) > 1 and len(before) < len(words) - 1:  # "않는 게요?"
        return _level("하오체")
    asks = noun.form in _ASKING and any(t.tag == "JX" for t in before)
    thing = noun.form == "거" and len(before) > 1 and before[-2].form in ("는", "ᆯ", "을")
    if asks or thing or any(t.tag == "JKS" for t in before):
        return Reading(None, "해요체", "하오체", "하오체")
    return _level("해요체")


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
        return ending.tag == "EF" or (ending.form in ("지", "라") and len(words) > 1 and words[-2].tag == "EP")
    return False


def _interjection_level(words: Sequence[Token]) -> Reading | None:
    last = words[-1]
    if last.form in _VERBAL_INTERJECTIONS and len(words) > 1:
        return _level("해체")
    return _level("해요체") if last.form.endswith("요") and last.form not in _CALLS else None


def _to_oneself(ended: Sequence[Token], surface: str, mark: str, wonders: bool) -> bool:
    """Whether a clause may be talk to oneself: an aside, a cry of pain, "누구시더라…", or wonder at what one sees."""
    last = ended[-1]
    if len(surface) <= _LONGEST_ASIDE and _ASIDES.fullmatch(re.sub(r"[^가-힣]", "", surface)):
        return True
    if last.form == "야" and len(ended) > 2 and ended[-3].form in _ACHING and all(t.tag == "IC" for t in ended[:-3]):
        return True
    if last.form in ("ᆯ까", "을까") and mark == "…":
        return True
    if last.form == "더라" and any(t.form in _ASKING for t in ended):
        return True
    if not wonders or not _EXCLAIMING.match(last.form) or len(ended) < 2:
        return False
    return ended[-2].tag in (_ADJECTIVES if last.form == "다" else (*_ADJECTIVES, *_COPULAS))
