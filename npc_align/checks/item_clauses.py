"""Where a line names items, and the pieces of it that tell what is done with them: sentences, clauses and predicates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from npc_align.checks.clauses import words
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token

# More items than this in one line are degenerate text, and a few verdicts suffice.
_MOST_NAMES = 16
_PARTICLES = "으로|로|을|를|은|는|이|가|도|만|이나|나|이랑|랑|하고|과|와|요|이요"
_PARTICLE_TAGS = {
    "로": "JKB",
    "으로": "JKB",
    "을": "JKO",
    "를": "JKO",
    "이": "JKS",
    "가": "JKS",
    "이랑": "JC",
    "랑": "JC",
    "과": "JC",
    "와": "JC",
}
# No speaker's sentence is longer; beyond it lies degenerate text, and quadratic time.
_MOST_MORPHEMES = 120
# After these endings the next verb belongs to the same predicate ("빌려 가다", "찾으러 오다").
_LINKING = ("어", "아", "여", "게", "지", "고", "러", "으러")
# 고 before these tells of one deed ("베고 왔다"), before other verbs of two.
_RETURNING_FROM = ("오", "돌아오", "나오", "다녀오", "말")
PAST = ("었", "았", "였")


# People of the speaker's own: what a clause says about one of them isn't said about the speaker.
PEOPLE = words(
    "동료 친구 선배 후배 스승 사부 제자 사제 사형 아버지 아버님 어머니 어머님 아빠 엄마 할아버지 할머니 형 형님 누나 누님 언니 오빠 동생 "
    "아우 삼촌 이모 고모 조카 사촌 손자 손녀 손주 아들 아들놈 딸 딸아이 딸내미 남편 아내 마누라 장인 대장 단장 두목 막내 부하 하인 "
    "꼬맹이 애 아이 남 누구 누가 걔 쟤 얘 그놈 그자 저놈 다들 모두 의뢰인 의뢰주 이웃 옆집 처녀 총각 대원 일행 파티 길드 신참 후임 "
    "길드장 영주 촌장 양반 기사 병사 경비병 여자 남자"
)
# Somebody who isn't the speaker: whoever else may act in a tale of the past.
OTHERS = PEOPLE | words(
    "사람 놈 녀석 자식 손님 청년 영감 적 적군 괴물 늙은이 노인 젊은이 산적 도둑 마물 몬스터 졸개 상대 임자 주인공 댁"
)
_SELF = words("늙은이 노인 몸 사람 놈 녀석 늙다리")
_HEARD = ("소문", "얘기", "이야기", "전설", "노래")
_HEARSAY = ("다더", "다던", "대", "ᆫ대", "는대", "다며", "다면서", "다길래", "라더", "라던", "래", "다지", "라지")


class Mention(NamedTuple):
    """A word that names an item: which items it may mean, where it stands, and its morphemes' indices in the sentence."""

    items: frozenset[str]
    start: int
    end: int
    first: int
    last: int


class Sentence(NamedTuple):
    """A sentence's morphemes with the items that it names."""

    morphemes: Sequence[Token]
    mentions: Sequence[Mention]

    def after(self, mention: Mention) -> Token | None:
        """The morpheme that follows the mention."""
        return self.morphemes[mention.last + 1] if mention.last + 1 < len(self.morphemes) else None

    def mention_at(self, index: int) -> Mention | None:
        return next((m for m in self.mentions if m.first <= index <= m.last), None)

    def clause(self, mention: Mention) -> range:
        """Indices of the clause that holds the mention: up to connective endings, auxiliaries staying with their verb.

        A comma cuts only between two predicates: what stands alone on one side of it belongs to the other ("그거, 반납.").
        """
        cuts = [0, *(i + 1 for i in range(len(self.morphemes)) if self._ends_clause(i)), len(self.morphemes)]
        begin = max(cut for cut in cuts if cut <= mention.first)
        return range(begin, min((cut for cut in cuts if cut > mention.last), default=len(self.morphemes)))

    def _ends_clause(self, i: int) -> bool:
        token = self.morphemes[i]
        following = self.morphemes[i + 1] if i + 1 < len(self.morphemes) else None
        if token.tag == "SP":
            return self._predicate_before(i) and self._predicate_follows(i + 1)
        if token.tag not in ("EC", "EF") or (following is not None and following.tag == "SP"):
            return False
        continues = following is not None and token.form in _LINKING
        joined = following is not None and (following.tag == "VX" or (token.form == "고" and following.form in _RETURNING_FROM))
        return not (continues and (token.form not in ("고", "지") or joined))

    def _predicate_before(self, i: int) -> bool:
        return any(self.morphemes[at].tag in ("EF", "EC") for at in range(max(0, i - 30), i))

    def _predicate_follows(self, start: int) -> bool:
        """Whether a predicate ends before the next comma."""
        for token in self.morphemes[start : start + 30]:
            if token.tag in ("EF", "EC"):
                return True
            if token.tag == "SP":
                return False
        return False


def sentences_of(line: str, morphemes: Sequence[Token], domain: Domain) -> Iterator[Sentence]:
    """The line's sentences, with the items that they name."""
    named = _named(line, domain)
    starts = {match.start() for match in named}
    for piece in _pieces(_with_particles_apart(line, morphemes, named)):
        yield Sentence(piece, _mentions(line, piece, starts, domain))


def readings(line: str, domain: Domain) -> Iterator[frozenset[str]]:
    """What the words of a line may name by their letters: for each name that opens one, the items that it may mean."""
    opening = _openings(domain)
    for match in _named(line, domain):
        yield from opening[match["name"]]


def _named(line: str, domain: Domain) -> Sequence[re.Match[str]]:
    any_name, pattern = _names(domain)
    return list(islice(pattern.finditer(line), _MOST_NAMES)) if any_name.search(line) else ()


@lru_cache(maxsize=16)
def _names(domain: Domain) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """An item's name; and words that open with one.

    The particle that is all the rest of the word, if so, is a group of its own.
    """
    names = "|".join(map(re.escape, sorted(_meanings(domain), key=len, reverse=True))) or "(?!)"
    pattern = rf"(?<![^\W_])(?P<name>{names})(?:(?P<particle>{_PARTICLES})(?![^\W_]))?"
    return re.compile(names), re.compile(pattern)


def _with_particles_apart(line: str, morphemes: Sequence[Token], named: Sequence[re.Match[str]]) -> list[Token]:
    """The morphemes, where names whose particle Kiwi didn't see (homonyms, unknown words) are cut from it."""
    parted = list(morphemes)
    for match in named:
        start, middle, end = match.start(), match.end("name"), match.end()
        if match["particle"] is None or any(t.end == middle and t.tag[0] != "J" for t in morphemes):
            continue
        inside = [t for t in parted if t.start < end and t.end > start]
        if not inside or inside[0].start != start or inside[-1].end != end:
            continue
        at = parted.index(inside[0])
        tag = _PARTICLE_TAGS.get(match["particle"], "JX")
        parted[at : at + len(inside)] = [Token(match["name"], "NNG", start, middle), Token(match["particle"], tag, middle, end)]
    return parted


def _pieces(morphemes: Sequence[Token]) -> list[list[Token]]:
    """The line cut after sentence-ending marks, and after final endings without a mark; "…" cuts only after an ending."""
    pieces: list[list[Token]] = [[]]
    for i, token in enumerate(morphemes):
        piece = pieces[-1]
        piece.append(token)
        cut = token.tag in ("SF", "SO")
        if token.tag == "SE":
            cut = len(piece) > 1 and piece[-2].tag[0] in "EJ"
        elif token.tag == "EF":
            following = morphemes[i + 1].tag if i + 1 < len(morphemes) else ""
            cut = following not in ("SF", "SE", "SO", "SP", "SSC") and following[:1] != "J"
        if cut or len(piece) >= _MOST_MORPHEMES:
            pieces.append([])
    return [piece for piece in pieces if piece]


@lru_cache(maxsize=16)
def _openings(domain: Domain) -> Mapping[str, Sequence[frozenset[str]]]:
    """What each name, and any shorter one that it opens with, may mean."""
    known = _meanings(domain)
    return {name: [items for other, items in known.items() if name.startswith(other)] for name in known}


def _mentions(line: str, piece: Sequence[Token], starts: set[int], domain: Domain) -> list[Mention]:
    known = _meanings(domain)
    found: list[Mention] = []
    for i, token in enumerate(piece):
        if token.start not in starts:
            continue
        # Kiwi cuts names that it doesn't know, so a few morphemes may make up one; the longest counts.
        for last in range(min(i + 3, len(piece)) - 1, i - 1, -1):
            start, end = token.start, piece[last].end
            inside = found and end <= found[-1].end
            if (
                line[start:end] in known
                and not inside
                and _stands_alone(line, piece, i, last)
                and not _look_alike(line, start, end, domain)
            ):
                found.append(Mention(known[line[start:end]], start, end, i, last))
                break
    return found


@lru_cache(maxsize=16)
def _meanings(domain: Domain) -> Mapping[str, frozenset[str]]:
    """Which items each word may mean."""
    names = sorted({alias for aliases in domain.items.values() for alias in aliases})
    return {word: frozenset(item for item, aliases in domain.items.items() if word in aliases) for word in names}


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
    longest = max(map(len, domain.not_items), default=0)
    starts = domain.look_alikes.finditer(line, max(0, start - longest), end + longest)
    return any(match.start() < end and start < match.end(1) for match in starts)


def names_person(piece: Sequence[Token], i: int, people: frozenset[str]) -> bool:
    """Whether the morpheme is a person who isn't the speaker, the listener or somebody only acted upon."""
    token = piece[i]
    if token.form not in people or token.tag[0] != "N":
        return False
    if token.form in _SELF and i and piece[i - 1].form in ("이", "이런") and piece[i - 1].tag == "MM":
        return False
    following = next((t for t in piece[i + 1 : i + 5] if t.tag not in ("XSN", "NR", "MM", "SN", "NNB")), None)
    return following is None or following.tag not in ("JKO", "SP")


def hearsay(token: Token) -> bool:
    """Whether an ending repeats what others say ("빌린대요")."""
    return token.tag in ("EF", "EC", "ETM") and token.form.startswith(_HEARSAY)


def tells_of_others(piece: Sequence[Token], people: frozenset[str] = OTHERS) -> bool:
    """Whether the morphemes may tell of another person, or repeat what others say."""
    for i, token in enumerate(piece):
        if names_person(piece, i, people) or (token.form in _HEARD and token.tag == "NNG"):
            return True
        if hearsay(token):
            return True
        if (
            token.tag == "EC"
            and token.form.endswith(("다고", "라고", "냐고", "자고"))
            and (i + 1 == len(piece) or piece[i + 1].tag == "VV")
        ):
            return True
    return False


def is_past(token: Token) -> bool:
    return token.tag == "EP" and token.form in PAST
