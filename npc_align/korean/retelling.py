"""What a speaker retells without quotation marks: "살려 줘! 하길래", "누가 그러더라고요, 여기가 싸다고", "스승님이 그러셨어요. 쏴라!".

The words of others are at the level of others. Each function takes the morphemes of one sentence outside quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from npc_align.korean.morphemes import NO_WORD, Token, words_of

_SAYING = ("그러", "이러", "말하", "말씀", "외치", "소리치", "호통치", "중얼거리", "투덜거리", "속삭이", "되묻", "대답")
_SAID = (*_SAYING, "말", "한마디")
# The endings and nouns after 하- that make it a verb of saying ("하길래", "하는 소리에").
_REPORTING = re.compile(r"^(?:고(?:는|서)?|길래|기에|더니만?|며|면서|[는ᆫ던]데|던데요|더라(?:고요?)?|더군요?|네요?|데요?|니까?)$")
_REPORTED = ("말", "소리", "바람", "통", "순간", "목소리", "외침", "얼굴", "표정", "눈빛", "거", "것", "듯", "말투")
_INDIRECT = re.compile(r"(?:다|라|냐|자)(?:[고구]|면서|며|던|는|더니)$|^고$")


def reports_back(morphemes: Sequence[Token]) -> bool:
    """Whether a sentence opens by reporting the one before it ("라고 했어요", "하길래", "하는 소리에", "그러더라고요")."""
    first = next((t for t in morphemes if t.tag[0] not in NO_WORD), None)
    if first is None:
        return False
    if first.tag == "JKQ" or first.form in ("라고", "하고", "라며", "라면서", "라길래"):
        return True
    words = words_of(morphemes) if first.tag[0] == "V" else []
    rest = [t for t in words[1:4] if t.tag != "EP"]
    if not rest:
        return False
    if first.form in ("그러", "그렇"):
        return rest[0].form in ("길래", "며", "면서") or rest[0].form.startswith(("더라", "더군", "던데"))
    if first.form not in ("하", "이러", "이렇"):
        return False
    if rest[0].tag == "ETM":
        return first.form == "하" and rest[0].form in ("는", "던") and len(rest) > 1 and rest[1].form in _REPORTED
    tensed = any(t.form in ("었", "였") for t in words[1:3])
    return bool(_REPORTING.match(rest[0].form)) or (tensed and rest[0].tag in ("EF", "EC"))


def cites(morphemes: Sequence[Token]) -> bool:
    """Whether a sentence retells a talk ("그래서 제가 우린 안 돼, 라고 했어요"), in which those before it may have their part."""
    return any(a.tag == "SP" and b.tag == "JKQ" for a, b in pairwise(morphemes))


def quotes_back(morphemes: Sequence[Token]) -> bool:
    """Whether what follows a comma makes a quotation of what stands before it ("…, 그래, 이랬어요")."""
    words = words_of(morphemes)
    for i, token in enumerate(words):
        if token.tag == "JKQ" or token.form in ("라고", "하고"):
            return True
        # "아빠도 그러시더라고요" tells of other talk.
        if token.form in ("이러", "그러") and token.tag == "VV" and not (i and words[i - 1].tag in ("JKS", "JX")):
            return True
    return is_postposed(words)


def is_postposed(words: Sequence[Token]) -> bool:
    """Whether a clause is what somebody said, after the verb of saying ("그러더라고요, 여기가 제일 싸다고")."""
    return bool(words) and words[-1].tag[0] == "E" and re.search(r"(?:다|라|냐|자)[고구]$", words[-1].form) is not None


def announces(morphemes: Sequence[Token]) -> bool:
    """Whether a sentence tells that somebody else spoke, and not yet what."""
    words = words_of(morphemes)
    backwards = range(len(words) - 1, -1, -1)
    verb = next((i for i in backwards if words[i].tag[:2] in ("VV", "VA", "VX", "XS") and words[i].tag != "XSN"), None)
    if verb is None or not _says(words, verb) or any(t.form == "?" for t in morphemes):
        return False
    told = words[:verb]
    if any(t.tag == "JKQ" or (t.tag == "EC" and _INDIRECT.search(t.form)) for t in told):
        return False
    subjects = [a for a, b in pairwise(told) if b.tag == "JKS" or (b.tag == "JX" and b.form in ("은", "는", "도", "ᆫ"))]
    return any(t.tag[0] == "N" or t.tag == "XSN" for t in subjects) and not any(t.form in ("저", "나", "내") for t in subjects)


def _says(words: Sequence[Token], verb: int) -> bool:
    form = words[verb].form
    if form == "그렇":  # Kiwi reads "그랬어요" so; only what has been can have been said.
        return verb > 0 and words[verb - 1].tag == "JKS" and verb + 1 < len(words) and words[verb + 1].tag == "EP"
    return form in _SAYING or (form == "하" and verb > 0 and words[verb - 1].form in _SAID)
