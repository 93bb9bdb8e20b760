"""Clauses of a spoken line, and whether a predicate in one tells of something that has happened to the speaker.

Shared by the checks that hold a line against the speaker's story. What is wished, feared, supposed, heard or asked has not
happened, and what somebody else did is not the speaker's; where that is in doubt the answer is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from npc_align.korean.morphemes import Token, spoken_tokens


def words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# How long a clause may be, and how far the rest of its sentence is looked at: further than any speaker's, and short enough for
# degenerate lines.
_WINDOW = 40
# After these endings the next verb belongs to the same predicate ("빌려 가다", "찾으러 오다").
_LINKING = words("어 아 여 게 지 고 러 으러")
_SENTENCE_END = ("SF", "SE", "SO")
_CLOSING = (*_SENTENCE_END, "EF")
_AFTER_ENDING = (*_CLOSING, "SP", "JX", "JKQ")
_AFTER_CONNECTIVE = (*_SENTENCE_END, "SP", "JX")
# Connectives by which a clause is only supposed, intended or wished.
_SUPPOSING = words(
    "면 으면 다면 라면 려면 으려면 려고 으려고 러 으러 려 으려 도록 어야 아야 여야 거든 든 든지 거나 더라도 어도 아도 여도 게 고자 "
    "느니 을지 ᆯ지 는지 은지 ᆫ지 을수록 ᆯ수록 을지언정 ᆯ지언정 을까 ᆯ까 다 냐고 자고 라고 으라고 을지라도 ᆯ지라도"
)
_HEARSAY = (
    "대",
    "ᆫ대",
    "는대",
    "다며",
    "다면서",
    "다길래",
    "다더",
    "다던",
    "라더",
    "라던",
    "라며",
    "다고",
    "ᆫ다고",
    "는다고",
    "단다",
)
# Connectives of sequence and cause that take their tense from the clause behind them.
_SEQUENCE = words("고 어서 아서 여서 고서 어 아 여 며 으며 면서 으면서 느라 느라고 자 자마자 고도 고는 고선 니 으니 니까 으니까")
_CAUSE = words("어서 아서 여서 어 아 여 고서 고도 느라 느라고 니 으니 니까 으니까")
_CONCEDING = words("지만 는데 은데 ᆫ데 으나 나 더니 다가 건만 지마는 는데도 는데요 지만요")
# Endings that hold something out or leave it open, also after the past tense.
_OPEN = (
    "을까",
    "ᆯ까",
    "을걸",
    "ᆯ걸",
    "으려나",
    "려나",
    "을지",
    "ᆯ지",
    "어야지",
    "어야죠",
    "어야",
    "냐",
    "니",
    "는가",
    "은가",
    "나",
    "던가",
    "ᆫ가",
)
# Questions that assert: the speaker knows the answer.
_ASSERTING = ("잖", "거든", "다니까", "ᆫ데요", "는데", "은데")
_HANDOVER = (
    "어라",
    "아라",
    "라",
    "세요",
    "십시오",
    "게나",
    "소서",
    "자",
    "ᆸ시다",
    "읍시다",
    "ᆯ게",
    "을게",
    "ᆯ게요",
    "을게요",
    "ᆯ래",
    "을래",
)
# By what a predicate is denied, whatever its tense.
DENYING = words("못 안 않 못하 말 아니 없 없이")
# Nouns after a past modifier that leave it a fact ("이긴 건", "진 뒤로", "잡은 몸이야").
_FACTUAL = words(
    "거 것 게 건 걸 뒤 후 다음 날 몸 사람 놈 늙은이 덕 덕분 덕택 탓 바람 죄 벌 이상 김 마당 지 이후 참 길 때 기념 주제"
)
_SELF = words("몸 사람 놈 늙은이")
# What "이긴 건 …" may go on with and still be the speaker's.
_OWNED = words("처음 탓 덕 덕분 솜씨 실수 사실 맞 운 순전히")
_DOUBTING = words("척 체 줄 적 셈 모양 듯 양 뻔 리 수 만")
_NOT_YET = words("거의 하마터면 자칫 까딱 늘 항상 매번 맨날 언제나 원래 만약 만일")
_LONG_PAST = words("젊 왕년 옛날 예전 견습 어릴 어리 소싯적 한창때 전성기 시절 옛 어렸")
# "뵐 낯이 없습니다", "드릴 말씀이 없습니다": how a failure is owned up to.
_SHAME = words("낯 면목 말 말씀 염치 얼굴 체면")
# People whose doings are not the speaker's.
_OTHERS = words(
    "동료 친구 선배 후배 스승 사부 제자 남 누구 누가 형 누나 언니 오빠 동생 아버지 어머니 아빠 엄마 할아버지 할머니 삼촌 이모 고모 사촌 "
    "조카 아들 딸 남편 아내 마누라 손자 손녀 대장 단장 길드장 의뢰인 의뢰주 영주 왕 기사 병사 경비 이웃 옆집 대장장이 상인 마부 시인 "
    "손님 청년 영감 노인 꼬마 애 아이 걔 쟤 그자 다들 모두 사람 길드 사제 신관 용사 딴 다른"
)
_GROUPS = words("쪽 편 조 팀 파티 부대 일행 무리 부족 패")
_FIRST = words("나 내 저 제 우리 저희 본인 이몸 몸 소인 혼자")


@dataclass(eq=False)
class Clause:
    """A clause of a sentence: its morphemes, and those of the sentence that stand before and after it."""

    morphemes: Sequence[Token]
    before: Sequence[Token]
    after: Sequence[Token]
    asks: bool

    @property
    def final(self) -> bool:
        return not any(t.tag[0] in "NV" for t in self.after)

    @property
    def sentence(self) -> Sequence[Token]:
        return (*self.before, *self.morphemes, *self.after)


@lru_cache(maxsize=8192)
def forms_of(line: str) -> frozenset[str]:
    """What stands in the clauses of a line, for a rule to pass over the line at a glance."""
    return frozenset([t.form for t in spoken_tokens(line)])


@lru_cache(maxsize=8192)
def clauses(line: str) -> tuple[Clause, ...]:
    """The clauses of a line outside quotation marks, cut at sentence ends, connectives and commas between two predicates."""
    morphemes = _with_connectives(spoken_tokens(line))
    found: list[Clause] = []
    begin = 0
    for stop in _sentence_ends(morphemes):
        marks = [i for i in range(begin, stop - 1) if morphemes[i].tag in ("EC", "SP")]
        cuts = [i + 1 for i in marks if _cuts(morphemes, i, begin, stop)]
        asks = any(t.tag == "SF" and "?" in t.form for t in morphemes[max(begin, stop - 3) : stop])
        for start, end in zip([begin, *cuts], [*cuts, stop], strict=True):
            for part in range(start, end, _WINDOW):
                last = min(end, part + _WINDOW)
                before, after = morphemes[max(begin, part - _WINDOW) : part], morphemes[last : min(stop, last + _WINDOW)]
                found.append(Clause(morphemes[part:last], before, after, asks))
        begin = stop
    return tuple(found)


def _with_connectives(morphemes: Sequence[Token]) -> Sequence[Token]:
    """The morphemes with -는데 after a tense or 없다 as the one ending that it is, where Kiwi found a noun in it."""
    if not any(t.form == "데" for t in morphemes):
        return morphemes
    joined: list[Token] = []
    for token in morphemes:
        if (
            token.form == "데"
            and token.tag == "NNB"
            and len(joined) > 1
            and joined[-1].tag == "ETM"
            and joined[-2].tag[0] in "EV"
        ):
            modifier = joined.pop()
            if modifier.end == token.start:
                joined.append(Token(modifier.form + "데", "EC", modifier.start, token.end))
                continue
            joined.append(modifier)
        joined.append(token)
    return joined


def _sentence_ends(morphemes: Sequence[Token]) -> list[int]:
    ends = []
    for i in [i for i, token in enumerate(morphemes) if token.tag in _CLOSING]:
        following = morphemes[i + 1].tag if i + 1 < len(morphemes) else "SF"
        if following not in (_AFTER_ENDING if morphemes[i].tag == "EF" else _SENTENCE_END):
            ends.append(i + 1)
    return ends if ends and ends[-1] == len(morphemes) else [*ends, len(morphemes)]


def _cuts(morphemes: Sequence[Token], i: int, begin: int, stop: int) -> bool:
    """Whether a clause ends with the comma or the connective at an index."""
    token, following = morphemes[i], morphemes[i + 1]
    if token.tag == "SP":
        return _ends_predicate(morphemes[max(begin, i - 3) : i]) and _predicate_follows(morphemes, i + 1, stop)
    return following.tag not in _AFTER_CONNECTIVE and not _continues(morphemes[i - 1], token, following)


def _ends_predicate(morphemes: Sequence[Token]) -> bool:
    return any(t.tag in ("EF", "EC") for t in morphemes)


def _predicate_follows(morphemes: Sequence[Token], start: int, stop: int) -> bool:
    for i in range(start, min(stop, start + _WINDOW)):
        if morphemes[i].tag in ("EF", "EC"):
            return True
        if morphemes[i].tag == "SP":
            return False
    return False


def _continues(previous: Token, ending: Token, following: Token) -> bool:
    if ending.form not in _LINKING:
        return False
    if ending.form == "지" and following.form in ("못", "안", "않", "못하", "말"):
        return True
    if ending.form == "게":
        return previous.tag in ("XSA", "VA", "VA-I", "VA-R") or following.form in ("하", "되")
    return (
        ending.form not in ("고", "지") or following.tag == "VX" or (ending.form == "고" and following.form in ("오", "돌아오"))
    )


@dataclass(frozen=True)
class Telling:
    """What a clause says of an event: that it was, or that it wasn't; and whether a "but" follows."""

    affirmed: bool
    conceded: bool = False


def telling(clause: Clause, first: int, last: int, *, stated: bool = False) -> Telling | None:
    """Whether the predicate at these indices has happened, has not, or (None) neither is said for certain.

    Args:
        clause: Where it stands.
        first: Index of its first morpheme.
        last: Index of its stem's last morpheme.
        stated: Whether it states a fact in the present tense too, as a noun with the copula does.
    """
    if _supposed_before(clause) or any(t.form in _NOT_YET and t.tag[0] in "MN" for t in clause.morphemes[:first]):
        return None
    negated = any(t.form in ("못", "안") and t.tag == "MAG" for t in clause.morphemes[max(0, first - 2) : first])
    past, conceded = stated, False
    tail = clause.morphemes[last + 1 :]
    for i, token in enumerate(tail):
        following = tail[i + 1] if i + 1 < len(tail) else None
        if token.tag == "EP":
            if token.form == "겠":
                return None
            past = past or token.form.startswith(("었", "았", "였"))
        elif token.tag == "ETM":
            certain = _factual(token, following, past) and not _taken_back(following, tail[i + 2 :])
            return Telling(not negated) if certain else None
        elif token.tag == "ETN":
            if token.form == "기" and (following is None or following.tag != "JX"):
                return None
            conceded = conceded or token.form == "기"
            past = past or (token.form != "기" and (following is None or following.tag in _SENTENCE_END))
        elif token.form in ("싶", "같", "나름", "다름없") or (token.form in _DOUBTING and token.tag == "NNB" and i):
            return None
        elif _denies(tail, i):
            negated = True
        elif token.tag == "EC":
            conceded = conceded or token.form in _CONCEDING
            if following is not None and (following.tag[0] == "V" or following.tag == "MAG") and token.form in _LINKING:
                continue
            if token.form == "다고" and not any(t.tag[0] in "NV" for t in (*tail[i + 1 :], *clause.after)):
                return Telling(not negated) if past else None
            if token.form in _SUPPOSING - {"다"} or token.form.startswith(_HEARSAY) or (token.form == "다" and not past):
                return None
            if token.form.endswith("라니"):
                return None
            if past or _inherits_past(token, clause, tail[i + 1 :]):
                return Telling(not negated, conceded)
            return None
        elif token.tag == "EF":
            return Telling(not negated, conceded) if _states(token, clause, past) else None
    return Telling(not negated, conceded) if past else None


def _denies(tail: Sequence[Token], i: int) -> bool:
    token = tail[i]
    if token.form == "말":
        return token.tag[0] == "V" and i > 0 and tail[i - 1].form in ("지", "진")
    return (token.form in ("않", "못하", "아니", "없") and token.tag[0] == "V") or (
        token.form in ("못", "안", "없이") and token.tag == "MAG"
    )


def _supposed_before(clause: Clause) -> bool:
    """Whether an earlier clause of the sentence is a condition ("그것만 멀쩡했어도 이겼어")."""
    for i, token in enumerate(clause.before):
        if token.tag == "EC" and (
            token.form in ("면", "으면", "다면", "라면", "더라면")
            or (token.form in ("어도", "아도", "여도") and clause.before[i - 1].tag == "EP")
        ):
            return True
    return False


def _factual(ending: Token, following: Token | None, past: bool) -> bool:
    if following is None:
        return False
    if ending.form in ("ᆯ", "을"):
        return past and following.form in ("때", "적")
    if ending.form == "는":
        return following.form in ("바람", "통")
    return ending.form in ("ᆫ", "은", "던") and following.form in _FACTUAL


def _taken_back(noun: Token | None, behind: Sequence[Token]) -> bool:
    """Whether what a noun stands for ("이긴 게", "진 적", "이긴 사람") isn't so, or isn't the speaker's."""
    if any(t.form in ("아니", "없", "같", "다름없", "드물") and t.tag[0] in "VX" for t in behind[:8]):
        return True
    copula = next((i for i, t in enumerate(behind) if t.tag == "VCP"), None)
    if noun is not None and noun.form in _SELF:
        return copula != 0
    if copula is None or not behind or behind[0].tag != "JX":
        return False
    return not any(t.form in _FIRST or t.form in _OWNED for t in behind[:copula])


def _states(ending: Token, clause: Clause, past: bool) -> bool:
    if ending.form.startswith(
        ("대", "ᆫ대", "는대", "다며", "다면서", "다더", "다던", "라더", "라던", "라니", "다니", "다지")
    ) and not ending.form.startswith("다니까"):
        return False
    if not past:
        return False
    if clause.asks and clause.final:
        return ending.form.startswith(_ASSERTING)
    return not ending.form.startswith(_OPEN) or ending.form.startswith(("나봐", "니다"))


def _inherits_past(ending: Token, clause: Clause, rest: Sequence[Token]) -> bool:
    """Whether a tenseless connective leads to something that has happened, or to how the speaker feels about it."""
    if ending.form not in _SEQUENCE:
        return False
    window = (*rest, *clause.after)
    for i, token in enumerate(window):
        if token.tag == "EP":
            return token.form != "겠"
        if token.tag == "ETM" and token.form in ("ᆯ", "을"):
            return i + 1 < len(window) and window[i + 1].form in _SHAME and ending.form in _CAUSE
        if token.tag in ("EF", "EC") and token.form not in _LINKING:
            feeling = not any(t.tag[:2] in ("VV", "VX") for t in window[:i])
            open_end = token.form in _SUPPOSING or token.form.startswith((*_HANDOVER, *_HEARSAY))
            return feeling and ending.form in _CAUSE and not open_end and not clause.asks
    return False


def by_others(clause: Clause, at: int, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether somebody else than the speaker may be the subject of the predicate at an index."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        if token.tag != "JKS" and not (token.tag == "JX" and token.form in ("은", "는", "ᆫ", "도", "만")):
            continue
        noun = _noun_before(morphemes, i)
        if (
            noun is None
            or noun.form in _FIRST
            or (noun.tag == "NNB" and noun.form in ("거", "것", "게", "적", "지", "데", "수", "줄"))
        ):
            continue
        if noun.form in _OTHERS:
            return True
        if noun.form in _GROUPS and any(t.form in _FIRST for t in morphemes[max(0, i - 3) : i]):
            continue
        if (
            token.tag == "JKS"
            and noun.form not in allowed
            and (_governs(morphemes, i, at) if i < at else _postposed(morphemes, i))
        ):
            return True
    earlier = clause.before
    owners = [_noun_before(earlier, i) for i, t in enumerate(earlier) if t.tag in ("JKS", "JX")]
    named = [noun.form for noun in owners if noun is not None]
    return any(form in _OTHERS for form in named) and not any(form in _FIRST for form in named)


def _noun_before(morphemes: Sequence[Token], i: int) -> Token | None:
    for token in reversed(morphemes[max(0, i - 3) : i]):
        if token.tag[0] == "N":
            return token
        if token.tag not in ("XSN", "JX", "JKB"):
            return None
    return None


def _governs(morphemes: Sequence[Token], i: int, at: int) -> bool:
    """Whether a subject belongs to the predicate, and not to a modifier before it ("네가 준 걸로 이겼다")."""
    return not any(
        t.tag == "ETM" and morphemes[j - 1].tag[:2] in ("VV", "VX", "EP") for j, t in enumerate(morphemes[:at]) if j > i
    )


def _postposed(morphemes: Sequence[Token], i: int) -> bool:
    """Whether the subject is added behind its predicate and a comma ("졌지, 놈들이")."""
    return any(t.tag == "SP" for t in morphemes[:i]) and not any(t.tag in ("EF", "EC") for t in morphemes[i:])


def long_ago(clause: Clause) -> bool:
    """Whether the sentence tells of the speaker's younger days."""
    return any(t.form in _LONG_PAST and t.tag[0] in "NVM" for t in clause.sentence)
