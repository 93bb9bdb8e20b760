"""Pronouns (and words for yes) that tell how a speaker stands to the listener: the humble 저 (제, 저희), and 너.

저 is many words. "저 늑대" points, "저, 그게" hesitates, and of somebody else it means himself ("제 발로 온 놈", "저만 살겠다고
도망쳤다"). Only where the speaker alone can be meant does it count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc_align.korean.morphemes import Token

_HUMBLE = ("저", "저희")
# "제 값", "제 발로": the thing's or the beast's own.
_OWN = {
    "값", "몫", "발", "구실", "역할", "노릇", "때", "철", "자리", "집", "맛", "명", "명줄", "정신", "시간", "시각", "힘",
    "꾀", "무덤", "손", "눈", "목", "목숨", "입", "머리", "다리", "팔", "혀", "꼬리", "이빨", "피", "몸", "몸값", "이름값",
    "밥값", "밥그릇", "주인", "임자", "새끼", "짝", "그림자", "성질", "성미", "분", "풀", "딴", "색", "빛", "모습", "솜씨",
}  # fmt: skip
# Whoever stands before 저 in the sentence, or is told of in it, may be the one it means.
_OTHERS = ("놈", "녀석", "자식", "작자", "인간", "양반", "것들", "이놈", "그놈", "저놈", "그", "그녀", "걔", "누구", "아무")
_SUBJECTS = ("이", "가", "은", "는", "께서", "도")
_QUOTING = re.compile(r"(?:다|라|냐|자)(?:고|며|는)$")


def speaks_humbly(spoken: Sequence[Token]) -> bool:
    """Whether the speaker says 저 of themself, or 네 for yes."""
    return any(t.tag == "IC" and t.form in ("네", "예") for t in spoken) or bool(humble_pronouns(spoken))


def humble_pronouns(spoken: Sequence[Token]) -> list[Token]:
    """Where a speaker means themself by 저, 제 or 저희. Takes the morphemes of a line outside quotations."""
    found: list[Token] = []
    sentence: list[Token] = []
    if not any(t.form in _HUMBLE and t.tag == "NP" for t in spoken):
        return found
    for token in spoken:
        sentence.append(token)
        if token.tag == "SF":
            found += _in_sentence(sentence)
            sentence = []
    return found + _in_sentence(sentence)


def _in_sentence(sentence: Sequence[Token]) -> list[Token]:
    if any(t.form in _OTHERS and t.tag[0] == "N" for t in sentence):
        return []
    quoting = [i for i, t in enumerate(sentence[:-2]) if t.tag == "EC" and _QUOTING.search(t.form)]
    found = []
    for i, token in enumerate(sentence):
        if i > 1 and _is_subject(sentence[i - 2], sentence[i - 1]):
            break  # somebody else, and 저 may be that one
        quoted = bool(quoting) and quoting[-1] > i
        if token.tag == "NP" and token.form in _HUMBLE and not quoted and _means_speaker(sentence, i):
            found.append(token)
    return found


def _is_subject(noun: Token, particle: Token) -> bool:
    if particle.tag not in ("JKS", "JX") or particle.form not in _SUBJECTS:
        return False
    return noun.tag == "XSN" or (noun.tag[0] == "N" and noun.form not in _HUMBLE)


def _means_speaker(sentence: Sequence[Token], at: int) -> bool:
    token, after = sentence[at], sentence[at + 1 : at + 3]
    if not after or (at and sentence[at - 1].end == token.start and sentence[at - 1].tag[0] != "S"):
        return False  # "그제" is taken apart
    if after[0].tag == "JKG":
        return len(after) > 1 and after[1].start > after[0].end and _is_owned(after[1])
    if token.form == "저희" and _is_owned(after[0]):
        return True
    if after[0].form == "만" and len(after) > 1 and after[1].form == "하":  # 저만하다
        return False
    return after[0].tag in ("JKS", "JX", "JKO", "JKB") or after[0].form == "같"


def _is_owned(thing: Token) -> bool:
    """Whether a thing after 제 or 저희 is the speaker's rather than its own."""
    return thing.tag == "NNG" and thing.form not in _OWN


def speaks_down(spoken: Sequence[Token]) -> bool:
    """Whether the speaker says 너 (네, 너희) to the listener, or 응 for yes."""
    return any(t.form in (("너", "너희") if t.tag == "NP" else ("응",)) and t.tag in ("NP", "IC") for t in spoken)
