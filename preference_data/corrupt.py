"""Minimal corruptions of good lines: one plausible mistake each, of the kind that a small model makes.

They stand in where sampling brought no reject of a kind. Each function only proposes; `corrupt` lets a proposal pass when
`check_line` finds the intended kind in it, and found nothing at all in the line before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

from npc_align.checks import check_line
from npc_align.domain import Attributes, Domain
from npc_align.korean.morphemes import Token, tokens
from npc_align.korean.particles import refit
from npc_align.korean.speech_level import sentences
from npc_align.mentions import item_mentions, rename_mentions
from preference_data.flip import flip_ending, join_word

Corruption = Callable[[str, Attributes, Domain, random.Random], Iterator[str]]

# What may show up beside the intended kind. Anything else means that the corruption botched more than it meant to.
_COMPANIONS = {
    "mixed_speech": {"tone_break"},
    "tone_break": {"mixed_speech"},
    "hallucinated_item": {"class_item_mismatch"},
    "class_item_mismatch": {"hallucinated_item"},
    "josa_error": {"broken_form"},
    "truncated": {"broken_form", "tone_break", "mixed_speech"},
    "repetition": {"length"},
}
_MAX_PROPOSALS = 12  # checking is the slow part; whatever fails twelve times doesn't suit the line

_PARTICLES = (("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("으로", "로"))
# Sections of the domain's cues that say the opposite of each other.
_RESULTS = (("victory", "defeat"), ("overcome", "lost"), ("feats", "lost"), ("finished", "lost"))

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
    """The item asked for becomes one that the class doesn't use. The last rental's comes first: a model asks for it again."""
    previous = str(domain.role(attributes, "previous_item"))
    own = domain.affinity.get(str(domain.role(attributes, "class")), ())
    others = [item for item in domain.items if item not in own]
    yield from _swap_items(line, domain, own, sorted(rng.sample(others, len(others)), key=lambda item: item != previous))


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


def josa_error(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """One particle in the form that the word before it doesn't take."""
    other = {form: pair[1 - side] for pair in _PARTICLES for side, form in enumerate(pair)}
    spots = [t for t in tokens(line) if t.tag[0] == "J" and t.form in other and line[t.start : t.end] == t.form]
    for token in rng.sample(spots, len(spots)):
        yield line[: token.start] + other[token.form] + line[token.end :]


def result_contradiction(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """What tells how the quest went says the opposite: a word of winning for one of losing, or the other way round."""
    for token in rng.sample(tokens(line), len(tokens(line))):
        for word in rng.sample(opposites := _opposites(token, domain), len(opposites)):
            swapped = _with_word(line, token, word)
            if swapped is not None:
                yield swapped


def interval_contradiction(line: str, attributes: Attributes, domain: Domain, rng: random.Random) -> Iterator[str]:
    """A visit or rental of long ago was yesterday, or the other way round."""
    recent, long_ago = domain.cues.get("recent", ()), domain.cues.get("long_ago", ())
    for here, there in ((recent, long_ago), (long_ago, recent)):
        for said in rng.sample(here, len(here)):
            before, found, after = line.partition(said)
            # "며칠 전에" with 오랜만에 would have its 에 twice.
            fitting = [word for word in there if found and word[-1:] != after[:1]]
            yield from (before + word + after for word in rng.sample(fitting, min(3, len(fitting))))
    # "가을에" gives way to "어제": where and when stand in the same place of a sentence.
    for noun, particle in pairwise(tokens(line)):
        if particle.tag == "JKB" and particle.form == "에" and noun.tag == "NNG" and recent:
            start = line.rfind(" ", 0, noun.start) + 1
            yield line[:start] + rng.choice(recent) + line[particle.end :]


CORRUPTIONS: dict[str, Corruption] = {
    "mixed_speech": mixed_speech,
    "tone_break": tone_break,
    "hallucinated_item": hallucinated_item,
    "class_item_mismatch": class_item_mismatch,
    "result_contradiction": result_contradiction,
    "interval_contradiction": interval_contradiction,
    "josa_error": josa_error,
    "foreign_text": foreign_text,
    "repetition": repetition,
    "truncated": truncated,
}


def _opposites(token: Token, domain: Domain) -> list[str]:
    """Words of the domain's cues that say the opposite of a verb or noun, in dictionary form and of the same kind."""
    word = token.form + ("다" if token.tag[:2] == "VV" else "")
    if token.tag[:2] not in ("VV", "NN"):
        return []
    for won, lost in _RESULTS:
        for here, there in ((won, lost), (lost, won)):
            if word in domain.cues.get(here, ()):
                return [w for w in domain.cues.get(there, ()) if " " not in w and w.endswith("다") == word.endswith("다")]
    return []


def _with_word(line: str, token: Token, word: str) -> str | None:
    """`line` with another verb or noun for the token's, its ending or particle made to fit; None where that can't be done."""
    if not word.endswith("다"):
        return line[: token.start] + word + refit(line[token.end :], token.form, word)
    end = next((i for i in range(token.start, len(line)) if not line[i].isalnum()), len(line))
    parts = [t for t in tokens(line) if token.start <= t.start < end]
    # Where Kiwi cannot even put the word together as it stood, its analysis is no ground to build on.
    if join_word(parts) != line[token.start : end]:
        return None
    return line[: token.start] + join_word([token._replace(form=word[:-1], tag="VV"), *parts[1:]]) + line[end:]


def _swap_items(line: str, domain: Domain, replaced: Any, by: list[str]) -> Iterator[str]:
    """`line` with one mention of a `replaced` item turned into one of `by`, for each choice of both."""
    for item in by:
        for mention in item_mentions(line, replaced, domain):
            yield rename_mentions(line, [mention], item)
