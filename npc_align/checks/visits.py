"""Whether a line tells of other visits to this shop than the record: earlier ones on the first, a first one later, another interval.

Only what the speaker says of their own coming here counts, and of this shop ("다른 가게 단골").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from npc_align.checks.clauses import Clause, by_others, words
from npc_align.checks.coming import (
    AGAIN,
    COMING,
    ELSEWHERE,
    RENTING,
    Rule,
    Span,
    at_shop,
    came,
    cue_end,
    cues_of,
    describes_another,
    elsewhere,
    in_past,
    is_coming,
    mine,
    next_predicate,
)
from npc_align.checks.first_visits import FIRST_VISIT
from npc_align.checks.intervals import ABSENT, BACK_SOON
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token
from npc_align.violation import Violation

KINDS = ("visit_contradiction", "interval_contradiction")

_GIVING = words("주 빌려주 내주 골라주 고르 권하 추천 내어주 건네 챙기")
_THANKED = words("덕 덕분 덕택")
_LAST = words("저번 지난번 요전번 그때 먼젓번")
_THING = words("거 것 걸 게 놈 녀석 대로 자리 그걸 그거 그것 물건")


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) by the visits it tells of."""
    visit = domain.role(attributes, "visit")
    if visit is None:
        return []
    if domain.is_one_of(attributes, "visit", "visits", "first"):
        span = _earlier_visit(line, domain)
        return [_violation("visit_contradiction", line, span, "처음 온 손님인데 전에 온 적이 있는 듯이 말합니다")] if span else []
    found = []
    if domain.visits and (span := FIRST_VISIT.first(line, domain)):
        found.append(_violation("visit_contradiction", line, span, "다시 온 손님인데 처음 온 듯이 말합니다"))
    return found + _interval(line, attributes, domain)


def _interval(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    recent = domain.is_one_of(attributes, "interval", "intervals", "recent")
    if not recent and not domain.is_one_of(attributes, "interval", "intervals", "long"):
        return []
    long, soon = ABSENT.first(line, domain), BACK_SOON.first(line, domain)
    wrong = long if recent else soon
    if wrong is None or (long and soon):
        return []
    fault = "얼마 전에 온 손님인데 오랜만인 듯이 말합니다" if recent else "오랜만에 온 손님인데 얼마 전에 온 듯이 말합니다"
    return [_violation("interval_contradiction", line, wrong, fault)]


def _violation(kind: str, line: str, span: Span, fault: str) -> Violation:
    return Violation(kind, *span, f"{fault}: {line[slice(*span)]}.")


def thanks_or_rental(line: str, domain: Domain) -> bool:
    """Whether the speaker claims to have had a weapon of this shop."""
    return any(rule.first(line, domain) for rule in (_RENTAL, _LAST_TIME, _THANKS, _OWNER_THANKED))


def _earlier_visit(line: str, domain: Domain) -> Span | None:
    return next((span for rule in _EARLIER if (span := rule.first(line, domain))), None)


def _again(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "또 왔어요", "다시 뵙습니다", "또 나야"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        if token.tag != "MAG" or token.form not in AGAIN:
            continue
        following = morphemes[i + 1] if i + 1 < len(morphemes) else None
        if (
            following is not None
            and following.form in ("나", "저", "접")
            and i + 2 < len(morphemes)
            and morphemes[i + 2].tag == "VCP"
        ):
            return token.start, morphemes[i + 2].end
        at = next_predicate(morphemes, i + 1)
        if at is not None and is_coming(morphemes, at) and came(clause, at, domain):
            return token.start, morphemes[at].end
        if at is not None and _asks_again(clause, at):
            return token.start, morphemes[at].end
    return None


def _asks_again(clause: Clause, verb: int) -> bool:
    """Whether renting is said of this very moment ("또 빌리러 왔어요", "또 빌려주세요")."""
    rest = clause.morphemes[verb + 1 :]
    if clause.morphemes[verb].form != "빌리" or clause.before:
        return False
    if rest and rest[0].form in ("러", "으러"):
        return any(t.tag == "EP" and t.form != "겠" for t in rest)
    return len(rest) > 1 and rest[1].form == "주" and not any(t.tag in ("EP", "ETM", "ETN") and t.form != "시" for t in rest)


def _rental(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "저번에 빌린", "지난달에 왔던", "여기서 빌려 간"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        renting = token.form in RENTING and token.tag[0] in "VN"
        if not (renting or is_coming(morphemes, i) or _gives(morphemes, i)) or not in_past(clause, i):
            continue
        if not renting and describes_another(morphemes, i, frozenset(domain.cues.get("shop", ()))):
            continue
        start = _cue_before(line, clause, i, cues_of(domain, "earlier_visit"))
        if start is None and renting:
            start = next((t.start for j, t in enumerate(morphemes[:i]) if at_shop(morphemes, j, domain)), None)
        if start is not None and mine(clause, i, domain) and not elsewhere(clause, i, domain):
            return start, token.end
    return None


def _cue_before(line: str, clause: Clause, at: int, cues: re.Pattern[str]) -> int | None:
    """Where the last cue before a verb starts that belongs to no other verb."""
    morphemes = clause.morphemes
    for i in range(at - 1, -1, -1):
        token = morphemes[i]
        if token.tag[0] in "NMV" and cue_end(line, token, cues) is not None and (i == 0 or morphemes[i - 1].tag != "ETN"):
            return token.start
        if token.tag[:2] in ("VV", "VA") and not (is_coming(morphemes, i) or token.form in (*RENTING, *_GIVING, "지나")):
            return None
    return None


def _gives(morphemes: Sequence[Token], at: int) -> bool:
    """Whether the owner hands something over ("골라 주신", "네가 준")."""
    token = morphemes[at]
    return (
        token.form in _GIVING
        and token.tag[0] == "V"
        and any(t.tag == "EP" and t.form == "시" for t in morphemes[at + 1 : at + 5])
    )


def _item(line: str, token: Token, domain: Domain) -> bool:
    word = line[token.start : token.end]
    return any(word in aliases for aliases in domain.items.values()) or word in ("무기", "장비")


def _last_time(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "저번 그걸로", "지난번처럼"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes[:-1]):
        if token.form not in _LAST or token.tag != "NNG":
            continue
        if morphemes[i + 1].form in ("처럼", "같이", "만큼"):
            return token.start, morphemes[i + 1].end
        j = i + 1 + (morphemes[i + 1].form in ("그", "의", "그거"))
        if j >= len(morphemes) or (morphemes[j].form not in _THING and not _item(line, morphemes[j], domain)):
            continue
        behind = morphemes[j + 1 : j + 3]
        if any(t.form in ("로", "으로", "덕분", "덕", "주", "대로") for t in behind) or j > i + 1:
            return token.start, morphemes[j].end
    return None


def _regular(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "단골인데", "단골한테는 깎아 줘야지"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes[:-1]):
        if token.form not in domain.cues.get("regular", ()) or token.tag[0] != "N" or clause.asks:
            continue
        if any(t.form in ELSEWHERE or t.form in ("되", "삼", "만들", "많", "처음") for t in clause.sentence):
            return None
        behind = [t for t in morphemes[i + 1 : i + 4] if t.form not in ("손", "손님", "님")]
        if by_others(clause, i, frozenset(domain.cues.get("shop", ()))) or not behind:
            return None
        if behind[0].tag == "VCP":
            ending = next((t for t in morphemes[i + 2 :] if t.tag[0] == "E"), None)
            claimed = ending is not None and ending.tag in ("EF", "EC", "ETM")
            hearsay = ending is not None and ending.form.startswith(("라며", "라면", "라던", "라더", "래", "라는", "라고"))
            return (token.start, token.end) if claimed and not hearsay and ending is not None and ending.form != "ᆯ" else None
        if is_coming(behind, 0) and in_past(clause, morphemes.index(behind[0])):
            return token.start, token.end
        if behind[0].form in ("한테", "에게", "값", "할인", "대접", "대우", "가격", "특전", "덤", "우대", "좋"):
            return token.start, token.end
    return None


def _habit(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "늘 쓰던 걸로", "매번 빌리던 거"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        if token.form == "신세" and any(t.form in (*domain.cues.get("habits", ()), *AGAIN, "번번이") for t in morphemes[:i]):
            return token.start, token.end
        if token.tag == "ETM" and token.form == "던" and i and i + 1 < len(morphemes) and morphemes[i + 1].form in _THING:
            verb = morphemes[i - 1]
            habit = next((t for t in morphemes[max(0, i - 4) : i] if t.form in domain.cues.get("habits", ())), None)
            if morphemes[i + 1].form == "대로" and verb.form not in ("하", "주"):
                continue
            if verb.form in ("쓰", "주", "빌리", "하", "가져가", "먹", "찾", "앉", "고르", "들", "가") and habit is not None:
                return habit.start, morphemes[i + 1].end
            if verb.form == "빌리":
                return verb.start, morphemes[i + 1].end
    return None


def _returned(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "반납하러 왔어요", "돌려드리려고 왔습니다", "그거, 반납."."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        given_back = token.form == "반납" or (
            token.form in ("돌리", "돌려주", "돌려드리")
            and any(t.form in ("주", "드리", "돌려주", "돌려드리") for t in morphemes[i : i + 3])
        )
        if not given_back or clause.asks or any(t.form.endswith("면") for t in clause.before if t.tag == "EC"):
            continue
        if (
            token.form == "반납"
            and (i + 1 == len(morphemes) or morphemes[i + 1].tag == "SF")
            and i
            and morphemes[i - 1].tag[0] in "NJ"
        ):
            return token.start, token.end
        purpose = next((j for j in range(i + 1, len(morphemes)) if morphemes[j].form in ("러", "으러", "려고", "으려고")), None)
        rest = (*morphemes[purpose + 1 :], *clause.after) if purpose is not None else ()
        if any(t.form in COMING for t in rest) and any(t.tag == "EP" and t.form != "겠" for t in rest):
            return token.start, token.end
    return None


def _remember(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "저 기억하시죠?", "여기 다닌 지가 몇 년인데"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        before = morphemes[i - 1] if i else None
        if token.form == "기억" and clause.asks and i + 1 < len(morphemes) and morphemes[i + 1].form in ("하", "나"):
            if before is not None and before.tag in ("JKO", "JX", "JKS"):
                before = morphemes[i - 2] if i > 1 else None
            if before is not None and before.form in ("나", "저", "내", "제", "얼굴", "목소리", "날", "절"):
                return before.start, token.end
        if token.form in ("번째", "째") and i and _not_the_first(clause, i, domain):
            return morphemes[i - 1].start, token.end
        if token.form == "다니" and any(at_shop(morphemes, j, domain) for j in range(i)):
            since = morphemes[i + 2 : i + 3]
            if since and since[0].form == "지" and morphemes[i + 1].tag == "ETM":
                return token.start, since[0].end
    return None


def _not_the_first(clause: Clause, at: int, domain: Domain) -> bool:
    """Whether a visit is counted, and not as the first ("이 집에 온 게 벌써 세 번째야")."""
    morphemes = clause.morphemes
    number = morphemes[at - 2] if morphemes[at].form == "째" and at > 1 else morphemes[at - 1]
    visit = any(is_coming(morphemes, j) or t.form == "방문" for j, t in enumerate(morphemes))
    return (
        visit and number.form in ("두", "세", "네", "다섯", "여섯", "몇", "열") and not clause.asks and not by_others(clause, at)
    )


def _thanks(line: str, clause: Clause, domain: Domain) -> Span | None:
    """What was lent, thanked for: "골라 주신 것 덕분에"."""
    morphemes = clause.morphemes
    for i, token in enumerate(morphemes):
        if token.form in _THANKED and token.tag == "NNG":
            lent = next((t.start for j, t in enumerate(morphemes[:i]) if _gives(morphemes[:i], j)), None)
            return None if lent is None else (lent, token.end)
    return None


def _owner_thanked(line: str, clause: Clause, domain: Domain) -> Span | None:
    """The owner or the shop, thanked for something: "사장님 덕분에"."""
    shop = domain.cues.get("shop", ())
    for i, token in enumerate(clause.morphemes):
        if token.form in _THANKED and token.tag == "NNG":
            thanked = next((t for t in clause.morphemes[max(0, i - 10) : i] if t.form in shop and t.tag[0] == "N"), None)
            return None if thanked is None else (thanked.start, token.end)
    return None


_RENTAL = Rule(_rental, RENTING, cues="earlier_visit")
_LAST_TIME = Rule(_last_time, _LAST)
_THANKS = Rule(_thanks, _THANKED)
_OWNER_THANKED = Rule(_owner_thanked, _THANKED)
_EARLIER = (
    Rule(_again, AGAIN),
    _RENTAL,
    _THANKS,
    _LAST_TIME,
    Rule(_regular, frozenset(), cues="regular"),
    Rule(_habit, words("신세 던")),
    Rule(_returned, words("반납 돌리 돌려주 돌려드리")),
    Rule(_remember, words("기억 번째 째 다니")),
    ABSENT,
    BACK_SOON,
)
