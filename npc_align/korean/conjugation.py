"""Verb and adjective forms that Korean doesn't have: 무겁어서, 모르어, 짓었다, 가으세요, 좋는다, 이겼는다.

Kiwi reads such a form as the stem and the ending that were meant, and it can conjugate. So a form is broken where a stem stands
unchanged before an ending that Kiwi would have joined to it otherwise, and where the ending is one that the stem doesn't take.
What people do write and say stays: uncontracted forms (하여, 보았다, 되어), 잡어 for 잡아, stretched syllables, roars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from npc_align.korean.morphemes import Token, kiwi

_PREDICATES = ("VV", "VA", "VX", "XSV", "XSA", "VC")
_NOMINAL = ("NNG", "NNP", "XR")
# Vowels and final consonants by their index in a Hangul syllable.
_A, _EO, _YEO, _O, _OE, _EU = 0, 4, 6, 8, 11, 18
_RIEUL, _SIOS, _HIEUH = 8, 19, 27

# Adjectives that are verbs, too, or take a verb's endings for another reason, or may be nouns; likewise the roots of 하다 adjectives.
_ALSO_VERBS = re.compile(
    "(?:.*[있없]|크|길|밝|늦|굳|붉|설|멀|굽|흐리|어둡|감사하|건강하|못하|잘하|만하|성하|여물|곯|무르|헐|마르|맞|틀리|모자라|남|계시|재밌"
    "|그렇|이렇|저렇|어떻|시|젊|검|달|낫)$"
)
_ALSO_VERB_ROOTS = re.compile("(?:감사|만족|건강|당황|흥분|실망|성공|실패|안심|번창|번성|무리|고생|만|듯|뻔|척|체)$")
# What a verb takes in the present and an adjective doesn't.
_VERB_ENDING = re.compile(r"^(?:[는ᆫ]다|는(?:데|지|가|걸|군|구[나려먼]|$))")
_TENSES = ("었", "았", "였", "겠", "었었")
_NOT_AFTER_TENSE = re.compile(
    r"^(?:는[다군냐]|는구[나려먼]|은$|니다$|니까$|느라|으?려고|으?려면|으?러$|고자$|자마자|으?세요$|[ᆸ읍으]?[시십]|었었$)"
)
# An adnominal form has a noun after it, not another ending.
_NOT_AFTER_ADNOMINAL = re.compile(r"^(?:요|다|네|네요|군|군요|니다|습니다|습니까|어요|세요|죠|지요|더군요)$")
# A connective ending takes no tense and closes no sentence, but for 어야겠다, 거나겠죠 and shortened quotations (으라시네).
_NOT_AFTER_CONNECTIVE = re.compile(r"^(?:겠|었|습니다|습니까|더군요?|네요|군요|어요|세요|더라|더라고요?)$")
_TAKES_TENSE = re.compile(r"(?:야|거나|든지|든가|[라다자냐])$")
# What follows a noun only by way of 이다 or 하다.
_NOT_AFTER_NOUN = re.compile(r"^(?:었|겠|습니다|습니까|어요|어서|지만)$")
# 나았다, 저으니, 주으면: of 낫다, 젓다, 줍다, which drop their consonant.
_LIKE_SIOS_STEMS = ("나", "저", "그", "자", "주", "부", "이", "지", "누")
# Past forms of colloquial speech and dialect that Kiwi takes for nouns.
_DIALECT = ("부렀", "뿌렀", "뿟", "삤", "쎘")


class BrokenForm(NamedTuple):
    """A word that isn't one: its span, and the right form, or None where that isn't known."""

    start: int
    end: int
    correct: str | None


def broken_forms(text: str, morphemes: Sequence[Token]) -> Iterator[BrokenForm]:
    """The words of `text` whose stem and endings don't go together; `morphemes` are its tokens."""
    for i, (token, ending) in enumerate(pairwise(morphemes)):
        if ending.start > token.end:
            continue
        first, meant = token.tag[0], None
        if first == "E":
            if ending.tag[0] in "EM":
                meant = _meant_after_ending(text, morphemes, i)
        elif first in "VX" and token.tag.startswith(_PREDICATES):
            meant = _meant_after_stem(text, morphemes, i)
        elif ending.tag[0] == "E" and token.tag in _NOMINAL:
            unlinked = ending.start == token.end and _NOT_AFTER_NOUN.match(ending.form)
            meant = "" if unlinked and not token.form.endswith(_DIALECT) else None
        if meant is not None:
            yield _corrected(text, morphemes, i, meant)


def word_at(text: str, start: int, end: int) -> tuple[int, int]:
    """The run of Hangul around a span, no more than a long word's length to either side."""
    first, last = start, end
    while first > max(0, start - 12) and "가" <= text[first - 1] <= "힣":
        first -= 1
    while last < min(len(text), end + 12) and "가" <= text[last] <= "힣":
        last += 1
    return first, last


def _corrected(text: str, morphemes: Sequence[Token], at: int, meant: str) -> BrokenForm:
    """The word around the morpheme `at`, with the ending after it put right ("" where that isn't known)."""
    first = at
    while first > 0 and morphemes[first].tag[0] == "E" and morphemes[first - 1].end >= morphemes[first].start:
        first -= 1
    last = at + 1
    while last + 1 < len(morphemes) and morphemes[last + 1].tag[0] == "E" and morphemes[last + 1].start <= morphemes[last].end:
        last += 1
    start, end = word_at(text, morphemes[first].start, morphemes[last].end)
    if not meant:
        return BrokenForm(start, end, None)
    run = [(t.form, t.tag) for t in morphemes[first : last + 1]]
    run[at + 1 - first] = meant, "ETM" if run[at + 1 - first][1] == "JX" else run[at + 1 - first][1]
    fixed = text[start : morphemes[first].start] + _joined(tuple(run)) + text[morphemes[last].end : end]
    return BrokenForm(start, end, fixed if fixed != text[start:end] else None)


@lru_cache(maxsize=8192)
def _joined(morphemes: tuple[tuple[str, str], ...]) -> str:
    return str(kiwi().join(morphemes))


def _meant_after_stem(text: str, morphemes: Sequence[Token], at: int) -> str | None:
    """The ending that should follow a stem, "" if that isn't known, or None where the one that does is right."""
    stem, ending = morphemes[at], morphemes[at + 1]
    whole = ending.start == stem.end < len(text) and text[stem.start : stem.end] == stem.form
    if ending.tag[0] != "E":
        return _meant_without_ending(text, stem, ending) if whole else None
    if _VERB_ENDING.match(ending.form) and _is_adjective(morphemes, at):
        bare = re.sub(r"^[는ᆫ](?=[다군구])", "", ending.form)
        return bare if bare != ending.form else "은" + ending.form[1:]
    if stem.tag.startswith("VC"):
        return None
    meant = _repaired(stem, ending)
    if meant is None and whole and not _goes_on(text, stem, ending):
        return ending.form
    return meant


def _meant_without_ending(text: str, stem: Token, following: Token) -> str | None:
    """The same for an adjective that something else than an ending clings to: 더럽은 (Kiwi takes 은 for a particle), 고맙합니다."""
    if not stem.tag.startswith("VA"):
        return None
    if following.tag == "JX" and following.form == "은":
        return None if _goes_on(text, stem, following) else "은"
    joins_verb = following.form == "하" and following.tag in ("XSA", "XSV")
    return "" if joins_verb and (stem.tag.endswith("-I") or stem.form == "좋") else None


def _repaired(stem: Token, ending: Token) -> str | None:
    """What stands for an ending that isn't one whatever the stem: 니다 (무겁니다), ᆷ니다 (함니다), 요 and 서 (되요, 꺾서)."""
    vowel, final = _sounds(stem.form[-1])
    if ending.form in ("니다", "ᆷ니다"):
        return "ᆸ니다"
    if ending.form in ("요", "서") and ((vowel == _OE and not final) or (final and ending.form == "서")):
        return "어" + ending.form
    return None


def _sounds(syllable: str) -> tuple[int, int]:
    """The vowel and the final consonant of a syllable, as indices."""
    return divmod((ord(syllable) - 0xAC00) % 588, 28)


def _is_adjective(morphemes: Sequence[Token], at: int) -> bool:
    """Whether a stem is an adjective and nothing else; 싶다 is one, and 않다 after one."""
    stem = morphemes[at]
    before = morphemes[at - 1] if at else None
    if stem.tag.startswith("VX"):
        if stem.form == "싶":
            return True
        # 좋지 않는다; 흔치 않는 일 is written too often to be called broken
        negated = stem.form == "않" and morphemes[at + 1].form != "는" and before is not None and before.form == "지"
        return negated and at > 1 and _is_adjective(morphemes, at - 2)
    if stem.tag.startswith("VC"):
        # 아니는데, 처음이는데; what ends in 이는 alone is a noun and its particle
        return stem.tag == "VCN" or (stem.end > stem.start and morphemes[at + 1].form != "는")
    if _ALSO_VERBS.match(stem.form):
        return False
    if stem.tag.startswith("XSA"):
        return before is not None and before.tag[0] in "NX" and not _ALSO_VERB_ROOTS.match(before.form)
    return stem.tag.startswith("VA")


def _goes_on(text: str, stem: Token, ending: Token) -> bool:
    """Whether a stem may stand unchanged before the ending, as it does in the text."""
    form = ending.form
    if form[0] in "어아었았여였":  # Kiwi writes 어 for all of them
        form = text[ending.start] + form[1:]
    if text[ending.start] != form[0] or not "가" <= form[0] <= "힣":
        return True
    if form[0] == "으" and len(form) > 1 and not _sounds(stem.form[-1])[1]:
        return stem.form in _LIKE_SIOS_STEMS or stem.form[-1] == "크"  # Kiwi would leave 가으니 as it is
    tag = "ETM" if ending.tag == "JX" else ending.tag
    return _joined(((stem.form, stem.tag), (ending.form, tag))) == stem.form + form or _variant(text, stem, ending, form)


def _variant(text: str, stem: Token, ending: Token, form: str) -> bool:
    """Whether an unchanged stem is right, or common, though the usual form is another one."""
    vowel, final = _sounds(stem.form[-1])
    if final:
        return _consonant_variant(stem, ending, form, final)
    if form[0] not in "아어았었여였":
        return vowel == _EU and form[0] in "은을"  # a stretched 큰, 쓸
    if form[0] in "여였":
        return True  # 하여, and 되여, which is a matter of spelling
    if stem.form in _LIKE_SIOS_STEMS:
        return True
    if stem.form.endswith("하") or vowel in (_A, _EO, _YEO, _EU):
        bare = ending.end >= len(text) or not "가" <= text[ending.end] <= "힣"
        return form in "아어" and bare and (vowel != _EU or len(stem.form) == 1)  # 가아!, 크어!
    return not stem.form.endswith("오") and (form[0] in "아았") == (vowel == _O)


def _consonant_variant(stem: Token, ending: Token, form: str, final: int) -> bool:
    if final == _HIEUH and (stem.tag[:2] in ("VV", "VX") or form[0] in "나네냐니"):
        return True  # 놓아, 그렇네
    if final == _RIEUL and (form[0] in "냐니" or stem.form.endswith("말")):
        return True  # 알냐, 말아요
    if stem.form == "곱" or (final == _SIOS and len(stem.form) == 1 and form == "은" and stem.tag[:2] == "VV"):
        return True  # numb fingers; nouns that Kiwi may have taken for a verb (짓은)
    swapped = {"어": "아", "었": "았"}.get(form[0])  # 잡어 for 잡아
    return swapped is not None and _joined(((stem.form, stem.tag), (ending.form, ending.tag))) == stem.form + swapped + form[1:]


def _meant_after_ending(text: str, morphemes: Sequence[Token], at: int) -> str | None:
    """The ending that should follow another one, "" if that isn't known, or None where the one that does is right."""
    token, ending = morphemes[at], morphemes[at + 1]
    tensed = token.tag == "EP" and token.form in _TENSES and ending.tag[0] == "E"
    if tensed and (_NOT_AFTER_TENSE.match(ending.form) or (token.form == "겠" and ending.form in _TENSES)):
        return re.sub(r"^는(?=[다군구])", "", ending.form) if ending.form.startswith("는") else ""
    if ending.start < token.end:
        return None
    if token.tag == "ETM" and _NOT_AFTER_ADNOMINAL.match(ending.form) and ending.tag[0] in "EM":
        return "" if word_at(text, ending.start, ending.end)[1] == ending.end else None
    if token.tag == "EC" and ending.tag[0] == "E" and _NOT_AFTER_CONNECTIVE.match(ending.form):
        return None if _TAKES_TENSE.search(token.form) else ""
    return None
