"""Wrong particles in a line, told from the words that only look like noun + particle.

Kiwi repairs a wrong particle silently or reads something else into it (a suffix, a verb, a noun that nobody knows), so its tags
alone don't tell. The evidence is a comparison: a form is wrong where putting it right makes its surroundings much likelier.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from npc_align.korean.morphemes import Token, encodable, kiwi, tokens
from npc_align.korean.particles import COPULAS, Slip, ends_in_rieul, final_consonant, suspects, word_around

# How much likelier (in log likelihood) the corrected text has to be before the form counts as wrong ...
_ENOUGH = 3.0
_ENOUGH_BY_FORM = {"이": 1.5, "이여": 1.0, "이나": 0.5, "나": 4.5}  # many verbs end in 나, and hardly anything in noun + 이
_ENOUGH_FOR_WORD = 4.0  # ... where Kiwi reads a real word, of which there are several
_ENOUGH_FOR_VERB = 8.0  # ... or a verb of one syllable
_ENOUGH_FOR_NAME = 8.0  # ... or somebody's name ("이유은")
_ENOUGH_AT_A_LOSS = 1.0  # ... or has no reading that could be right
# How far the surroundings reach on either side of the word, in characters.
_REACH = 20
# Degenerate text only has more places to compare.
_MOST_SUSPECTS = 200
_MOST_AFTER = 30
_BREAK = re.compile(r"[.!?…~\n]+\s*")
# 말이야 and 말이에요 shortened in speech, 낫다, and adverbs that Kiwi doesn't know ("괴로이", "너그러이").
_LOOK_ALIKE = re.compile(r"말(?:야|예요)|나은|\w+[로러]이")
# Verbs by which a thing is asked for.
_ASKING = ("다오", "빌리", "내", "내놓", "내오", "넘기", "건네", "가져오", "꺼내", "보이", "사", "팔", "고르", "챙기")
_COUNTS = ("한", "두", "세", "네", "석", "넉", "몇", "여러", "수십", "수백")
# What can't be anything but a particle after digits; 가, 과 and 로 name streets and lessons.
_AFTER_NUMBERS = ("은", "는", "을", "를", "와", "으로", "이랑", "랑")
_PLACES = ("여기", "거기", "저기", "어디")
_NOUN_LIKE = ("XSN", "SN", "SL", "ETN", "XR")


def slips(line: str, nouns: Collection[str] = ()) -> list[Slip]:
    """The wrong forms in `line` (in NFC), at most one in a word.

    Args:
        line: Any text.
        nouns: Words that are surely nouns in this text; after them less evidence is enough.
    """
    best = {slip.start: (0.0, slip) for slip in _misspelt_copulas(line, nouns)}
    for slip in islice(suspects(line), _MOST_SUSPECTS):
        surplus = _surplus(line, slip, nouns)
        if surplus > best.get(slip.start, (0.0, slip))[0]:
            best[slip.start] = surplus, slip
    return [slip for _, slip in best.values()]


def _surplus(line: str, slip: Slip, nouns: Collection[str]) -> float:
    """How much more speaks for a mistake than it takes; 0 or less for none."""
    morphemes = tokens(line)
    first = bisect_right(morphemes, slip.at, key=lambda t: t.end)
    if first == len(morphemes) or _LOOK_ALIKE.fullmatch(line, slip.start, slip.end):
        return 0
    before, token = morphemes[max(0, first - 1)], morphemes[first]
    if before.end == token.start and token.tag[0] == "J" and token.form == slip.form:
        return 1  # Kiwi itself finds the form after the noun
    stem = line[slip.start : slip.at]
    if stem[-1].isdigit() and slip.form in _AFTER_NUMBERS:
        return 1
    enough = _enough(before, token, stem, slip, nouns)
    if enough is None or not _is_meant(morphemes, first, stem, slip, nouns):
        return 0
    if stem in nouns and enough == 0 and (len(stem) > 1 or (before.tag == "VA" and slip.form == "는")):
        return 1  # nothing to compare: no other word has these letters, and no adjective takes 는
    return _gain(line, slip) - enough


def _enough(before: Token, token: Token, stem: str, slip: Slip, nouns: Collection[str]) -> float | None:
    """How much likelier the right form has to be, by what Kiwi made of the wrong one; None where it read something real."""
    if token.start < slip.at:
        return _enough_across(token, stem, slip, nouns)
    verbal = before.tag[:2] in ("VV", "VA", "VX") or before.tag in ("VCN", "XSV", "XSA", "EP")
    if token.tag[0] == "E" and verbal and not _is_odd_verb(stem, slip, nouns):
        return None
    if stem in nouns:
        return 0
    if token.tag[0] == "E" and verbal and len(stem) == 1:
        return _ENOUGH_FOR_VERB
    if token.tag[0] == "E" and not verbal and before.tag != "VCP" and slip.right not in COPULAS:
        return _ENOUGH_AT_A_LOSS  # an ending right after a noun
    return _ENOUGH_BY_FORM.get(slip.form, _ENOUGH)


def _enough_across(token: Token, stem: str, slip: Slip, nouns: Collection[str]) -> float | None:
    """The same where a morpheme covers the end of the noun and the form.

    A noun that nobody knows is a makeshift. So are, often, real readings that noun + 가 or 랑 brings about, the bank of something
    ("물가"), the ending of a question ("손가" as "소인가"), ᆯ랑, and a short noun that begins in the middle of a longer one.
    """
    if token.tag[0] in "EJ" and slip.form in ("가", "랑") and (stem in nouns or _is_noun(stem)):
        return 0 if stem in nouns else _ENOUGH_FOR_WORD
    if token.tag[0] not in "NUX":
        return None
    inside = token.start > slip.start
    if not _is_word(token.form):
        at_a_loss = len(stem) > 1 and _is_word(stem)
        return 0 if stem in nouns else _ENOUGH_AT_A_LOSS if at_a_loss else _ENOUGH_BY_FORM.get(slip.form, _ENOUGH)
    if stem in nouns:
        return 0 if inside else _ENOUGH_FOR_WORD
    if token.tag == "NNP" and len(stem) > 1 and _is_word(stem):
        return _ENOUGH_FOR_NAME
    return _ENOUGH_FOR_WORD if slip.form == "가" or (inside and _is_word(stem)) else None


def _is_odd_verb(stem: str, slip: Slip, nouns: Collection[str]) -> bool:
    """Whether what Kiwi takes for a verb and its ending may be a noun and a wrong form ("말는", "검라도")."""
    if slip.right in COPULAS and (slip.form not in ("라", "란") or ends_in_rieul(stem)):
        return False  # "길다", "알고": the endings of verbs are the same
    return stem in nouns or _is_noun(stem)


def _is_meant(morphemes: Sequence[Token], first: int, stem: str, slip: Slip, nouns: Collection[str]) -> bool:
    """Whether the noun can have that particle here."""
    if slip.right in COPULAS:
        return stem in nouns or (len(stem) > 1 and _is_noun(stem))  # too much else is short ("봄군")
    if slip.form == "가" and morphemes[first].tag[0] == "E":
        # "시인가 노래인가" are questions.
        return all(t.form != morphemes[first].form for t in morphemes[first + 1 : first + _MOST_AFTER])
    return slip.form not in ("이나", "이라도") or _chooses(morphemes, slip, stem in nouns)


def _chooses(morphemes: Sequence[Token], slip: Slip, surely_noun: bool) -> bool:
    """Whether noun + 이나, 이라도 means "or, at least" and not "although it is", which after a vowel is right, too.

    It does after a count ("세 개나"), among several ("창이나"), and where a thing is asked for and nothing else is named.
    """
    at = bisect_left(morphemes, slip.end, key=lambda t: t.start)
    counted = [t for t in morphemes[max(0, at - 5) : at] if t.end <= slip.at][-2:]
    if counted and (counted[-1].tag == "NNB" or counted[0].tag in ("NR", "SN") or counted[0].form in _COUNTS):
        return True
    rest = morphemes[at : at + _MOST_AFTER]
    clause = rest[: next((i for i, t in enumerate(rest) if t.tag == "SF"), len(rest))]
    if any(t.form in ("나", "이나") and t.tag in ("JC", "JX") for t in clause):
        return True
    if clause and clause[0].form == "하나":
        return True
    asked = any(t.tag[0] == "V" and (t.form in _ASKING or t.form.endswith("주")) for t in clause)
    return surely_noun and asked and not any(t.tag in ("JKO", "JKS") or t.form in ("은", "는") for t in clause)


@lru_cache(maxsize=8192)
def _is_word(form: str) -> bool:
    """Whether Kiwi's dictionary has it as one morpheme."""
    found = kiwi().tokenize(form)
    return len(found) == 1 and not found[0].oov


@lru_cache(maxsize=8192)
def _is_noun(word: str) -> bool:
    """Whether Kiwi takes a word for a noun when it stands alone; "저" it takes for "that"."""
    found = tokens(word)
    return word == "저" or (bool(found) and (found[-1].tag[0] == "N" or found[-1].tag in ("XSN", "SN")))


def _gain(line: str, slip: Slip) -> float:
    """How much likelier the words around the form become with the right one; minus infinity where it still is no particle."""
    start, end = _surroundings(line, slip)
    morphemes, after = _analysis(line[start : slip.at] + slip.right + line[slip.at + len(slip.form) : end])
    if not _has_particle(morphemes, slip.at - start, slip.right):
        return float("-inf")
    return after - _analysis(line[start:end])[1]


def _surroundings(line: str, slip: Slip) -> tuple[int, int]:
    """The sentence around a word, or the whole words of it within reach."""
    start, end = max(0, slip.start - _REACH), min(len(line), slip.end + _REACH)
    left, right = line[start : slip.start], line[slip.end : end]
    breaks = [match.end() for match in _BREAK.finditer(left)]
    if breaks:
        start += breaks[-1]
    elif start:
        start += left.find(" ") + 1
    stop = _BREAK.search(right)
    if stop:
        end = slip.end + stop.end()
    elif end < len(line) and " " in right:
        end = slip.end + right.rfind(" ")
    return start, end


@lru_cache(maxsize=4096)
def _analysis(text: str) -> tuple[Sequence[Any], float]:
    """Kiwi's best reading of a text and its log likelihood."""
    ((morphemes, score),) = kiwi().analyze(encodable(text), top_n=1)
    return morphemes, score


def _has_particle(morphemes: Sequence[Any], at: int, form: str) -> bool:
    """Whether a noun ends at the position and the form, or 이다, begins there."""
    for before, token in pairwise(morphemes):
        if token.start == before.end == at and (before.tag[0] == "N" or before.tag in _NOUN_LIKE):
            known = not before.oov or before.len > 1
            particle = token.form == form and (token.tag[0] == "J" or form == "아")
            return known and (particle or token.tag == "VCP" or (form == "이랑" and token.form == "이"))
    return False


def _misspelt_copulas(line: str, nouns: Collection[str]) -> Iterator[Slip]:
    """이에요, 예요, 이었 and 였 mixed up with each other: "사람이예요", "사람이였다", "뭐에요"."""
    if not any(form in line for form in ("예요", "에요", "이였")):
        return
    morphemes = tokens(line)
    for before, copula, ending in zip(morphemes, morphemes[1:], morphemes[2:], strict=False):
        if copula.tag != "VCP" or before.end != copula.start or copula.end != ending.start or before.tag[0] == "S":
            continue
        form = line[copula.start : ending.end]
        closed = bool(final_consonant(line[copula.start - 1]))
        full = form in ("이예요", "이였") or (form == "이에요" and not closed)
        # "영숙이예요", "나이예요": the noun has an 이 of its own.
        full = full and before.tag != "NNP" and not _is_word(line[before.start : copula.end])
        if full or (form == "에요" and _is_surely_meant(line, before, nouns)):
            right = ("이에요" if closed else "예요") if form.endswith("요") else ("이었" if closed else "였")
            yield Slip(*word_around(line, copula.start), copula.start, form, right)


def _is_surely_meant(line: str, noun: Token, nouns: Collection[str]) -> bool:
    """Whether 에요 after the noun can't be the particles 에 and 요 ("학교에요")."""
    return (noun.tag == "NP" and noun.form not in _PLACES) or noun.form == "거" or line[noun.start : noun.end] in nouns
