"""Whether a line claims to be a first visit: "처음 왔어요", "여긴 처음이군", "초면에 실례지만".

The first time of anything else ("처음 이겼다"), the first since a time ("눈 녹고 처음 왔다") and a comparison ("처음 온 손님 취급") don't.
"""

from __future__ import annotations

from collections.abc import Sequence

from npc_align.checks.clauses import Clause, by_others, words
from npc_align.checks.coming import Rule, Span, at_shop, cue_end, cues_of, is_coming, negated, next_predicate
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token

_EXCUSES = words("실례 미안 죄송 송구 외상 부탁 뻔뻔 무리 염치 결례 인사 이런 신세 반말")
_AS_IF = words("척 체 줄 것처럼 처럼 같 대하 취급 듯 대접 양 아니 없")
_WHEN = words("때 날 적 게 건 거 것 순간 이후 뒤 후 다음 그날 해 밤 무렵 시절")


def _first_visit(line: str, clause: Clause, domain: Domain) -> Span | None:
    """Where a clause claims that the customer has never been here."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        if token.tag in ("NNG", "MAG") and token.form == "처음":
            end = _first_coming(clause, i, domain) or _first_here(clause, i, domain)
            if end is not None:
                return token.start, end
        if token.form in ("적", "일") and token.tag in ("NNB", "NNG"):
            start = _never(clause, i, domain)
            if start is not None:
                return start, token.end
        if token.form == "줄" and (start := _never_heard_of(morphemes, i)) is not None:
            return start, token.end
    return _first_by_name(line, clause, domain)


FIRST_VISIT = Rule(_first_visit, words("처음 없 모르"), cues="first_visit")


def _first_coming(clause: Clause, at: int, domain: Domain) -> int | None:
    """The end of "처음 왔어요", "처음 뵙겠습니다", "처음 온 손님이에요"."""
    morphemes = clause.morphemes
    verb = next_predicate(morphemes, at + 1)
    if verb is None or any(t.tag == "JKO" for t in morphemes[at:verb]):
        return None
    seen_shop = morphemes[verb].form == "보" and any(t.form in ("가게", "집", "곳", "데") for t in morphemes[verb + 1 : verb + 4])
    if not (is_coming(morphemes, verb) or seen_shop):
        return None
    # "눈 녹고 처음 왔다", "밤에는 처음 온다": the first since, the first so.
    if clause.before and clause.before[-1].tag == "EC" and clause.before[-1].form in ("고", "어서", "고서", "고는"):
        return None
    for j, token in enumerate(morphemes[:at]):
        if (
            token.tag == "JX"
            and j
            and morphemes[j - 1].form not in (*domain.cues.get("shop", ()), "저", "나", "오늘", "전", "난", "곳", "데", "집")
        ):
            return None
        if token.form in ("뒤", "후", "이후", "올해", "새해", "이달", "만", "이번"):
            return None
    tail = morphemes[verb + 1 :]
    if any(t.form in _AS_IF for t in tail) or (clause.asks and clause.final) or negated(morphemes, verb):
        return None
    modifier = next((k for k, t in enumerate(tail) if t.tag == "ETM"), None)
    if modifier is not None and (modifier + 1 >= len(tail) or tail[modifier + 1].form in _WHEN or tail[modifier].form == "ᆯ"):
        return None
    if modifier is not None and not any(t.tag in ("VCP",) for t in tail[modifier + 1 : modifier + 5]):
        return None
    conditional = next((t for t in tail if t.tag == "EC"), None)
    if conditional is not None and conditional.form in ("다고", "냐고", "라고", "면", "으면", "어도", "을지", "더니"):
        return None
    return None if by_others(clause, at, frozenset(domain.cues.get("shop", ()))) else morphemes[verb].end


def _first_here(clause: Clause, at: int, domain: Domain) -> int | None:
    """The end of "여기는 처음이에요"."""
    morphemes = clause.morphemes
    closing = morphemes[at + 1] if at + 1 < len(morphemes) else morphemes[at]
    if closing.tag not in ("VCP", "SF", "NNG", "MAG") or (clause.asks and clause.final):
        return None
    if any(t.form in _AS_IF for t in morphemes[at + 2 :]) or by_others(clause, at, frozenset(domain.cues.get("shop", ()))):
        return None
    before = [t for t in morphemes[:at] if t.tag not in ("JX", "MAG", "SP", "IC", "MM", "JKB")]
    shop = (*domain.cues.get("shop", ()), "곳", "데", "집", "방문")
    return morphemes[at].end if before and before[-1].form in shop and before[-1].tag[0] == "N" else None


def _never(clause: Clause, at: int, domain: Domain) -> int | None:
    """The start of "빌려 본 적이 없어", "여기 와 본 적 없어"."""
    morphemes = clause.morphemes
    denied = next((j for j in range(at + 1, min(at + 4, len(morphemes))) if morphemes[j].form == "없"), None)
    if denied is None or (clause.asks and any(t.tag == "EF" for t in morphemes[denied + 1 : denied + 2])):
        return None
    verb = next((j for j in range(at - 1, max(-1, at - 5), -1) if morphemes[j].tag[:2] == "VV"), None)
    if verb is None or not (is_coming(morphemes, verb) or morphemes[verb].form in ("빌리",)):
        return None
    here = any(at_shop(morphemes, j, domain) or morphemes[j].form in ("여기", "가게", "이곳") for j in range(verb))
    return morphemes[verb].start if here and not by_others(clause, verb, frozenset(domain.cues.get("shop", ()))) else None


def _never_heard_of(morphemes: Sequence[Token], at: int) -> int | None:
    """The start of "이런 가게가 있는 줄 몰랐네"."""
    known = any(t.form == "모르" for t in morphemes[at + 1 : at + 4]) and any(t.tag == "EP" for t in morphemes[at + 1 : at + 5])
    place = next((j for j in range(max(0, at - 5), at) if morphemes[j].form in ("가게", "곳", "데", "집")), None)
    if not known or not place or morphemes[at - 2].form != "있":
        return None
    return morphemes[place].start if morphemes[place - 1].form in ("이런", "이", "여기") else None


def _first_by_name(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "초면에 실례지만", "첫 방문.", "첫걸음이니"."""
    morphemes = clause.morphemes
    cues = cues_of(domain, "first_visit")
    for i, token in enumerate(morphemes):
        end = cue_end(line, token, cues)
        if end is None:
            continue
        behind = [t for t in morphemes[i:] if t.start >= end]
        if any(t.form in _AS_IF for t in behind) or (clause.asks and clause.final and token.form != "초면"):
            return None
        if not behind or behind[0].tag in ("VCP", "SF", "SP", "SE", "SO") or _excuse(token, behind):
            return token.start, end
    return None


def _excuse(token: Token, behind: Sequence[Token]) -> bool:
    """Whether one excuses oneself to a stranger ("초면에 실례지만")."""
    return token.form == "초면" and behind[0].form in ("에", "이") and any(t.form in _EXCUSES for t in behind[1:5])
