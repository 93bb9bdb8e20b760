"""Whether a clause tells that the speaker had an item before: borrowed, used, lost or brought it back."""

from __future__ import annotations

from collections.abc import Sequence

from npc_align.checks.clauses import words
from npc_align.checks.coming import cues_of
from npc_align.checks.item_clauses import OTHERS, Mention, Sentence, is_past, tells_of_others
from npc_align.checks.item_wishes import asks_for
from npc_align.domain import Domain
from npc_align.korean.morphemes import Token

# Verbs by which a customer has had an item: to borrow, to carry, to use, to lose.
_BORROWING = words("빌리 빌려가 대여하 가져가")
_GIVING = words("빌려주 주 내주 건네 건네주 챙기 고르 골라주 맡기 쥐이 내놓 꺼내 권하 추천하 뽑")
_USING = words("쓰 사용하 휘두르 들 메 쏘 가져가 데려가 챙기")
_LOSING = words("부러뜨리 부러트리 잃 잃어버리 망가뜨리 망가트리 빠뜨리 빠트리 떨어뜨리 떨구 깨뜨리 날리 태우 분지르")
_BREAKING = words("부러지 무뎌지 무디 망가지 끊어지 휘 갈라지 쪼개지 깨지 녹슬 닳 부서지 금가 늘어지")
_SERVING = words(
    "좋 훌륭하 가볍 무겁 무디 날카롭 튼튼하 묵직하 든든하 맞 딱이 최고이 쓸만하 만하 편하 짧 길 별로이 완벽하 멋지 약하 빠르 감기 들 뛰어나 대단하"
)
# Verbs and nouns by which an item was met, not borrowed.
_MEETING = words(
    "보 보이 권 듣 말하 말씀하 말씀 찾 팔 사 구경 구경하 탐내 권하 추천 추천하 약속 들어오 부러워하 부럽 궁금하 고민하 망설이 배우"
)
# What an item does that somebody else has, or nobody.
_AWAY = words("나가 비 떨어지 팔리 품절 동나 없 남 들어오")
# Where and when a story of one's own happened, before this shop was ever entered.
_ELSEWHERE = words("왕년 옛날 예전 젊 어리 어릴 고향 꿈 평생 원래 한때 수련 훈련 배우 군대 시절 집안 가보 본래 첫날")
_SHOP = words("여기 이곳 가게 집 이집 댁 대여점 사장 주인")
_FIRST_PERSON = words("나 저 내 제 우리 저희")
_GIVERS = words("사장 님 주인 주인장 당신 자네 너 네 영감 양반 그대 니")
_RETURNING = words("반납 반납하 돌려주 돌려드리 되돌려주 갚")
_ASIDE = words("보다 처럼 만큼 같이 한테 에게 께 에 에서 과 와 하고 대신 빼 아니 없이 같 말 마저")
# What may stand before an item without telling whose it was.
_MODIFIERS = words(
    "이번 저번 지난번 먼젓번 그때 여기 사장 님 가게 집 새 헌 강철 무쇠 나무 은 쇠 청동 것 번 어제 엊그제 일전 요전 최고급 중고 거"
)
# Topics that act as little as a time does ("의뢰는 그걸로 끝냈다").
_AFFAIRS = words("의뢰 일 임무 싸움 전투 토벌 사냥 결과 오늘 그날 처음 마지막 나머지 사실 놈 녀석")
_UNREAL = ("으면", "면", "다면", "더라면", "었으면")


class Past:
    """What a clause tells of an item's past in the speaker's hands."""

    def __init__(self, line: str, sentence: Sentence, mention: Mention, previous: object, domain: Domain) -> None:
        clause = sentence.clause(mention)
        self.line, self.sentence, self.mention, self.domain = line, sentence, mention, domain
        self.clause = clause
        self.tokens = sentence.morphemes[clause.start : clause.stop]
        self.first, self.last = mention.first - clause.start, mention.last - clause.start
        self.rival = any(previous in m.items and m.first in clause for m in sentence.mentions)

    def was_had(self, first_visit: bool) -> bool:
        # What a clause tells of the past belongs to the item that fits, where it names that one too.
        if self.rival or tells_of_others(self.tokens[: self.first], OTHERS) or self._elsewhere():
            return False
        if self._modified(first_visit):
            return True
        if tells_of_others(self.tokens, OTHERS) or self._aside():
            return False
        return self._told(first_visit) and not self._wished()

    def _told(self, first_visit: bool) -> bool:
        if self._borrowed() or self._returned() or (self._cued(first_visit) and not self._only_met()):
            return True
        return not first_visit and not self._others_own() and (self._used() or self._served() or self._by_means())

    def _after(self, i: int = 1) -> Token | None:
        return self.tokens[self.last + i] if self.last + i < len(self.tokens) else None

    def _elsewhere(self) -> bool:
        """Whether the story happened in another place or time than this shop's ("옆 마을에서 빌린 것")."""
        for i, token in enumerate(self.tokens):
            if token.form in _ELSEWHERE:
                return True
            following = self.tokens[i + 1] if i + 1 < len(self.tokens) else None
            here = token.form in _SHOP and not any(
                t.form in ("옆", "다른", "딴", "건너편", "앞", "저쪽") for t in self.tokens[max(0, i - 3) : i]
            )
            if (
                token.tag[0] == "N"
                and following is not None
                and following.tag == "JKB"
                and following.form in ("에서", "서")
                and not here
            ):
                verb = next((t for t in self.tokens[i + 2 : i + 11] if t.tag[:2] == "VV"), None)
                if verb is not None and verb.form in _BORROWING | _GIVING | {"받", "얻", "사", "구하"}:
                    return True
        return False

    def _modified(self, first_visit: bool) -> bool:
        """Whether the noun phrase itself tells of a rental: "저번 그것", "빌린 것", "내주신 것", "쓰던 것"."""
        i = self.first - 1
        while i >= 0 and (self.tokens[i].tag in ("MM", "SP", "IC", "JKG", "NNB") or self.tokens[i].form in ("그때", "여기")):
            if self.tokens[i].form == "그때":
                return not first_visit
            i -= 1
        if i < 0:
            return False
        token = self.tokens[i]
        if token.tag == "ETM":
            return token.form in ("ᆫ", "은", "던") and self._clause_of_having(i, first_visit)
        cue = any(self.line[token.start : token.end] == cue for cue in self._cues("past"))
        return token.tag == "NNG" and cue

    def _cues(self, kind: str) -> Sequence[str]:
        return self.domain.cues.get(kind, ())

    def _clause_of_having(self, ending: int, first_visit: bool) -> bool:
        begin = ending
        while begin and (
            self.tokens[begin - 1].tag[:2] in ("VV", "VX", "EP", "XS") or self.tokens[begin - 1].form in ("어", "아", "여")
        ):
            begin -= 1 + (self.tokens[begin - 1].tag == "XSV")
        roots = {t.form for t in self.tokens[max(0, begin) : ending]}
        own = any(t.form in _FIRST_PERSON and t.tag == "NP" for t in self.tokens[:ending])
        if roots & _BORROWING or roots & _RETURNING or {"빌리", "주"} <= roots or "대여" in roots:
            return not self._another_subject(self.tokens[:ending])
        if first_visit:
            return False
        if "주" in roots and self.tokens[ending].form != "던":
            return (
                not roots & {"권하", "소개하"}
                and not self._recommended(ending)
                and not self._another_subject(self.tokens[:ending])
            )
        using = bool(roots & _USING)
        return using and (own or not self._another_subject(self.tokens[:ending]))

    def _recommended(self, ending: int) -> bool:
        """An item recommended is had only where the rest tells of its use."""
        return any(t.form in ("추천", "권하", "말씀", "소개") for t in self.tokens[:ending]) and not any(
            is_past(t) for t in self.tokens[self.last :]
        )

    def _aside(self) -> bool:
        """Whether the item is only compared with, left out, or a place ("그것보다", "그거 말고")."""
        after = self._after()
        return after is not None and ((after.form in _ASIDE and after.tag[0] != "E") or after.tag == "VCN")

    def _wished(self) -> bool:
        return asks_for(self.sentence, self.mention, question=False, terse=False, before=())

    def _verbs_after(self) -> list[int]:
        return [
            i
            for i in range(self.last + 1, len(self.tokens))
            if self.tokens[i].tag[:2] in ("VV", "VX", "VA", "XS") or self.tokens[i].tag == "VCP"
        ]

    def _root(self, i: int) -> str:
        token = self.tokens[i]
        return self.tokens[i - 1].form + token.form if i and token.tag[:3] in ("XSV", "XSA", "VCP") else token.form

    def _tensed(self, i: int) -> bool:
        """Whether the verb itself stands in the past, and what it tells is real."""
        for at in range(i + 1, len(self.tokens)):
            token = self.tokens[at]
            if is_past(token):
                following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
                return following is None or not (following.form in _UNREAL or following.form.endswith("면"))
            if token.tag in ("EF", "ETM", "ETN", "SP") or (token.tag == "EC" and token.form not in ("어", "아", "여", "고")):
                return token.form.startswith("더") and token.tag in ("EF", "EC")
        return False

    def _denied(self) -> bool:
        return any(
            t.form in ("안", "못", "않", "말", "없", "아니", "뻔", "걸", "까") or t.form.endswith("까")
            for t in self.tokens[self.last + 1 :]
        )

    def _borrowed(self) -> bool:
        return (
            not self._denied()
            and not self._another_subject(self.tokens[: self.first])
            and any(self._root(i) in _BORROWING and self._tensed(i) for i in self._verbs_after())
        )

    def _returned(self) -> bool:
        """Whether the item is being given back."""
        if any(t.form in ("안", "못", "않", "말", "없") for t in self.tokens[self.last + 1 :]):
            return False
        after = self._after()
        near = after is None or after.tag in ("JKO", "JX", "SP", "NNG", "VV", "MAG", "NR", "MM", "SF")
        return near and any(
            t.form in _RETURNING or (t.form == "돌리" and self._form(i + 2) in ("주", "드리"))
            for i, t in enumerate(self.tokens)
            if i > self.last
        )

    def _form(self, i: int) -> str:
        return self.tokens[i].form if 0 <= i < len(self.tokens) else ""

    def _cued(self, first_visit: bool) -> bool:
        """Whether a cue of the past stands in the clause.

        A first visit takes only nouns of their own and verbs of borrowing: "지난 싸움", "전에" tell of any past, not this shop's.
        """
        cues = self._cues("past")
        starters = [self.tokens[at] for at in _cues_at(self.line, self.tokens, self.domain)]
        if first_visit:
            return any(t.tag == "NNG" and self.line[t.start : t.end] in cues for t in starters)
        return bool(starters) and not self._absent()

    def _absent(self) -> bool:
        """Whether the clause tells that the item wasn't there or wasn't taken ("없다면서요", "빌릴까 하다가", "빌릴 걸")."""
        return self._denied() and not any(t.form in ("쓰", "맞") for t in self.tokens[self.last :])

    def _only_met(self) -> bool:
        """Whether the item was only seen, spoken of, or handled by another subject than the speaker."""
        if any(t.form in _MEETING and t.tag in ("VV", "NNG", "VA") for t in self.tokens):
            return True
        after = self._after()
        if after is not None and after.tag in ("JKS", "JX") and any(t.form in _AWAY for t in self.tokens[self.last :]):
            return True
        return self._others_own() or (after is not None and after.tag == "JKO" and self._another_subject(self.tokens))

    def _another_subject(self, tokens: Sequence[Token]) -> bool:
        return any(
            (t.tag == "JKS" or (t.tag == "JX" and t.form in ("은", "는") and tokens[i - 1].tag in ("NNG", "NNP")))
            and tokens[i - 1].form not in _FIRST_PERSON | _GIVERS | (_MODIFIERS | _AFFAIRS if t.tag == "JX" else frozenset())
            and tokens[i - 1] is not self.tokens[self.last]
            for i, t in enumerate(tokens)
            if i
        )

    def _others_own(self) -> bool:
        """Whether a noun right before the item may name its owner ("오크 것", "기사단의 것"), or a verb whoever held it."""
        if not self.first:
            return False
        token = self.tokens[self.first - 1]
        if token.tag == "JKG" and self.first > 1:
            token = self.tokens[self.first - 2]
        if token.tag == "ETM":
            return self.tokens[self.first - 2].tag[:2] == "VV" and self.tokens[self.first - 2].form not in _USING | _BORROWING
        return token.tag in ("NNG", "NNP", "NP", "XSN") and token.form not in _MODIFIERS | _FIRST_PERSON | _GIVERS

    def _used(self) -> bool:
        """Whether the speaker has used, carried or lost it ("그걸 잃어버렸다", "그거 하나 들고 갔다", "그건 잘 썼다")."""
        if self._denied() or self._another_subject(self.tokens[: self.first]):
            return False
        after = self._after()
        if after is not None and after.tag == "JKS":
            return False
        for i in self._verbs_after():
            root = self._root(i)
            if root in _LOSING and self._tensed(i) and self._form(i + 2) != "주":
                return True
            if root in _USING and self._tensed(i) and root not in ("들", "챙기", "메"):
                return True
            if (
                root in ("쓰", "들", "메", "챙기")
                and self._form(i + 1) in ("고", "고서", "다가")
                and any(is_past(t) for t in self.tokens[i:])
            ):
                return True
            if root == "쓰" and self._form(i + 1) == "고" and self._form(i - 1) == "잘":
                return True
        return False

    def _served(self) -> bool:
        """Whether the speaker tells how it did, or that it broke ("그건 무겁더라", "그게 부러졌다")."""
        if self._denied() or any(t.tag == "JKS" for t in self.tokens[: self.first]):
            return False
        shown = self.first > 0 and self.tokens[self.first - 1].form in ("저", "이")
        after = self._after()
        topic = after is None or after.tag in ("JKS", "JX", "SP", "MAG") or after.tag[0] == "V"
        if shown or not topic:
            return False
        verbs = [i for i in self._verbs_after() if self._root(i) in _SERVING | _BREAKING]
        return any(self._tensed(i) or self._tensed_later(i) for i in verbs)

    def _tensed_later(self, i: int) -> bool:
        """Whether the clause gives a reason for what follows in the past ("가벼워서 좋았다")."""
        reason = self.tokens[-1].tag == "EC" and self.tokens[-1].form in ("어서", "아서", "고")
        return (
            reason
            and i >= len(self.tokens) - 3
            and any(is_past(t) for t in self.sentence.morphemes[self.clause.stop : self.clause.stop + 6])
        )

    def _by_means(self) -> bool:
        """Whether the speaker has done something by means of the item ("그걸로 늑대를 잡았다", "그거 하나로 끝냈어요")."""
        at = self.last + 1
        while at < len(self.tokens) and self.tokens[at].tag in ("MM", "NR", "NNB", "SN") and self.tokens[at].form != "때문":
            at += 1
        if at >= len(self.tokens) or self._another_subject(self.tokens[: self.first]):
            return False
        because = self.tokens[at].form in ("때문", "탓")
        if because and all(t.tag[0] in "SJ" for t in self.tokens[at + 1 :]):
            return True
        means = self.tokens[at].tag == "JKB" and self.tokens[at].form in ("로", "으로")
        return (means or because) and any(
            is_past(t) and not (because and self._form(i - 1) in ("오", "찾아오", "들르"))
            for i, t in enumerate(self.tokens)
            if i > at
        )


def _cues_at(line: str, piece: Sequence[Token], domain: Domain) -> list[int]:
    """The indices of the morphemes where cues of the past start; cues are compared without white space."""
    cues = cues_of(domain, "past")
    end, found = piece[-1].end, []
    for i, token in enumerate(piece):
        before = piece[i - 1] if i else None
        # "마르기 전에", "마르기도 전에" speak of what is to come; and of morphemes that share a syllable the first counts.
        if before is not None and (before.start == token.start or "ETN" in (before.tag, piece[i - 2].tag)):
            continue
        if cues.match(line, token.start, end):
            found.append(i)
    return found
