"""A sentence on the other side of 존댓말 and 반말, made by regenerating the morphology of its last word.

ᆸ, ᆫ and ᆯ are conjoining jamo (U+11B8, U+11AB, U+11AF), as Kiwi writes them.
"""

from __future__ import annotations

import random
import re

from npc_align.korean.morphemes import Token, kiwi, tokens

_POLITE_TO_PLAIN = {
    "어요": ["어"], "아요": ["어"], "여요": ["어"], "에요": ["야"], "예요": ["야"], "세요": ["어"], "으세요": ["어"],
    "죠": ["지"], "습니다": ["어", "다"], "ᆸ니다": ["어", "다"], "습니까": ["어", "나"], "ᆸ니까": ["어", "나"],
    "십시오": ["어", "어라"], "ᆸ시오": ["어", "어라"], "ᆸ시다": ["자"], "답니다": ["다네"], "ᆫ답니다": ["ᆫ다네"],
}  # fmt: skip
_PLAIN_TO_POLITE = {
    "어": ["어요", "습니다"], "아": ["어요", "습니다"], "야": ["에요", "습니다"], "다": ["습니다", "어요"],
    "ᆫ다": ["습니다", "어요"], "는다": ["습니다", "어요"], "다네": ["답니다"], "ᆫ다네": ["ᆫ답니다"],
    "어라": ["세요", "십시오"], "아라": ["세요", "십시오"], "라": ["세요", "십시오"], "게": ["세요", "십시오"],
    "게나": ["세요", "십시오"], "자": ["ᆸ시다"], "소": ["습니다"], "오": ["습니다"], "소이다": ["습니다"], "ᆯ세": ["습니다"],
    "냐": ["습니까"], "니": ["습니까"], "느냐": ["습니까"], "지": ["죠"], "구나": ["군요"], "는구나": ["는군요"],
    "구먼": ["군요"], "더라": ["더라고요"], "라고": ["라고요"],
}  # fmt: skip
# Plain endings that become polite by 요 alone.
_TAKES_YO = {
    "네", "군", "는군", "로군", "더군", "거든", "나", "는가", "ᆫ가", "은가", "ᆯ까", "을까", "ᆯ래", "을래", "ᆯ게", "을게",
    "ᆯ걸", "을걸", "잖아", "는데", "ᆫ데", "은데", "던데", "다고", "자고", "냐고", "다니까", "라니까", "더라고", "어야지",
    "고", "대", "ᆫ대", "래", "다면서", "ᆫ다면서",
}  # fmt: skip
_SET_PHRASES = ("안녕", "뵙")  # 안녕하세요, 뵙겠습니다: no such thing on the other side
_CONTRACTIONS = {"거입니": "겁니", "거에요": "거예요", "것이야": "거야"}


def flip_ending(line: str, start: int, end: int, rng: random.Random) -> str | None:
    """`line` with the final ending of the sentence at [start, end) on the other side, or None where there is no such ending."""
    words = _with_yo([token for token in tokens(line) if start <= token.start < end])
    position = _final_ending(words)
    if position is None:
        return None
    ending = words[position]
    word_start = max(line.rfind(" ", 0, ending.start) + 1, start)
    word = [t for t in words[: position + 1] if t.start >= word_start and t.tag[0] != "S"]
    word_start = word[0].start
    # Where Kiwi cannot even put the word together as it stood, its analysis is no ground to build on.
    if len(word) < 2 or word[0].form in _SET_PHRASES or join_word(word) != line[word_start : ending.end]:
        return None
    is_question = line[ending.end :].startswith("?")
    if ending.form == "니" and not is_question:
        return None  # -니, "since", connects
    new = rng.choice(_other_side(ending.form))
    return line[:word_start] + _with_ending(word[:-1], new, is_question) + line[ending.end :]


def _with_yo(words: list[Token]) -> list[Token]:
    """The words with each 요 that Kiwi cut off an ending put back."""
    merged: list[Token] = []
    for word in words:
        if word.form == "요" and word.tag == "JX" and merged and merged[-1].tag in ("EF", "EC"):
            before = merged.pop()
            word = Token(before.form + "요", "EF", before.start, word.end)
        merged.append(word)
    return merged


def _final_ending(words: list[Token]) -> int | None:
    """Index of the last ending that closes a clause: one we know, with nothing but punctuation right behind it."""
    for position in range(len(words) - 1, -1, -1):
        closes = position + 1 == len(words) or words[position + 1].tag[0] == "S"
        if closes and words[position].tag in ("EF", "EC") and _other_side(words[position].form):
            return position
    return None


def _other_side(ending: str) -> list[str]:
    """The endings that say the same on the other side; [] where we know none."""
    if ending in _POLITE_TO_PLAIN:
        return _POLITE_TO_PLAIN[ending]
    if ending.endswith("요"):
        return [ending[:-1]] if len(ending) > 1 else []
    return _PLAIN_TO_POLITE.get(ending) or ([ending + "요"] if ending in _TAKES_YO else [])


def _with_ending(stem: list[Token], ending: str, is_question: bool) -> str:
    """The word made of `stem` and a new `ending`, which gives way to the form that this stem takes."""
    last = stem[-1]
    if last.form in ("시", "으시") and ending in ("어", "어라", "나"):
        stem, last = stem[:-1], stem[-2]  # 주시-: the honorific goes with the polite ending
    if last.form in ("시", "으시") and ending == "습니다":
        stem, last, ending = stem[:-1], stem[-2], "십시오"  # 주시오
    word = join_word([*stem, Token(_fitting(ending, last, is_question), "EF", 0, 0)])
    return re.sub("에요$", "예요", word) if last.tag == "VCP" and not word.endswith("이에요") else word


def _fitting(ending: str, last: Token, is_question: bool) -> str:
    """`ending`, or what stands for it behind this stem and in a question."""
    if last.tag in ("VCP", "VCN"):
        ending = {"어": "야", "어라": "야", "어요": "에요"}.get(ending, ending)
    is_verb = last.tag.startswith(("VV", "VX", "XSV"))
    if ending == "다" and (is_question or is_verb):
        return "어"
    if ending == "습니다" and is_verb:
        return "어요"  # "줘!" asks, "줍니다!" would not
    return "습니까" if ending == "습니다" and is_question else ending


def join_word(words: list[Token]) -> str:
    joined = kiwi().join([(word.form, word.tag) for word in words]).replace(" ", "")
    for spelled, said in _CONTRACTIONS.items():
        joined = joined.replace(spelled, said)
    return joined
