"""Items of the game's world in a line: rentals that never happened, and wishes that the class has no use for.

Works clause by clause on Kiwi's morphemes and gives no verdict where a clause may speak of somebody else, or of a figure of
speech: a false alarm costs a good line, and a miss is caught by the next judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.speech_level import Token, spoken_tokens
from npc_align.violation import Violation

KINDS = ("hallucinated_item", "class_item_mismatch")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# More items than this in one clause are a list or degenerate text, and one verdict suffices.
_MOST_MENTIONS = 8
# Verbs by which a customer has had an item: to borrow, to use.
_BORROWING = ("빌리", "대여하")
_HAVING = (*_BORROWING, "쓰", "사용하", "휘두르")
# Verbs and nouns by which an item was met, not borrowed.
_MEETING = _words("보 듣 말하 말씀하 말씀 찾 팔 사 구경 구경하 탐내 권하 추천 약속 들어오")
# Verbs by which one asks to be handed something; after any other verb 주 asks for a service ("갈아 주세요").
_HANDING = _words(
    "빌리 빌려주 보이 고르 골라잡 내 내놓 내오 내주 꺼내 추천하 건네 건네주 챙기 찾 가져다주 맡기 구하 주 바꾸 가져오"
)
# After these endings the next verb belongs to the same predicate ("빌려 가다", "찾으러 오다").
_LINKING = ("어", "아", "여", "게", "지", "고", "러", "으러")
# People; a clause about one of them may not be about the speaker.
_OTHERS = _words(
    "동료 친구 선배 후배 스승 사부 제자 사람 놈 녀석 자식 아버지 어머니 아빠 엄마 할아버지 할머니 형 누나 언니 오빠 동생 삼촌 "
    "아들 딸 남편 아내 마누라 대장 두목 손님 청년 영감 꼬맹이 애 아이 남 누구 누가 걔 쟤 얘 그놈 그자 저놈 다들 모두 적 괴물 "
    "의뢰인 의뢰주 이웃 옆집 늙은이 노인 젊은이 처녀 총각 대원 일행 파티 길드 댁"
)
_FIRST_PERSON = ("나", "저", "내", "제", "우리", "저희")
_HEARD = ("소문", "얘기", "이야기")
_HEARSAY = ("다더", "다던", "대", "ᆫ대", "는대", "다며", "다면서", "다길래", "라더", "라던", "래")
# What follows an item that is only a measure, a place, or not wanted.
_ASIDE = _words("보다 처럼 만큼 같이 한테 에게 께 에 에서 과 와 하고 대신 빼 아니 없이 같")
# What follows an item in the wish itself, besides particles and numerals.
_AMOUNTS = _words("로 으로 이나 하나 하루 이틀 사흘 며칠")
# Words by which a wish is turned down or questioned.
_DENYING = _words("안 못 말 아니 없 싫 무슨 왜 어찌 됐 되 않")


@dataclass(frozen=True)
class _Mention:
    """A word that names an item: which items it may mean, where it stands, and its last morpheme's index in the clause."""

    items: frozenset[str]
    start: int
    end: int
    index: int


@dataclass(frozen=True)
class _Clause:
    """A clause with the items that it names and the indices of the morphemes where the domain's cues start."""

    morphemes: Sequence[Token]
    mentions: Sequence[_Mention]
    past: Sequence[int]
    request: Sequence[int]

    def after(self, mention: _Mention) -> Token | None:
        """The morpheme that follows the mention."""
        return self.morphemes[mention.index + 1] if mention.index + 1 < len(self.morphemes) else None


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) by the items it names."""
    found = []
    words = {alias for aliases in domain.items.values() for alias in aliases}
    for piece in _pieces(_with_particles_apart(spoken_tokens(line), words)):
        mentions = _mentions(line, piece, domain)[:_MOST_MENTIONS]
        if mentions:
            cues = (_cues_at(line, piece, domain.cues.get(kind, ())) for kind in ("past", "request"))
            clause = _Clause(piece, mentions, *cues)
            found += _hallucinated(line, clause, attributes, domain)
            found += _mismatched(line, clause, attributes, domain)
    return found


def _with_particles_apart(morphemes: Sequence[Token], words: set[str]) -> list[Token]:
    """The morphemes, where a noun that is an item's name and 로 in one (a homonym of Kiwi's dictionary) is cut in two."""
    parted: list[Token] = []
    for token in morphemes:
        if token.tag == "NNG" and token.form[-1:] == "로" and token.form[:-1] in words:
            middle = token.end - 1
            parted += [Token(token.form[:-1], "NNG", token.start, middle), Token("로", "JKB", middle, token.end)]
        else:
            parted.append(token)
    return parted


def _pieces(morphemes: Sequence[Token]) -> list[list[Token]]:
    """The line cut at sentence ends, commas and connective endings; auxiliaries stay with their verb.

    A comma cuts only between two predicates: what stands alone on one side of it belongs to the other ("그거, 반납.").
    """
    pieces: list[list[Token]] = [[]]
    for i, token in enumerate(morphemes):
        pieces[-1].append(token)
        following = morphemes[i + 1] if i + 1 < len(morphemes) else None
        if token.tag == "SP":
            cut = _predicates(pieces[-1]) and _predicate_follows(morphemes, i + 1)
        else:
            comma = following is not None and following.tag == "SP"
            cut = token.tag in ("SF", "SE", "SO") or (
                token.tag in ("EC", "EF") and not comma and not _continues(token, following)
            )
        if cut:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _predicates(morphemes: Sequence[Token]) -> bool:
    return any(t.tag in ("EF", "EC") for t in morphemes)


def _predicate_follows(morphemes: Sequence[Token], start: int) -> bool:
    """Whether a predicate ends before the next punctuation mark."""
    for i in range(start, len(morphemes)):
        if morphemes[i].tag in ("EF", "EC"):
            return True
        if morphemes[i].tag in ("SF", "SE", "SP"):
            return False
    return False


def _continues(ending: Token, following: Token | None) -> bool:
    if following is None or ending.form not in _LINKING:
        return False
    return ending.form not in ("고", "지") or following.tag == "VX"


def _mentions(line: str, piece: Sequence[Token], domain: Domain) -> list[_Mention]:
    meanings = _meanings(tuple(domain.items.items()))
    found: list[_Mention] = []
    for i, token in enumerate(piece):
        # Kiwi cuts names that it doesn't know, so a few morphemes may make up one; the longest counts.
        for last in range(min(i + 3, len(piece)) - 1, i - 1, -1):
            start, end = token.start, piece[last].end
            inside = found and end <= found[-1].end
            if (
                line[start:end] in meanings
                and not inside
                and _stands_alone(line, piece, i, last)
                and not _look_alike(line, start, end, domain)
            ):
                found.append(_Mention(meanings[line[start:end]], start, end, last))
                break
    return found


@lru_cache(maxsize=16)
def _meanings(items: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, frozenset[str]]:
    """Which items each word may mean."""
    words = {alias for _, aliases in items for alias in aliases}
    return {word: frozenset(item for item, aliases in items if word in aliases) for word in words}


def _stands_alone(line: str, piece: Sequence[Token], first: int, last: int) -> bool:
    """Whether the morphemes are a noun of their own: opening a word and followed by a particle, a copula or nothing."""
    start, end = piece[first].start, piece[last].end
    if (start > 0 and line[start - 1].isalnum()) or piece[first].tag not in ("NNG", "NNP", "NNB", "NR", "NF", "UN", "MM", "XPN"):
        return False
    if not line[end : end + 1].isalnum():
        return piece[last].tag[0] == "N" or first < last
    following = piece[last + 1] if last + 1 < len(piece) else None
    return (
        piece[last].tag[0] == "N"
        and following is not None
        and (following.tag[0] == "J" or following.tag in ("VCP", "VCN", "MM", "NR"))
    )


def _look_alike(line: str, start: int, end: int, domain: Domain) -> bool:
    """Whether the span lies in a word that only looks like an item."""
    for word in domain.not_items:
        at = line.find(word, max(0, start - len(word) + 1), end + len(word) - 1)
        if 0 <= at < end and start < at + len(word):
            return True
    return False


def _cues_at(line: str, piece: Sequence[Token], cues: Sequence[str]) -> list[int]:
    """The indices of the morphemes where cues start; cues are compared without white space."""
    bare = tuple("".join(cue.split()) for cue in cues)
    reach = 2 * max(map(len, cues), default=0)
    end, found = piece[-1].end, []
    for i, token in enumerate(piece):
        before = piece[i - 1] if i else None
        # "마르기 전에", "마르기도 전에" speak of what is to come; and of morphemes that share a syllable the first counts.
        if before is not None and (before.start == token.start or "ETN" in (before.tag, piece[i - 2].tag)):
            continue
        if "".join(line[token.start : min(end, token.start + reach)].split()).startswith(bare or ("\0",)):
            found.append(i)
    return found


def _hallucinated(line: str, clause: _Clause, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    previous = domain.role(attributes, "previous_item")
    # What a clause tells of the past belongs to the item that fits, where it names that one too.
    if previous is None or any(previous in m.items for m in clause.mentions) or _about_others(clause.morphemes):
        return []
    first_visit = previous == domain.no_item
    known = "처음 온 손님이라 빌린 적이 없습니다." if first_visit else f"이전에 빌린 것은 {previous}입니다."
    wrong = [m for m in clause.mentions if _was_had(line, clause, m, domain, strict=first_visit)]
    return [_violation("hallucinated_item", line, m, "빌린 적 없는 물건을 이야기합니다", known) for m in wrong]


def _violation(kind: str, line: str, mention: _Mention, fault: str, known: str) -> Violation:
    return Violation(kind, mention.start, mention.end, f"{fault}: {line[mention.start : mention.end]}. {known}")


def _about_others(piece: Sequence[Token]) -> bool:
    """Whether the clause may tell of another person, or repeats what others say."""
    for i, token in enumerate(piece):
        following = next((t for t in piece[i + 1 : i + 4] if t.tag != "XSN"), None)
        person = token.form in _OTHERS and token.tag[0] == "N"
        if person and (following is None or following.tag not in ("JKO", "SP")):
            return True
        if token.form in _HEARD and token.tag == "NNG":
            return True
        if token.tag in ("EF", "EC", "ETM") and token.form.startswith(_HEARSAY):
            return True
    return False


def _was_had(line: str, clause: _Clause, mention: _Mention, domain: Domain, strict: bool) -> bool:
    """Whether the clause tells that the speaker had the item before.

    On a first visit (`strict`) using an item is no rental: everybody has used one somewhere.
    """
    if _aside(clause, mention) or _asks(clause, mention):
        return False
    if _past_of_having(clause.morphemes, mention, _BORROWING if strict else _HAVING):
        return True
    if _has_past_cue(line, clause, domain, strict) and not _only_met(clause, mention):
        return True
    return not strict and _past_by_means(clause.morphemes, mention)


def _has_past_cue(line: str, clause: _Clause, domain: Domain, strict: bool) -> bool:
    """Whether a cue of the past stands in the clause.

    `strict` takes only nouns of their own and verbs of borrowing: "지난 싸움", "전에" tell of any past, not of this shop's.
    """
    if not strict:
        return bool(clause.past)
    cues = domain.cues.get("past", ())
    starters = [clause.morphemes[at] for at in clause.past]
    return any(t.form in _BORROWING or (t.tag == "NNG" and line[t.start : t.end] in cues) for t in starters)


def _past_of_having(piece: Sequence[Token], mention: _Mention, verbs: Sequence[str]) -> bool:
    """Whether a verb of borrowing or using stands in the past, after the item or modifying it ("빌린 것", "쓰던 것")."""
    for i, token in enumerate(piece):
        if token.tag[:2] == "VV" and token.form in verbs:
            after = next((t for t in piece[i + 1 :] if t.tag in ("EP", "ETM", "EF")), None)
            if after is not None and (_is_past(after) if i > mention.index else _modifies(piece, i, mention)):
                return True
    return False


def _is_past(token: Token) -> bool:
    return token.tag == "EP" and token.form in ("었", "았", "였")


def _modifies(piece: Sequence[Token], verb: int, mention: _Mention) -> bool:
    """Whether a past adnominal ending links the verb to the item with nothing but a demonstrative or a noun between."""
    ending = next((i for i in range(verb + 1, mention.index) if piece[i].tag not in ("EC", "VX", "EP")), None)
    if ending is None or piece[ending].tag != "ETM" or piece[ending].form not in ("ᆫ", "은", "던"):
        return False
    return all(t.tag in ("MM", "NNG", "NNB") for t in piece[ending + 1 : mention.index])


def _only_met(clause: _Clause, mention: _Mention) -> bool:
    """Whether the item was only seen, spoken of, or handled by another subject than the speaker."""
    if any(t.form in _MEETING and t.tag in ("VV", "NNG") for t in clause.morphemes):
        return True
    after = clause.after(mention)
    return after is not None and after.tag == "JKO" and _another_subject(clause.morphemes)


def _another_subject(piece: Sequence[Token]) -> bool:
    return any(t.tag == "JKS" and piece[i - 1].form not in _FIRST_PERSON for i, t in enumerate(piece) if i)


def _past_by_means(piece: Sequence[Token], mention: _Mention) -> bool:
    """Whether the speaker has done something by means of the item ("그걸로 늑대를 잡았다", "그거 하나로 끝냈어요")."""
    at = mention.index + 1
    while at < len(piece) and piece[at].tag in ("MM", "NR", "NNB", "SN"):
        at += 1
    by_means = at < len(piece) and piece[at].tag == "JKB" and piece[at].form in ("로", "으로")
    return by_means and any(_is_past(t) for t in piece[at:]) and not _another_subject(piece[: mention.index])


def _aside(clause: _Clause, mention: _Mention) -> bool:
    """Whether the item is only compared with, left out, or a place ("그것보다", "그거 말고")."""
    after = clause.after(mention)
    return after is not None and ((after.form in _ASIDE and after.tag[0] != "E") or (after.form == "말" and after.tag[0] == "V"))


def _mismatched(line: str, clause: _Clause, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    adventurer = domain.role(attributes, "class")
    usable = domain.affinity.get(str(adventurer))
    if not usable or clause.past:
        return []
    wrong = [m for m in clause.mentions if not m.items & set(usable) and not _aside(clause, m) and _asks(clause, m)]
    known = f"쓸 수 있는 것: {', '.join(usable)}."
    return [_violation("class_item_mismatch", line, m, f"{adventurer}에게 맞지 않는 물건을 청합니다", known) for m in wrong]


def _asks(clause: _Clause, mention: _Mention) -> bool:
    """Whether the clause asks for the mentioned item now."""
    if not clause.request or any(_is_past(t) for t in clause.morphemes):
        return False
    if any(t.form in _DENYING for t in clause.morphemes[mention.index + 1 :]):
        return False
    last = clause.request[-1]
    if last < mention.index:
        return _postposed(clause, last, mention)
    wished = mention.index + 1 in clause.request or _as_wished(clause, mention)
    return wished and _hands_over(clause.morphemes[mention.index + 1 : last])


def _postposed(clause: _Clause, cue: int, mention: _Mention) -> bool:
    """Whether the item is added after the request and a comma ("빌려줘, 더 큰 걸로!")."""
    comma = next((i for i in range(cue, mention.index) if clause.morphemes[i].tag == "SP"), None)
    if comma is None or _predicates(clause.morphemes[comma:]):
        return False
    return _hands_over(clause.morphemes[:cue]) and _as_wished(clause, mention)


def _hands_over(before_cue: Sequence[Token]) -> bool:
    """Whether no verb but one of handing over stands before the cue: "갈아 주세요" asks for a service."""
    return all(t.tag[:2] not in ("VV", "VA") or t.form in _HANDING for t in before_cue)


def _as_wished(clause: _Clause, mention: _Mention) -> bool:
    """Whether what follows the item marks it as the thing wished for, and not as a part of something else."""
    after = clause.after(mention)
    if after is None or after.tag in ("SF", "SP", "JKO", "JX", "MM", "NR", "MAG", "SN") or after.form in _AMOUNTS:
        return True
    return after.tag == "JKS" and any(t.form in ("있", "필요") for t in clause.morphemes[mention.index + 2 : mention.index + 5])
