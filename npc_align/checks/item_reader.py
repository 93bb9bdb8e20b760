"""Reads on from an item to the predicate that governs it, and tells whether that predicate wishes for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from npc_align.checks.clauses import words
from npc_align.checks.item_clauses import Mention, Sentence, hearsay
from npc_align.checks.item_moods import (
    AGAIN,
    AMOUNTS,
    ASIDE,
    AUXILIARIES,
    BORROWING,
    DENYING,
    END,
    ENOUGH,
    EVENTS,
    GENERIC,
    HAND_MOOD,
    HANDING,
    LIKE_MOOD,
    LIKING,
    LINKS,
    NEED_MOOD,
    NEEDING,
    NOW,
    PLAIN_ADVERBS,
    QUESTIONING,
    SEEKING,
    SELF_MOOD,
    STAYING,
    STOCK_IF,
    STOCK_MOOD,
    TAKING,
    WISH_OF_ABILITY,
)
from npc_align.korean.morphemes import Token


class Reader:
    """Reads on from an item to the predicate that governs it."""

    def __init__(self, sentence: Sentence, mention: Mention, question: bool, terse: bool) -> None:
        self.sentence, self.mention, self.question, self.terse = sentence, mention, question, terse
        self.tokens = sentence.morphemes
        self.size = len(self.tokens)

    def asks(self) -> bool:
        at = self.predicate(self.mention.last + 1)
        if at is None:
            return self._postposed() or self._fragment()
        return self._wishes(at)

    def _form(self, i: int) -> str:
        return self.tokens[i].form if 0 <= i < self.size else ""

    def _tag(self, i: int) -> str:
        return self.tokens[i].tag if 0 <= i < self.size else ""

    def predicate(self, i: int) -> int | None:
        """The index of the predicate that governs what stands before i; None where there is none or something else intervenes."""
        while i < self.size:
            tag, form = self._tag(i), self._form(i)
            if tag == "VCP" and self._form(i + 1) in ("든", "든지", "든가", "나", "라도", "요"):
                i += 2
            elif tag == "XSN" or tag[0] in "JMIS" or tag in ("NR", "SN"):
                if tag == "JKG" or (tag[0] == "J" and self._form(i) in ASIDE and i == self.mention.last + 1):
                    return None
                i += 1
            elif form in EVENTS and tag == "NNG":
                return i
            elif tag[0] == "N" or tag == "XR":
                if tag == "XR" or (tag == "NNG" and self._tag(i + 1) in ("XSV", "XSA")):
                    if not self._skippable(i):
                        return i
                    i = self._past_modifier(i)
                    continue
                skipped = self._skip_noun(i)
                if skipped is None:
                    return None
                i = skipped
            elif tag[0] == "V":
                if not self._skippable(i):
                    return i
                i = self._past_modifier(i)
            else:
                return None
        return None

    def _skip_noun(self, i: int) -> int | None:
        """The index after a noun that may stand between a thing and its verb."""
        other = self.sentence.mention_at(i)
        if other is not None:
            joined = self._tag(i - 1) == "JC" or self._form(i - 1) in (
                "이나",
                "나",
                ",",
                "든",
                "든지",
                "이든",
                "하고",
                "과",
                "와",
            )
            return other.last + 1 if joined else None
        if self._form(i) in AMOUNTS:
            return i + 1
        if i == self.mention.last + 1:
            return None  # "그거 값으로": only a part of it, or its owner's
        particle = i + 1
        while self._tag(particle) == "XSN":
            particle += 1
        adverbial = self._tag(particle) == "JKB" or self._form(particle) in ("까지", "부터")
        return particle + 1 if adverbial else None

    def _skippable(self, i: int) -> bool:
        """Whether the predicate at i only describes the thing ("튼튼한 걸로", "남은 거", "싸게") and another governs it."""
        end = next((at for at in range(i, min(i + 8, self.size)) if self._ends(at)), None)
        if end is None:
            return False
        if self._tag(end) == "ETM":
            future = self._form(end) in ("ᆯ", "을") and self._form(end + 1) in ("거", "것", "수", "생각", "테", "걸")
            if self._form(end + 1) in ("거", "것") and self._tag(end + 2) not in ("VCP", "EF"):
                future = False
            marked = self._tag(self.mention.last + 1) == "JKO" and self._tag(i) == "VV"
            return self._form(end + 1) in GENERIC and not future and not marked
        adverbial = self._tag(end) == "EC" and self._form(end) in ("게", "도록", "이")
        return adverbial and end + 1 < self.size and self._tag(end + 1) not in ("SF", "SO", "SP", "SE", "VX")

    def _ends(self, i: int) -> bool:
        return self._tag(i) in ("ETM", "EC", "EF", "ETN") and not (
            self._form(i) in ("어", "아", "여") and self._tag(i + 1) == "VX"
        )

    def _past_modifier(self, i: int) -> int:
        while not self._ends(i):
            i += 1
        return i + 1

    def _chain(self, at: int) -> list[tuple[str, str]]:
        """The verbs of the predicate at `at` with, for each, the forms that follow it up to the predicate's end."""
        tokens: list[Token] = []
        i = at
        while i < self.size and len(tokens) < 40:
            token = self.tokens[i]
            tokens.append(token)
            if token.tag == "EF" or (token.tag[0] == "S" and token.tag != "SP"):
                break
            if token.tag in ("EC", "ETM", "ETN") and not self._goes_on(i, tokens):
                break
            i += 1
        roots = []
        for k, token in enumerate(tokens):
            if token.tag in ("VV", "VV-I", "VV-R", "VX", "VX-R", "VX-I", "VA", "VA-I", "VA-R", "VCP") or token.tag.startswith(
                ("VV", "VX", "VA")
            ):
                roots.append((token.form, _joined(tokens[k + 1 :])))
            elif token.tag in ("XSV", "XSA") and k:
                roots.append((tokens[k - 1].form + token.form, _joined(tokens[k + 1 :])))
        return roots

    def _goes_on(self, i: int, tokens: Sequence[Token]) -> bool:
        token = self.tokens[i]
        following = i + 1
        while self._tag(following) in ("MAG", "JX", "JKO", "JKC", "SP") or self._form(following) in ("요",):
            following += 1
        next_form, next_tag = self._form(following), self._tag(following)
        if token.tag == "ETM":
            return next_form in (
                "수",
                "거",
                "것",
                "생각",
                "테",
                "터",
                "참",
                "작정",
                "예정",
                "셈",
                "계획",
                "만",
                "중",
                "듯",
                "텐데",
                "차례",
            ) and (following == i + 1)
        if token.tag == "ETN":
            return next_form in ("바라", "부탁", "원하")
        if not LINKS.fullmatch(token.form) and not (token.form.endswith("면") and next_form in AUXILIARIES):
            return False
        if next_form in AUXILIARIES and (next_tag[0] == "V" or next_tag in ("NNG", "XR", "XSV")):
            return True
        root = next((t.form for t in reversed(tokens) if t.tag[:2] == "VV"), "")
        if token.form == "고" and not (root in ("들", "가지", "메", "챙기", "차", "쥐") and next_form in ("가", "나가")):
            return False
        linked = token.form in ("어", "아", "여", "어서", "아서", "고", "어다", "어다가", "다가", "러", "으러")
        return linked and root in TAKING | HANDING and next_form in TAKING | HANDING and next_tag[:2] in ("VV", "VX")

    def does_ask(self, at: int) -> bool:
        """Whether the predicate at `at` hands over or takes, and isn't denied."""
        chain = self._chain(at)
        return not self._denied(at, chain) and not self._reported(at) and self._done_with(chain)

    def _reported(self, at: int) -> bool:
        """Whether the predicate only repeats what somebody else wishes."""
        ending = next((t for t in self.tokens[at:] if t.tag == "EF"), None)
        return ending is not None and hearsay(ending)

    def _wishes(self, at: int) -> bool:
        chain = self._chain(at)
        if self._tag(at) == "NNG" and self._form(at) in EVENTS:
            return self._wishes_event(at, chain)
        particle = self._particle()
        subject = self._tag(self.mention.last + 1) == "JKS"
        root, tail = chain[0] if chain else ("", "")
        if root in ("되", "가능하", "괜찮") and particle in ("", "로", "으로", "은", "만", "도"):
            return bool(re.match(r"(?:시 )?(?:겠 )?(?:ᆯ까|을까|나|습니까|ᆫ가|은가|는가|어요?$|냐|니)", tail)) and (
                self.question or "까" in tail
            )
        if self._denied(at, chain) or self._reported(at):
            return False
        if root == "어떻":
            return particle in ("", "은", "이", "도") and self._has(NOW, before=True) and "었" not in tail
        if particle == "면":
            enough, mood = chain[1] if len(chain) > 1 else (root, tail)
            return bool(ENOUGH.match(enough)) and not re.search(r"었|더", mood)
        if root in STAYING and particle in ("", "이", "은", "도", "만", "나", "라도", "이라도"):
            return self._in_stock(at, tail)
        if root in NEEDING and not any(f" {past} " in f" {tail} " for past in ("었", "았")):
            return particle in ("", "이", "은", "도", "만") and bool(NEED_MOOD.match(tail))
        if root in LIKING:
            return particle == "이" and subject and bool(LIKE_MOOD.match(tail)) and not self.question
        if root == "이" and self._tag(at) == "VCP":
            return self._is_the_wish(tail)
        if subject:
            return False
        return self._done_with(chain)

    def _particle(self) -> str:
        """The particle of the mention with its amount, in the form after a consonant; "" for none."""
        i = self.mention.last + 1
        while self._tag(i) in ("MM", "NR", "SN") or (self._tag(i) in ("NNB", "NNG") and self._form(i) in AMOUNTS):
            i += 1
        if self._tag(i) == "VCP" and self._form(i + 1) in ("면", "으면"):
            return "면"
        if self._tag(i)[:1] != "J":
            return ""
        return {"가": "이", "는": "은", "ᆫ": "은", "을": "를", "ᆯ": "를", "이나": "나"}.get(self._form(i), self._form(i))

    def _denied(self, at: int, chain: Sequence[tuple[str, str]]) -> bool:
        tail = f"{chain[0][0]} {chain[0][1]}" if chain else ""
        if re.search(r"지 (?:를 |는 |도 )?(?:않|못하) (?:시 |으시 )?(?:겠|[ᆯ을]래|으시겠)|안 되|안 될", tail):
            return False
        region = [t.form for t in self.tokens[self.mention.last + 1 : at]] + tail.split()
        if "안" in region and "되" in region:
            return False
        if chain and chain[0][0] == "없":
            region = [form for form in region if form != "없"]
        return any(form in DENYING or form in QUESTIONING for form in region)

    def _wishes_event(self, at: int, chain: Sequence[tuple[str, str]]) -> bool:
        tail = chain[0][1] if chain else ""
        root = chain[0][0] if chain else ""
        region = f"{root} {tail}".split()
        if any(form in DENYING or form in ("없", "었", "았") for form in region):
            return False
        if self._form(at) == "필요":
            return (root == "필요하" and bool(NEED_MOOD.match(tail))) or self._closes(at + 1)
        if not chain:
            return self._closes(at + 1)
        if root in ("부탁하", "드리", "부탁드리", "요청하", "신청하", "예약하", "주문하"):
            return bool(
                re.match(r"(?:시 )?(?:ᆸ니다|습니다|어요?|ᆯ게요?|겠|고 싶|어도|네|ᆫ다|으?ᆯ래|으?ᆸ시다|오|지|죠|으?려|ᆯ까|자|세)", tail)
            )
        return self._done_with(chain)

    def _closes(self, i: int) -> bool:
        """Whether nothing but particles and marks follows."""
        return all(self._tag(at)[:1] in "JS" or self._tag(at) in ("MAG", "XSN") for at in range(i, self.size))

    def _in_stock(self, at: int, tail: str) -> bool:
        if re.match(r"(?:었 )?으면 (?:좋|하|싶|되)|었 으면", tail):
            return True
        if self._form(at) in ("남", "들어오", "나오") and "었" not in tail and "어 있" not in tail and "아 있" not in tail:
            return bool(re.match(r"으?면|거든|으?ᆯ까|나요?", tail))
        if STOCK_IF.match(tail):
            return bool(re.match(r"는지|[ᆯ을]지", tail)) or self._request_follows(at + 1)
        if self._form(at) not in ("남", "들어오", "나오") and re.match(r"었", tail):
            return False
        if tail == "는" and self.question:  # Kiwi's reading of 는가
            return True
        mood = STOCK_MOOD.match(tail)
        if mood is None:
            return False
        clear = re.search(r"(?:습니까|ᆸ니까|나요|나|냐|느냐|는가|는가요|은가요?|까요?|는지요?|은지요?|[ᆯ을]지요?)(?: 요)?$", tail)
        return bool(clear) or self.question

    def _request_follows(self, i: int) -> bool:
        """Whether the rest of the sentence asks to be handed something and names nothing else."""
        while i < self.size and self._tag(i) not in ("EC", "EF"):
            i += 1
        at = self.predicate(i + 1)
        return at is not None and self._done_with(self._chain(at))

    def _is_the_wish(self, tail: str) -> bool:
        """Whether a copula names what is wanted this time ("이번엔 그거야")."""
        return bool(re.match(rf"(?:다|야|지|네요?|ᆸ니다|오|로다|구나|군|에요|요|라고){END}", tail)) and self._has(NOW, before=True)

    def _has(self, forms: frozenset[str], *, before: bool = False) -> bool:
        scope = self.tokens[: self.mention.first] if before else self.tokens
        return any(t.form in forms for t in scope)

    def _done_with(self, chain: Sequence[tuple[str, str]]) -> bool:
        """Whether the verbs hand the thing over, or take it."""
        for k, (root, tail) in enumerate(chain):
            later = chain[k + 1] if k + 1 < len(chain) else None
            if root in HANDING and self._hands(root, tail, later):
                return True
            if root in TAKING and self._takes(root, tail):
                return True
            if root not in TAKING | HANDING | {"오", "보", "두", "놓", "있", "싶"}:
                return False
        return False

    def _hands(self, root: str, tail: str, later: tuple[str, str] | None) -> bool:
        if root == "빌리" and re.match(r"어 주 (?:시 )?(?:나요?|ᆸ니까)$", tail):
            return True
        helped = re.match(
            r"(?:어|아|여)(?:다|다가)? (?:주|달|드리|오|놓|두|보|가지 고 오|다 주)(?: 어 (?:보|주|놓|두|달))* ", tail
        )
        if helped:
            return bool(HAND_MOOD.match(tail[helped.end() :]))
        plain = root in words(
            "주 달 내주 내놓 내오 내 꺼내 꺼내오 건네 넘기 던지 가져오 갖다주 빌려주 추천하 대령하 준비하 고르 데려오 보여주 내밀 골라주 찾아오"
        )
        if root == "고르" or root == "추천하":
            plain = bool(re.match(r"(?:시 )?(?:게|어라|어|ᆸ시오)", tail))
        return plain and bool(HAND_MOOD.match(tail)) and not (root == "던지" and "고 싶" in tail)

    def _takes(self, root: str, tail: str) -> bool:
        if root == "하" and self._particle() not in ("로", "으로", "", "나", "를"):
            return False
        if root in ("가", "두") and self._particle() not in ("로", "으로"):
            return False
        tail = re.sub(r"^(?:어|아|여) (?:보|가|두|놓|오|갖|가지 고 가|나가|들)(?: 아| 어)? ", "", tail)
        tail = re.sub(r"^(?:고 )?(?:보|가|나가) ", "", tail)
        if root in ("보", "구경하"):
            return self._looks(tail)
        if SELF_MOOD.match(tail):
            return True
        if root in BORROWING and (WISH_OF_ABILITY.match(tail) or re.match(r"어도|고 싶", tail)):
            return True
        if root in SEEKING and re.match(
            r"(?:고 (?:있|다니)|는데|는데요|습니다|ᆸ니다|어요|아요|는다|ᆫ다|네|소|오|는 중|지|으니|니)", tail
        ):
            return True
        taken = root in (
            "빌리",
            "빌려가",
            "가져가",
            "데려가",
            "하",
            "가",
            "고르",
            "대여하",
            "챙기",
            "모시",
            "택하",
            "청하",
            "요청하",
            "부탁하",
            "신청하",
            "주문하",
        )
        return taken and bool(re.match(rf"(?:ᆫ다|는다|지|지요|죠|ᆸ니다|네|도록 하|기로 하){END}", tail)) and "었" not in tail

    def _looks(self, tail: str) -> bool:
        """Looking is asked for as showing is ("좀 볼 수 있을까요?", "이번엔 그걸 볼게요")."""
        return bool(re.match(r"[ᆯ을] 수|[ᆯ을]게|[ᆯ을]래|[ᆯ을]까요?|고 싶|어도 되|으?ᆸ시다|자$|세$|으?려고", tail))

    def _postposed(self) -> bool:
        """Whether the item is added after the request and a comma ("내놔라, 더 큰 걸로!")."""
        comma = next((i for i in range(self.mention.first - 1, -1, -1) if self._tag(i) == "SP"), None)
        if comma is None or not self._tag(comma - 1).startswith("E"):
            return False
        if any(t.tag in ("EF", "EC") for t in self.tokens[comma : self.mention.first]) or not self._only_amounts(
            self.mention.last + 1
        ):
            return False
        start = next((i for i in range(comma - 1, -1, -1) if self._tag(i) == "SP"), -1) + 1
        at = next((i for i in range(start, comma) if self._tag(i)[:2] == "VV" or self._tag(i) == "XSV"), None)
        if at is None or any(m.last < comma for m in self.sentence.mentions):
            return False
        at -= self._tag(at) == "XSV"
        return self._done_with(self._chain(at)) and not self._denied(at, [])

    def _only_amounts(self, i: int) -> bool:
        for at in range(i, self.size):
            tag, form = self._tag(at), self._form(at)
            amount = tag in ("NR", "SN", "MM", "XSN") or (
                tag[0] == "N" and (form in AMOUNTS or self.sentence.mention_at(at) is not None)
            )
            if not (
                amount or tag[0] in "S" or tag in ("JX", "JC", "JKO", "VCP") or form in ("로", "으로") or form in PLAIN_ADVERBS
            ):
                return False
        return True

    def _fragment(self) -> bool:
        """Whether the sentence is a noun phrase that stands for a request ("이번엔 그거.", "그거 하나요.")."""
        if self.question or self._polar():
            return False
        head = self.tokens[: self.mention.first]
        if any(t.tag in ("EF", "EC") for t in head) or not self._only_amounts(self.mention.last + 1):
            return False
        if not all(self._plain_modifier(i) for i in range(self.mention.first)):
            return False
        return self._marked() or self.terse

    def _polar(self) -> bool:
        return any(t.form in DENYING or t.form in ("별로", "때문", "덕분", "그때", "저번", "지난번", "저") for t in self.tokens)

    def _plain_modifier(self, i: int) -> bool:
        tag, form = self._tag(i), self._form(i)
        if tag[0] in "SJI" or tag in ("MM", "XR", "XSA", "ETM", "NR", "SN", "XSN", "MAJ") or tag[:2] == "VA":
            return True
        if tag[0] == "N":
            return form in NOW or form in AMOUNTS or self.sentence.mention_at(i) is not None
        return tag == "MAG" and form in PLAIN_ADVERBS

    def _marked(self) -> bool:
        """Whether something tells that the noun is wanted: a time of this visit, an amount, "또", a closing 요."""
        rest = [t for t in self.tokens[self.mention.last + 1 :] if t.tag[0] != "S"]
        if self._has(NOW, before=True) or self._has(AGAIN) or any(t.form == "좀" for t in rest):
            return True
        if rest and rest[-1].form in ("요", "이요") and rest[-1].tag[0] in "JE":
            return True
        counted = any(t.tag in ("NR", "SN") or t.form in ("자루", "권", "대", "벌") for t in rest)
        return counted and not any(t.tag == "JKB" for t in rest)


def _joined(tokens: Sequence[Token]) -> str:
    return " ".join(t.form for t in tokens if t.tag not in ("SF", "SO", "SE", "SP", "MAG", "JX", "JKO") or t.form in ("안", "못"))
