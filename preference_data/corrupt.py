"""Minimal corruptions of good lines: one plausible mistake each, of the kind that a small model makes.

They stand in where sampling brought no reject of a kind. Each function only proposes; `corrupt` lets a proposal pass when
`check_line` finds the intended kind in it, and found nothing at all in the line before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

from npc_align.checks import check_line
from npc_align.domain import Attributes, Domain
from npc_align.korean.speech_level import Token, _kiwi, sentences, tokens
from npc_align.mentions import item_mentions, rename_mentions

Corruption = Callable[[str, Attributes, Domain, random.Random], Iterator[str]]

# What may show up beside the intended kind. Anything else means that the corruption botched more than it meant to.
_COMPANIONS = {
    "mixed_speech": {"tone_break"},
    "tone_break": {"mixed_speech"},
    "hallucinated_item": {"class_item_mismatch"},
    "class_item_mismatch": {"hallucinated_item"},
    "truncated": {"broken_form", "tone_break", "mixed_speech"},
    "repetition": {"length"},
}
_MAX_PROPOSALS = 12  # checking is the slow part; whatever fails twelve times doesn't suit the line

# Everyday words for which models of mixed pretraining fall into English ("failure였지", "perfect했어요").
_LATIN = {
    "무기": "weapon", "완벽": "perfect", "성공": "success", "대성공": "success", "실패": "failure", "의뢰": "quest",
    "주인장": "master", "주인": "master", "사장": "boss", "손님": "client", "최고": "best", "문제": "problem",
    "추천": "recommend", "상태": "condition", "정말": "really", "진짜": "really", "오늘": "today", "어제": "yesterday",
    "돈": "money", "값": "price", "다음": "next", "친구": "friend", "힘": "power", "손": "hand", "몸": "body", "밤": "night",
    "길": "road", "소문": "rumor", "가게": "shop", "모험": "adventure", "괴물": "monster", "몬스터": "monster",
    "전설": "legend", "행운": "lucky", "운": "luck", "실력": "skill", "부탁": "please", "준비": "ready", "시간": "time",
    "할인": "discount", "단골": "regular", "처음": "first", "목숨": "life", "이름": "name", "피": "blood", "불": "fire",
    "용": "dragon", "던전": "dungeon", "동굴": "cave", "숲": "forest", "사냥": "hunting", "전투": "battle", "싸움": "fight",
    "승리": "victory", "파티": "party", "동료": "team", "물건": "item", "장비": "equipment", "하나": "one",
    "머리": "head", "등급": "rank", "녀석": "guy", "놈": "guy",
    "대여": "rental", "대여료": "rental", "은화": "silver", "금화": "gold", "보상": "reward", "보수": "reward",
    "덕분": "thanks",
}  # fmt: skip


def corrupt(line: str, attributes: Attributes, domain: Domain, kind: str, rng: random.Random) -> str | None:
    """`line` with one mistake of `kind` in it, or None where that can't be done.

    Args:
        line: a good line; one that already breaks a rule gives None.
        attributes: what the line was written for.
        domain: the game's world.
        kind: a key of `CORRUPTIONS`.
        rng: decides between several places or words.
    """
    if check_line(line, attributes, domain):
        return None
    for proposal in islice(CORRUPTIONS[kind](line, attributes, domain, rng), _MAX_PROPOSALS):
        found = {violation.kind for violation in check_line(proposal, attributes, domain)}
        if kind in found and found <= {kind} | _COMPANIONS.get(kind, set()):
            return proposal
    return None


def mixed_speech(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """One sentence of several on the other side of 존댓말 and 반말."""
    spans = [(s.start, s.end) for s in sentences(line)]
    for span in rng.sample(spans, len(spans)):
        flipped = flip_ending(line, *span, rng)
        if flipped is not None:
            yield flipped


def tone_break(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """Every sentence on the other side: the line is consistent, and someone else's."""
    flipped = line
    # From the back, so that the offsets of the sentences before stay true.
    for sentence in reversed(sentences(line)):
        flipped = flip_ending(flipped, sentence.start, sentence.end, rng) or flipped
    if flipped != line:
        yield flipped


def hallucinated_item(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """The item of the past rental becomes another one. The class's own come first: nothing else gives them away."""
    previous = str(domain.role(attributes, "previous_item"))
    own = domain.affinity.get(str(domain.role(attributes, "class")), ())
    others = rng.sample([item for item in domain.items if item != previous], len(domain.items) - (previous in domain.items))
    yield from _swap_items(line, domain, [previous], sorted(others, key=lambda item: item not in own))


def class_item_mismatch(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """The item asked for becomes one that the class doesn't use."""
    own = domain.affinity.get(str(domain.role(attributes, "class")), ())
    others = [item for item in domain.items if item not in own]
    yield from _swap_items(line, domain, own, rng.sample(others, len(others)))


def foreign_text(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """A common word falls into English."""
    spots = [token for token in tokens(line) if token.form in _LATIN and line.startswith(token.form, token.start)]
    for token in rng.sample(spots, len(spots)):
        yield line[: token.start] + _LATIN[token.form] + line[token.end :]


def repetition(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """A sentence said twice."""
    spans = [(s.start, s.end) for s in sentences(line)]
    for start, end in rng.sample(spans, len(spans)):
        sentence = line[start:end].strip()
        yield f"{line[:end].rstrip()} {sentence} {line[end:].lstrip()}".rstrip()


def truncated(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """The line stops at the last particle, connective or modifier that leaves something unsaid."""
    words = [token for token in tokens(line) if token.tag[0] != "S"]
    for word, following in reversed(list(pairwise(words))):
        # A syllable that the next morpheme shares (해 + 었) is no place to stop.
        if word.tag.startswith(("J", "EC", "ETM")) and word.end <= following.start:
            yield line[: word.end]


CORRUPTIONS: dict[str, Corruption] = {
    "mixed_speech": mixed_speech,
    "tone_break": tone_break,
    "hallucinated_item": hallucinated_item,
    "class_item_mismatch": class_item_mismatch,
    "foreign_text": foreign_text,
    "repetition": repetition,
    "truncated": truncated,
}


def _swap_items(line: str, domain: Domain, replaced: Any, by: list[str]) -> Iterator[str]:
    """`line` with one mention of a `replaced` item turned into one of `by`, for each choice of both."""
    for item in by:
        for mention in item_mentions(line, replaced, domain):
            yield rename_mentions(line, [mention], item)


# --- The other side of 존댓말 and 반말
#
# ᆸ, ᆫ and ᆯ are conjoining jamo (U+11B8, U+11AB, U+11AF), as Kiwi writes them.

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
    if len(word) < 2 or word[0].form in _SET_PHRASES or _join(word) != line[word_start : ending.end]:
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
    word = _join([*stem, Token(_fitting(ending, last, is_question), "EF", 0, 0)])
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


def _join(words: list[Token]) -> str:
    joined = _kiwi().join([(word.form, word.tag) for word in words]).replace(" ", "")
    for spelled, said in _CONTRACTIONS.items():
        joined = joined.replace(spelled, said)
    return joined
