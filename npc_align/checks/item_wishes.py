"""Whether a sentence asks for an item now: the many ways of Korean to say "I want that one".

From the item the reading goes forward over what may stand between a thing and its verb (amounts, adverbs, "하나만 외상으로") to
the predicate that governs it, and looks at that predicate's root and mood. Whatever doesn't fit is no request.
"""

from __future__ import annotations

from collections.abc import Sequence

from npc_align.checks.item_clauses import PEOPLE, Mention, Sentence, is_past, tells_of_others
from npc_align.checks.item_moods import AGAIN, AMOUNTS, ASIDE, DENYING, GOODS_OR_TIMES, OTHER, POINTING, QUESTIONING, SAME
from npc_align.checks.item_reader import Reader
from npc_align.korean.morphemes import Token


def asks_for(sentence: Sentence, mention: Mention, *, question: bool, terse: bool, before: Sequence[Token]) -> bool:
    """Whether the sentence asks for the mentioned item now.

    Args:
        question: The sentence ends in a question mark.
        terse: The speaker's manner is bare nouns, so that a noun alone is a request.
        before: The line's morphemes before the sentence, where a gift's receiver may be named.
    """
    clause = sentence.clause(mention)
    own = sentence.morphemes[clause.start : mention.first]
    if _aside(sentence, mention) or tells_of_others(own, PEOPLE) or _for_somebody([*before, *sentence.morphemes]):
        return False
    if any(t.form in QUESTIONING for t in own):
        return False
    return Reader(sentence, mention, question, terse).asks()


def _aside(sentence: Sentence, mention: Mention) -> bool:
    """Whether the item is only compared with, left out, or an owner's or a place."""
    after = sentence.after(mention)
    return after is not None and after.form in ASIDE and after.tag[0] != "E" and after.tag not in ("VCP", "IC", "NNB")


def _for_somebody(morphemes: Sequence[Token]) -> bool:
    """Whether somebody else is to have what is asked for: a gift, an errand."""
    for i, token in enumerate(morphemes):
        if token.form in ("선물", "심부름") and token.tag[0] == "N":
            return True
        if token.form in PEOPLE and token.tag[0] == "N" and i + 1 < len(morphemes):
            following = next((t for t in morphemes[i + 1 : i + 4] if t.tag != "XSN"), token)
            if following.form in ("에게", "한테", "께", "거", "것", "몫", "대신", "생일") or following.form == "주":
                return True
    return False


def asked_later(sentences: Sequence[Sentence], told: int, mention: Mention, *, had: bool) -> bool:
    """Whether a later sentence asks for what this one names ("그때 그게 딱 맞았다! 그거 또 꺼내 와라!", "저거 예쁘다! 하나 주세요").

    Args:
        had: The sentence tells of the item as the speaker's last one; else the speaker has only set eyes on it.
    """
    sentence = sentences[told]
    clause = sentence.clause(mention)
    rest = Sentence(sentence.morphemes[clause.stop :], ())
    following = (
        [rest, *sentences[told + 1 : told + 4]]
        if any(t.tag[0] == "V" for t in rest.morphemes)
        else sentences[told + 1 : told + 4]
    )
    if (
        _aside(sentence, mention)
        or sentence.mentions[-1] is not mention
        or tells_of_others(sentence.morphemes[: mention.first], PEOPLE)
    ):
        return False
    if any(t.form in DENYING for t in sentence.morphemes[: clause.stop]):
        return False
    if not had and not _eyed(sentence, mention):
        return False
    for later in following if had else following[:2]:
        if later.mentions or any(t.form in OTHER for t in later.morphemes):
            return False
        if _asks_for_named(later, SAME | AGAIN if had else POINTING) or (not had and _asks_outright(later)):
            return True
    return False


def _eyed(sentence: Sentence, mention: Mention) -> bool:
    """Whether the speaker points at the item, likes it, speaks of taking it, or only calls its name."""
    if any(map(is_past, sentence.morphemes)):
        return False
    before = sentence.morphemes[mention.first - 1] if mention.first else None
    pointed = before is not None and before.tag == "MM" and before.form in ("저", "이", "요")
    after = sentence.morphemes[mention.last + 1 :]
    liked = len(after) > 1 and after[0].tag == "JKS" and any(t.form in ("좋", "마음", "맘") for t in after[1:3])
    return pointed or liked or any(t.form in ("빌리", "대여") for t in after[:4]) or _only_called(sentence, mention)


def _only_called(sentence: Sentence, mention: Mention) -> bool:
    """Whether the sentence does nothing but name the item ("그거다!", "큰 그것.")."""
    after = [t for t in sentence.morphemes[mention.last + 1 :] if t.tag[0] != "S"]
    before = sentence.morphemes[: mention.first]
    return all(t.tag in ("VCP", "EF", "NR", "XSN") for t in after) and not any(
        t.tag in ("VV", "EF", "JKB", "JKS") for t in before
    )


def _asks_for_named(sentence: Sentence, stand_ins: frozenset[str]) -> bool:
    """Whether the sentence asks for what went before by one of these words, and for nothing else."""
    for i, token in enumerate(sentence.morphemes):
        like = token.form in ("같", "똑같") and token.tag[0] == "V"
        if (token.form not in stand_ins and not (like and stand_ins & AGAIN)) or _of_something_else(sentence, i):
            continue
        reader = Reader(sentence, Mention(frozenset(), token.start, token.end, i, i), False, False)
        at = reader.predicate(i + 1 + like)
        if at is not None and reader.does_ask(at):
            return True
    return False


def _of_something_else(sentence: Sentence, place: int) -> bool:
    """Whether a word such as 또 has an object of its own before it ("그 돈 또 줘")."""
    before = [t for t in sentence.morphemes[:place] if t.tag != "JKO"][-1:]
    return any(t.tag == "NNG" and t.form not in AMOUNTS | GOODS_OR_TIMES for t in before)


def _asks_outright(sentence: Sentence) -> bool:
    """Whether the sentence asks to be handed something, or takes it, without a word for what ("꺼내라!", "바로 가져갈게요.")."""
    reader = Reader(sentence, Mention(frozenset(), 0, 0, -1, -1), False, False)
    at = reader.predicate(0)
    return at is not None and reader.does_ask(at)
