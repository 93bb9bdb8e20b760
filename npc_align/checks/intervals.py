"""How long ago a line says that the customer was last here.

Only time words of the visit itself count: "오랜만에 이겼다" tells of a victory, "어제 갈았다는 날" of the blade.
"""

from __future__ import annotations

from collections.abc import Sequence

from npc_align.checks.clauses import Clause, by_others, words
from npc_align.checks.coming import (
    AGAIN,
    COMING,
    RENTING,
    Rule,
    Span,
    bare_subject,
    came,
    cue_end,
    cues_of,
    describes_another,
    elsewhere,
    in_past,
    is_coming,
    mine,
    negated,
    next_predicate,
)
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token

_SOON = words("금방 그새 벌써 바로 곧바로 금세")
_LONG_UNITS = words("달 개월 년 해 계절 철 반년 여름 겨울 봄 가을 달포 한참")
_SHORT_SPANS = words("하루 이틀 사흘 나흘 닷새 엿새 이레 며칠 일 시간 주일 일주일 하룻밤")
_ABSENCE = words("한동안 오래 오랫동안 동안 그간 그동안 통 한참 달 년 해 철 계절 개월 반년 도통")


def _absent(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "오랜만이에요", "몇 달 만에 왔어", "한동안 발길이 뜸했습니다"."""
    morphemes = clause.morphemes
    cues = cues_of(domain, "long_ago")
    for i, token in enumerate(morphemes):
        end = cue_end(line, token, cues)
        if end is None and token.form == "만" and token.tag == "NNB" and i and morphemes[i - 1].form in _LONG_UNITS:
            end = token.end
        if end is not None:
            after = next((j for j in range(i, len(morphemes)) if morphemes[j].start >= end), len(morphemes))
            if _of_the_visit(clause, i, after, domain):
                return token.start, end
        if token.form in ("뜸하", "뜸") or (
            token.form == "발길" and any(t.form in ("끊", "끊기") for t in morphemes[i + 1 : i + 4])
        ):
            return token.start, token.end
        if is_coming(morphemes, i) and _kept_away(morphemes, i) and not by_others(clause, i) and _did(clause, i):
            return token.start, token.end
    return None


def _back_soon(line: str, clause: Clause, domain: Domain) -> Span | None:
    """ "어제 왔는데", "사흘 만에 또 왔어요", "금방 또 왔네"."""
    morphemes = clause.morphemes
    cues = cues_of(domain, "recent")
    for i, token in enumerate(morphemes):
        soon = token.form in _SOON and any(t.form in AGAIN for t in morphemes[max(0, i - 2) : i + 3])
        short = token.form == "만" and token.tag == "NNB" and i and morphemes[i - 1].form in _SHORT_SPANS
        if soon or short:
            at = next_predicate(morphemes, i + 1)
            if at is not None and is_coming(morphemes, at) and came(clause, at, domain):
                return token.start, morphemes[at].end
        if cue_end(line, token, cues) is not None and (i == 0 or morphemes[i - 1].tag != "ETN"):
            at = _visited_then(clause, i, domain)
            if at is not None:
                return token.start, morphemes[at].end
    return None


ABSENT = Rule(_absent, _LONG_UNITS | words("뜸하 뜸 발길 못 안 않 못하 말"), cues="long_ago")
BACK_SOON = Rule(_back_soon, _SOON | _SHORT_SPANS, cues="recent")


def _visited_then(clause: Clause, cue: int, domain: Domain) -> int | None:
    """The index of the verb that says that the customer was here at the time of the cue."""
    morphemes = clause.morphemes
    at = next((j for j in range(cue + 1, len(morphemes)) if _visits_or_rents(morphemes, j) or _met(clause, j)), None)
    if at is None or (is_coming(morphemes, at) and describes_another(morphemes, at, frozenset(domain.cues.get("shop", ())))):
        return None
    if any(t.tag[:2] == "VV" and t.form not in ("잇", *RENTING) for t in morphemes[cue + 1 : at]):
        return None
    past = in_past(clause, at) or _and_again(clause, at)
    return at if past and mine(clause, at, domain) and not elsewhere(clause, at, domain) else None


def _did(clause: Clause, verb: int) -> bool:
    """Whether the verb stands in the past or is apologised for."""
    return in_past(clause, verb) or any(t.form in ("송구", "죄송", "미안") for t in (*clause.morphemes[verb:], *clause.after))


def _kept_away(morphemes: Sequence[Token], verb: int) -> bool:
    """Whether the verb is denied for a long time ("한동안 못 왔어요", "못 뵌 지 오래입니다")."""
    if not negated(morphemes, verb):
        return False
    if any(t.form == "지" and t.tag == "NNB" for t in morphemes[verb + 1 : verb + 3]):
        return any(t.form in _ABSENCE or t.form.startswith("오래") for t in morphemes[verb + 2 :])
    return any(t.form in _ABSENCE and t.tag[0] in "NM" for t in morphemes[max(0, verb - 6) : verb])


def _visits_or_rents(morphemes: Sequence[Token], at: int) -> bool:
    token = morphemes[at]
    return is_coming(morphemes, at) or (token.form in RENTING and token.tag[0] == "V")


def _met(clause: Clause, at: int) -> bool:
    """Whether 보다 is to meet the owner ("엊그제 보고 또 보네")."""
    return clause.morphemes[at].form == "보" and clause.morphemes[at].tag == "VV" and _and_again(clause, at)


def _and_again(clause: Clause, verb: int) -> bool:
    """Whether another visit follows on the one told of ("어제 뵙고 오늘 또 뵙네요")."""
    ending = clause.morphemes[verb + 1 : verb + 2]
    return bool(ending) and ending[0].form == "고" and any(t.form in (*AGAIN, "오늘") for t in clause.after)


def _of_the_visit(clause: Clause, cue: int, after: int, domain: Domain) -> bool:
    """Whether a word of long absence is said of coming here, and of nothing else."""
    morphemes = clause.morphemes
    shop = frozenset((*domain.cues.get("shop", ()), "이것", "그것", "얼굴", "우리"))
    before = morphemes[:cue]
    if after >= len(morphemes) or morphemes[after].tag[0] == "S":
        return all(t.tag[0] in "NMIJX" for t in before) and not _named_subject(before, shop)
    if morphemes[after].tag == "VCP":
        other = any(t.tag == "VCN" for t in morphemes) or any(t.tag[:2] in ("VV", "VA") for t in before)
        return not other and not _named_subject(before, shop)
    verb = next_predicate(morphemes, after)
    if verb is None or by_others(clause, verb, shop) or bare_subject(morphemes, verb) or describes_another(morphemes, verb, shop):
        return False
    if elsewhere(clause, verb, domain):
        return False
    if any(t.tag == "JKO" and morphemes[j - 1].form not in (*shop, "인사") for j, t in enumerate(morphemes[:verb])):
        return morphemes[verb].form == "빌리"
    if morphemes[verb].form == "보":
        return after == verb or any(t.form in (*shop, "저", "나") for t in morphemes[:verb])
    return morphemes[verb].form in COMING | {"돌아오", "빌리"} or is_coming(morphemes, verb)


def _named_subject(morphemes: Sequence[Token], allowed: frozenset[str]) -> bool:
    """Whether something is named that the word may be said of ("이런 의뢰는 오랜만이다")."""
    for i, token in enumerate(morphemes):
        if token.tag in ("JKS", "JX", "JKO") and i:
            noun = next((t for t in reversed(morphemes[:i]) if t.tag[0] == "N"), None)
            if noun is None or noun.form not in allowed | {"나", "저", "제", "내"}:
                return True
    return False
