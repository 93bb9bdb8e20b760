"""Whether a line tells of another end of the last quest than the record, or, on a first visit, of one with this shop's weapon.

Only what the speaker says for certain counts, and only where the line doesn't say the opposite as well: whoever won the fight and
lost the pay contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from npc_align.checks import visits
from npc_align.checks.clauses import DENYING, Clause, by_others, clauses, forms_of, long_ago, telling, words
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token, spoken_tokens, tokens
from npc_align.violation import Violation

KINDS = ("result_contradiction",)

# Contests that are no quest.
_GAMES = words(
    "내기 술내기 팔씨름 씨름 주사위 가위바위보 노름 노름판 도박 카드 카드판 제비뽑기 제비 뽑기 말싸움 말다툼 눈싸움 흥정 달리기 경주 술 바둑 장기 대련 연습 "
    "꿈 부부싸움 입씨름 눈치싸움 시합 경기 화투 윷 윷놀이 체스 홀짝 닭싸움 투전 골패 꿈속"
)
# What is fought or lost in another sense ("더위를 못 이기다", "짐을 지다", "해가 지다").
_OTHER_OBJECTS = words(
    "더위 추위 잠 졸음 유혹 식욕 병 감기 슬픔 두려움 공포 무게 힘 성질 화 멀미 배고픔 가난 세월 나이 호기심 욕심 미련 술기운 궁금증"
)
_FIGHTS = words("싸움 전투 승부 결투 판 의뢰 전쟁 경기")
_DAYS = words(
    "어제 오늘 그제 그저께 엊그제 저번 지난번 이번 그때 엊저녁 간밤 봄 여름 가을 겨울 어젯밤 지난봄 지난여름 지난가을 지난겨울 작년"
)
_ALL_OF_THEM = words("모조리 몽땅 죄다 깡그리 싹")
_CARRIED = words("등 허리 어깨 지게 서쪽 산 서산 그늘 등짝 어깻죽지")
_TO_WHOM = ("한테", "에게", "께", "한테서", "에게서")
_RECEIVING = words("받 받아내 타 챙기 두둑 두둑하 쏠쏠 쏠쏠하 짭짤 짭짤하")
_HALF = words("반 절반 일부 반만 조금 선금 한")
_WELL = words("잘 무사히 깔끔 깔끔히 말끔히 멋지 거뜬히 순조롭 수월 손쉽 완벽 완벽히 무사 금방 단숨 보란 성공적 훌륭 훌륭히")
_WISHED = words("이번 이번엔 다음 꼭 반드시 내일 오늘 부디 제발 기원 다시")


@dataclass(frozen=True)
class Claim:
    """What a line says of the quest: its span, whether that is a victory, and whether it is said outright."""

    start: int
    end: int
    victory: bool
    outright: bool


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) by the result it tells of."""
    if domain.is_one_of(attributes, "result", "results", "none"):
        return _first_visit(line, domain)
    for named, victory in (("failure", True), ("success", False)):
        if domain.is_one_of(attributes, "result", "results", named):
            return [
                _violation(claim, line, str(domain.role(attributes, "result"))) for claim in _against(line, domain, victory)[:1]
            ]
    return []


def _violation(claim: Claim, line: str, result: str) -> Violation:
    said = "해냈다고" if claim.victory else "그르쳤다고"
    message = f"의뢰 결과와 어긋납니다: {line[claim.start : claim.end]}. 최근 의뢰는 {result}인데 {said} 말합니다."
    return Violation("result_contradiction", claim.start, claim.end, message)


def _first_visit(line: str, domain: Domain) -> list[Violation]:
    """A result claimed by one who can't have had anything of this shop's."""
    if not _vocabulary(domain).is_in(line) or not visits.thanks_or_rental(line, domain):
        return []
    message = "의뢰 결과와 어긋납니다: {}. 처음 온 손님이라 이 가게 무기로 거둔 결과가 없습니다."
    found = [
        Violation("result_contradiction", c.start, c.end, message.format(line[c.start : c.end])) for c in claims(line, domain)
    ]
    return found[:1]


def _against(line: str, domain: Domain, victory: bool) -> list[Claim]:
    """The claims of a victory (or of a defeat), where the line claims nothing to the contrary."""
    vocabulary = _vocabulary(domain)
    if forms_of(line).isdisjoint(vocabulary.victories if victory else vocabulary.defeats | DENYING):
        return []
    found = claims(line, domain)
    if any(claim.victory != victory for claim in found):
        return []
    signs = _stems(domain, "bad_signs" if victory else "good_signs")
    doubted = any(t.form in signs and t.tag[0] in "NVMX" for t in spoken_tokens(line))
    return [claim for claim in found if claim.outright or not doubted]


def claims(line: str, domain: Domain) -> list[Claim]:
    """Every result that the speaker claims for certain, in order."""
    vocabulary = _vocabulary(domain)
    found: list[Claim] = []
    for clause in clauses(line):
        for at, length, key in vocabulary.matches(clause.morphemes):
            claim = _claim(line, clause, at, at + length - 1, key, domain)
            if claim is not None:
                found.append(claim)
    return found


_DEFEATS = ("defeat", "lost")
_KEYS = ("victory", "overcome", "feats", "finished", "rewards", *_DEFEATS)


@dataclass(frozen=True)
class _Vocabulary:
    """The domain's words of result as sequences of morphemes, by the first of them; which of those open a word of either end."""

    by_first: Mapping[str, Sequence[tuple[tuple[tuple[str, str], ...], str]]]
    victories: frozenset[str]
    defeats: frozenset[str]

    def is_in(self, line: str) -> bool:
        return not self.by_first.keys().isdisjoint(forms_of(line))

    def matches(self, morphemes: Sequence[Token]) -> Iterable[tuple[int, int, str]]:
        """Index, length and section of each word that stands in the clause; particles within a phrase aside."""
        for i, token in enumerate(morphemes):
            for forms, key in self.by_first.get(token.form, ()):
                length = _reach(morphemes, i, forms)
                if length:
                    yield i, length, key


def _reach(morphemes: Sequence[Token], start: int, phrase: Sequence[tuple[str, str]]) -> int:
    """How many morphemes from `start` make up the phrase, or 0."""
    i = start
    for form, kind in phrase:
        while i < len(morphemes) and i > start and morphemes[i].tag[0] in "JM" and morphemes[i].form != form:
            i += 1
        if i >= len(morphemes) or morphemes[i].form != form or (kind in "NV" and morphemes[i].tag[0] not in kind + "X"):
            return 0
        i += 1
    return i - start


@lru_cache(maxsize=64)
def _stems(domain: Domain, key: str) -> frozenset[str]:
    """The cues of a section as Kiwi's morphemes have them: verbs without their 다."""
    return frozenset(cue.removesuffix("다") for cue in domain.cues.get(key, ()))


@lru_cache(maxsize=16)
def _vocabulary(domain: Domain) -> _Vocabulary:
    by_first: dict[str, list[tuple[tuple[tuple[str, str], ...], str]]] = {}
    for key in _KEYS:
        for cue in domain.cues.get(key, ()):
            analysed = tokens(cue)
            phrase = tuple((t.form, t.tag[0]) for t in analysed if t.form != "다" and t.tag != "VCP")
            if cue.endswith("다") and " " not in cue and phrase[-1][1] not in "VX":
                # Kiwi took the verb for something else (a noun and the copula).
                phrase = ((cue[:-1], "V"),)
            by_first.setdefault(phrase[0][0], []).append((phrase, key))
    sides = {form: {key in _DEFEATS for _, key in phrases} for form, phrases in by_first.items()}
    victories, defeats = (frozenset(form for form, lost in sides.items() if side in lost) for side in (False, True))
    return _Vocabulary(by_first, victories, defeats)


def _claim(line: str, clause: Clause, first: int, last: int, key: str, domain: Domain) -> Claim | None:
    morphemes = clause.morphemes
    if any((t.form in _GAMES or t.form == "절반") and t.tag[0] == "N" for t in clause.sentence) or long_ago(clause):
        return None
    word = morphemes[last]
    verbal = word.tag[0] == "V" or (last + 1 < len(morphemes) and morphemes[last + 1].tag in ("XSV", "VCP", "XSA"))
    if key == "rewards":
        return _reward(clause, first)
    if not _fits(line, clause, first, key, domain):
        return None
    if not verbal:
        return _named(clause, first, last, key)
    copula = word.tag[0] == "N" and morphemes[last + 1].tag == "VCP"
    told = telling(clause, first, last if word.tag[0] == "V" else last + 1, stated=copula)
    if told is None or by_others(clause, first, _subjects(domain)) or (copula and _hoped(clause, first, key)):
        return None
    return _judged(clause, first, last, key, told.affirmed, told.conceded)


def _judged(clause: Clause, first: int, last: int, key: str, affirmed: bool, conceded: bool) -> Claim | None:
    victory = key not in _DEFEATS
    if not affirmed and not victory:
        return None
    if conceded and key in ("overcome", "feats"):
        return None
    outright = key in ("victory", "overcome", "defeat") and not conceded and not _to_whom(clause, first)
    return Claim(clause.morphemes[first].start, clause.morphemes[last].end, victory == affirmed, outright)


def _hoped(clause: Clause, at: int, key: str) -> bool:
    """Whether a victory without a tense may be one to come ("이번엔 꼭 성공!")."""
    return (
        key not in _DEFEATS
        and any(t.form in _WISHED for t in clause.morphemes[:at])
        and not any(t.tag == "NNG" and t.form not in _WISHED for t in clause.morphemes[:at])
    )


def _to_whom(clause: Clause, at: int) -> bool:
    """Whether it's told who one lost to, which may be no foe of the quest ("모기한텐 졌어")."""
    return any(t.tag == "JKB" and t.form in _TO_WHOM for t in clause.morphemes[:at])


def _named(clause: Clause, first: int, last: int, key: str) -> Claim | None:
    """A result that stands as a bare noun ("의뢰 실패.", "승리로 끝났다")."""
    morphemes = clause.morphemes
    following = morphemes[last + 1] if last + 1 < len(morphemes) else None
    bare = following is None or following.tag in ("SF", "SP", "SE", "SO")
    victory = key not in _DEFEATS
    if bare and not clause.asks and all(t.tag[0] in "NMJX" for t in morphemes[:first]):
        if not _hoped(clause, first, key) and not by_others(clause, first):
            return Claim(morphemes[first].start, morphemes[last].end, victory, key in ("victory", "overcome", "defeat"))
        return None
    verb = next((i for i in range(last + 1, len(morphemes)) if morphemes[i].tag[:2] == "VV"), None)
    between = morphemes[last + 1 : verb]
    if verb is None or key not in ("victory", "defeat") or any(t.tag[0] not in "JNM" or t.form == "없이" for t in between):
        return None
    if morphemes[verb].form not in _BRINGING or (told := telling(clause, verb, verb)) is None or by_others(clause, first):
        return None
    return Claim(morphemes[first].start, morphemes[last].end, victory == told.affirmed, True) if told.affirmed else None


_BRINGING = words(
    "하 치 거두 얻 따 따내 안 챙기 끝나 끝내 마치 장식하 들 오 돌아오 돌아가 가져오 맛보 당하 겪 기록하 이끌 매듭짓"
)


def _reward(clause: Clause, first: int) -> Claim | None:
    morphemes = clause.morphemes
    verb = next(
        (i for i in range(first + 1, len(morphemes)) if morphemes[i].form in _RECEIVING and morphemes[i].tag[0] in "VXM"), None
    )
    if verb is None or any(t.form in _HALF for t in morphemes[:verb]):
        return None
    end = (
        verb
        if morphemes[verb].tag[0] == "V"
        else next((i for i in range(verb, len(morphemes)) if morphemes[i].tag[0] == "V"), verb)
    )
    told = telling(clause, end, end)
    if any(t.tag == "ETM" for t in morphemes[end + 1 :]):
        return None
    if told is None or by_others(clause, first, frozenset((morphemes[first].form,))):
        return None
    if not told.affirmed:
        return None
    return Claim(morphemes[first].start, morphemes[verb].end, True, False)


def _subjects(domain: Domain) -> frozenset[str]:
    """Subjects that aren't somebody: quests and weapons."""
    return frozenset((*domain.cues.get("quests", ()), *(a for aliases in domain.items.values() for a in aliases), "무기", "장비"))


def _fits(line: str, clause: Clause, at: int, key: str, domain: Domain) -> bool:
    """Whether the clause speaks of the quest: what is needed beside a word that has other meanings."""
    morphemes = clause.morphemes
    word = morphemes[at].form
    if word == "지":
        topic = next((i for i in range(at) if morphemes[i].tag == "JX" and morphemes[i].form in ("은", "는", "ᆫ")), None)
        return _lost_a_fight(morphemes, at) and (topic is None or not _names_foe(line, morphemes[:topic], domain))
    if any(t.form in _OTHER_OBJECTS and t.tag == "NNG" for t in morphemes[max(0, at - 4) : at]):
        return False
    if key == "feats":
        return _names_foe(line, morphemes[:at], domain) or any(t.form in _ALL_OF_THEM for t in morphemes[:at])
    quests = domain.cues.get("quests", ())
    quest = any(t.form in quests and t.tag[0] == "N" for t in morphemes[:at])
    if key == "finished" and word == "끝":
        return any(t.form in quests for t in morphemes[max(0, at - 2) : at]) and not any(t.tag == "VCP" for t in morphemes[at:])
    if word == "완료":
        return at > 0 and morphemes[at - 1].form in (*quests, *domain.cues.get("overcome", ()))
    if key == "finished":
        return quest or any(t.form in _WELL or (t.form == "적" and t.tag == "XSN") for t in morphemes[:at])
    if key == "lost":
        return (
            quest or _names_foe(line, morphemes[:at], domain) or (word in _stems(domain, "spoilt") and _all_of_it(morphemes, at))
        )
    return True


def _all_of_it(morphemes: Sequence[Token], at: int) -> bool:
    """Whether nothing is named that was missed or spoilt but all of it ("다 놓쳤어")."""
    if any(t.tag in ("JKO", "JKS") or (t.tag == "JX" and t.form in ("은", "는", "ᆫ", "도")) for t in morphemes[:at]):
        return False
    return at == 0 or morphemes[at - 1].tag in ("EC", "SP", "MAG", "JKB", "IC")


def _lost_a_fight(morphemes: Sequence[Token], at: int) -> bool:
    """Whether 지 is to lose, and not an auxiliary, to carry, to set (of the sun), to owe."""
    if morphemes[at].tag[:2] not in ("VV", "VX") or at + 1 >= len(morphemes) or morphemes[at + 1].tag[0] != "E":
        return False
    if at == 0:
        return True
    before = morphemes[at - 1]
    if before.tag == "EC":
        return before.form not in ("어", "아", "여")
    if before.tag[0] == "N":
        return before.form in _DAYS or before.form in _FIGHTS
    if before.tag == "JKB" and before.form == "에":
        return morphemes[at - 2].form not in _CARRIED
    if before.tag == "JX" and before.form in ("만", "도") and morphemes[at - 2].tag == "NNG":
        return morphemes[at - 2].form in _FIGHTS
    objects = [morphemes[i - 1].form for i in range(1, at) if morphemes[i].tag == "JKO"]
    return all(form in _FIGHTS for form in objects)


def _names_foe(line: str, morphemes: Sequence[Token], domain: Domain) -> bool:
    foes = domain.cues.get("foes", ())
    for i, token in enumerate(morphemes):
        for last in morphemes[i : i + 3]:
            if line[token.start : last.end] in foes and (token.tag != "MAG" or last is not token):
                follows = next((t for t in morphemes if t.start >= last.end), None)
                return follows is None or follows.form not in ("만", "한테", "에게", "처럼", "보다")
    return bool(morphemes) and morphemes[-1].tag == "NR"
