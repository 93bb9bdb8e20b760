"""What the checks on visits share: verbs of coming to this shop and of renting, whose they are, and the domain's cue words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from npc_align.checks.clauses import Clause, by_others, clauses, forms_of, telling, words
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token

Span = tuple[int, int]
AGAIN = words("또 다시 또다시")
COMING = words("오 들르 뵙 뵈 찾아오 찾아뵙 찾아뵈 방문 인사 들어오 만나 나타나 들리 신세 다녀가 왔다가")
RENTING = words("빌리 대여 가져가 빌려주 빌려가 반납")
ELSEWHERE = words("다른 옆 건너 건너편 건넛집 딴 옛 예전 전 남쪽 북쪽 동쪽 서쪽 고향 시장 왕도 도시 길드 마을 동네 대장간")
_WEATHER = words("비 눈 봄 겨울 여름 가을 밤 아침 손님 의뢰 편지 소식 기회 차례 잠 때 날")
_TIMES = words(
    "전 어제 그제 저번 지난번 작년 재작년 봄 여름 가을 겨울 아침 저녁 새벽 낮 오전 오후 주말 그때 예전 이전 일전 요전 해 주 지난주 지난해 지난봄 지난여름 지난가을 "
    "지난겨울 만 오랜만 오래간만 간만 덕분 덕 끝 사이 뒤 후 처음 전날 다음 문 문턱 앞 안 시간 때"
)


class Rule(NamedTuple):
    """A reader of clauses, with the morphemes of which a line that it speaks on has one: hardly any line has to be cut into clauses.

    Where `cues` names a section of the domain's, one of those cues in the line does as well.
    """

    read: Callable[[str, Clause, Domain], Span | None]
    words: frozenset[str]
    cues: str | None = None

    def first(self, line: str, domain: Domain) -> Span | None:
        """What the first clause tells in which the reader finds anything."""
        if self.words.isdisjoint(forms_of(line)) and (self.cues is None or cues_of(domain, self.cues).search(line) is None):
            return None
        return next((span for clause in clauses(line) if (span := self.read(line, clause, domain))), None)


def is_coming(morphemes: Sequence[Token], at: int) -> bool:
    token = morphemes[at]
    if token.form == "찾" and token.tag[0] == "V":
        return any(t.form in ("오", "뵙", "뵈") for t in morphemes[at + 1 : at + 3])
    if token.form in ("방문", "인사"):
        return token.tag == "NNG" and at + 1 < len(morphemes) and morphemes[at + 1].form in ("하", "드리")
    if token.form == "만나" and any(t.tag == "JKO" for t in morphemes[:at]):
        return False
    return token.form in COMING and token.tag[:2] == "VV"


def next_predicate(morphemes: Sequence[Token], start: int) -> int | None:
    """The index of the next verb, or noun with 하다 or 드리다."""
    for i in range(start, len(morphemes)):
        token = morphemes[i]
        if token.tag[:2] in ("VV", "VA", "VC") or (token.tag == "VX" and morphemes[i - 1].tag != "EC"):
            return i
        following = morphemes[i + 1] if i + 1 < len(morphemes) else None
        if token.tag == "NNG" and following is not None and (following.tag == "XSV" or following.form == "드리"):
            return i
    return None


def came(clause: Clause, verb: int, domain: Domain) -> bool:
    """Whether the speaker has come here: in the past, or just now as one says of meeting somebody ("뵙네요")."""
    morphemes = clause.morphemes
    if (
        negated(morphemes, verb)
        or not mine(clause, verb, domain)
        or elsewhere(clause, verb, domain)
        or bare_subject(morphemes, verb)
    ):
        return False
    if in_past(clause, verb):
        return telling(clause, verb, verb) is not None or not clause.asks
    ending = next((t for t in morphemes[verb + 1 :] if t.tag in ("EF", "EC", "EP", "ETM")), None)
    return ending is not None and ending.form in ("습니다", "ᆸ니다", "네요", "네", "는군요", "는군", "는구나", "게")


def in_past(clause: Clause, verb: int) -> bool:
    """Whether the verb, with its auxiliaries, stands in the past or modifies a noun as past."""
    tail = clause.morphemes[verb + 1 :]
    for i, token in enumerate(tail):
        if token.tag == "EP":
            if token.form.startswith(("었", "았", "였")):
                ending = next((t for t in tail[i + 1 :] if t.tag in ("EC", "EF", "ETM")), None)
                return ending is None or not ending.form.endswith(("면", "어야", "어도", "ᆯ", "을걸", "을까"))
            if token.form == "겠":
                return False
        elif token.tag == "ETM":
            return token.form in ("ᆫ", "은", "던") and not any(
                t.form in ("적", "일") for t in clause.morphemes[verb + 1 : verb + 5]
            )
        elif (
            token.tag == "EF"
            or (token.tag == "EC" and token.form not in ("어", "아", "여", "고"))
            or token.tag[:2] not in ("VX", "XS", "EC", "VV", "MA")
        ):
            return False
    return False


def negated(morphemes: Sequence[Token], verb: int) -> bool:
    before = morphemes[max(0, verb - 1) : verb]
    return any(t.form in ("못", "안") and t.tag == "MAG" for t in before) or any(
        t.form in ("않", "못하", "못", "말") for t in morphemes[verb + 1 : verb + 4]
    )


def mine(clause: Clause, verb: int, domain: Domain) -> bool:
    """Whether it's the speaker who comes or rents, or the owner who lends to them."""
    shop = frozenset(domain.cues.get("shop", ()))
    heard = any(
        t.tag in ("EF", "EC", "ETM") and t.form.startswith(("대", "다더", "다던", "다며", "다면서", "다길래", "다는", "ᆫ다는"))
        for t in clause.sentence
    )
    return not heard and not by_others(clause, verb, shop) and not any(t.form in ("소문", "얘기") for t in clause.sentence)


def bare_subject(morphemes: Sequence[Token], verb: int) -> bool:
    """Whether a noun without a particle may be what comes ("비 또 왔어")."""
    return any(
        t.form in _WEATHER and t.tag == "NNG" and morphemes[j + 1].tag in ("MAG", "VV") for j, t in enumerate(morphemes[:verb])
    )


def describes_another(morphemes: Sequence[Token], verb: int, shop: frozenset[str]) -> bool:
    """Whether the verb modifies something else than the customer or the shop ("석 달 만에 온 비")."""
    modifier = next((j for j in range(verb + 1, len(morphemes)) if morphemes[j].tag in ("ETM", "EF", "EC")), None)
    if modifier is None or morphemes[modifier].tag != "ETM" or modifier + 1 >= len(morphemes):
        return False
    noun = morphemes[modifier + 1]
    if noun.form not in _WEATHER and any(t.tag == "VCP" for t in morphemes[modifier + 2 : modifier + 4]):
        return False
    return (
        noun.tag[0] == "N"
        and noun.tag != "NNB"
        and noun.form not in shop | {"손", "손님", "사람", "김", "길", "나", "저", "단골", "늙은이", "몸"}
    )


def elsewhere(clause: Clause, verb: int, domain: Domain) -> bool:
    """Whether a place is named that isn't this shop."""
    morphemes = clause.morphemes
    shop = domain.cues.get("shop", ())
    for i, token in enumerate(morphemes[:verb]):
        if token.form in ELSEWHERE and token.tag[0] in "NM" and token.form not in ("예전", "전"):
            return True
        if token.tag == "JKB" and token.form in ("에서", "서") and i and morphemes[i - 1].form not in shop:
            return True
        if (
            token.tag == "JKB"
            and token.form == "에"
            and i
            and morphemes[i - 1].tag in ("NNG", "NNP")
            and not _time_or_shop(morphemes[i - 1], shop)
        ):
            if morphemes[i - 1].form == "집" and i > 1 and morphemes[i - 2].form == "이":
                continue
            return True
    return False


def _time_or_shop(noun: Token, shop: Sequence[str]) -> bool:
    return noun.form in shop or noun.form in _TIMES or noun.form.endswith(("번", "달", "날", "밤"))


@lru_cache(maxsize=64)
def cues_of(domain: Domain, key: str) -> re.Pattern[str]:
    """Any of the domain's cues of a section, the longest first; white space doesn't count. To be looked for with `cue_end`."""
    bare = sorted({"".join(cue.split()) for cue in domain.cues.get(key, ())}, key=len, reverse=True)
    return re.compile("|".join(r"\s*".join(map(re.escape, cue)) for cue in bare) or r"(?!)")


def cue_end(line: str, token: Token, cues: re.Pattern[str]) -> int | None:
    """Where the longest cue that starts with this morpheme ends."""
    match = cues.match(line, token.start)
    if match is None or (token.start and line[token.start - 1].isalnum() and token.tag != "NNB"):
        return None
    return match.end()


def at_shop(morphemes: Sequence[Token], at: int, domain: Domain) -> bool:
    """Whether a word means this shop as a place or its owner as the one who lends."""
    token = morphemes[at]
    if token.form not in domain.cues.get("shop", ()) or token.tag[0] != "N":
        return False
    return (
        token.tag == "NP"
        or token.form.startswith("사장")
        or (at > 0 and morphemes[at - 1].form in ("이", "그", "너", "네", "자네"))
    )
