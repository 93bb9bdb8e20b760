"""Lines that stop before they are done: cut by the length limit, or ending in what can't close a Korean sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.morphemes import Token, tokens
from npc_align.violation import Violation, shown

KINDS = ("truncated",)

_CLOSED = re.compile(r"[.!?…~。！？\"'”’」』)]\s*[ㅋㅎㅠㅜ]*\s*$")
# Particles, determiners, bare stems and connectives after which a Korean sentence has to go on.
_OPEN_TAGS = ("JKO", "JKG", "JKC", "JC", "MM", "ETM", "XPN", "MAJ", "EP", "VV", "VA", "VX", "XSV", "XSA", "VCP", "VCN")
_OPEN_CONNECTIVES = re.compile(
    r"^(?:[으]?면서|[으]?며|[으]?므로|자마자|거나|[으]?려면|도록|느라|느라고|[으]?려다가?|[으]?ᆯ수록|ᆯ수록|을수록|자면|고자|고서|다시피|든지|ᆯ뿐더러)$"
)
# No word of Korean ends in these codas but a verb's stem or tense: ㅆ ㄶ ㄵ ㅀ ㄾ ㄿ.
_STEM_CODAS = frozenset("ㅆㄶㄵㅀㄾㄿ")
_CODAS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
# Polite endings cut in their middle: "부탁드립", "있었습니", "계십시".
_HALF_ENDING = re.compile(
    r"(?:[가-힣]드립|[가-힣]십시|(?:부탁|감사|죄송|필요|말씀)합|[았었였겠있없했갔왔됐졌렸]습|(?P<coda>[가-힣])니|주세|으세|하세)$"
)
# Adverbs of degree and focus that can't close a sentence which has said nothing yet, and bound nouns.
_OPEN_ADVERBS = re.compile(
    r"너무|매우|아주|가장|제일|더욱|훨씬|바로|워낙|하도|몹시|무척|굉장히|꽤|제법|겨우|거의|약|특히|단지|다만|오직|벌써|막|갑자기|드디어|마침내|아직|및|혹은|또는"
)
# Endings that close a sentence although Kiwi takes them, before a comma, for connectives.
_WHOLE = re.compile(r"(?:다|야|어|아|지|군|네|라|게|죠|요)$")
_OPEN_NOUNS = ("수", "줄", "척", "리", "바", "채", "뻔", "듯", "만", "만큼")
# What only a line of fragments ("비 때문", "다시") may close with: these wait for the predicate of a sentence.
_WAITING_ADVERBS = re.compile(
    r"반드시|절대로?|꼭|좀|조금|더|덜|아무래도|도저히|도무지|모조리|정말로?|결국|하마터면|오히려|차라리|설마|아마도?|혹시|만약|비록|마치|이미|이제|자꾸|계속|열심히|제대로|미처|차마"
    r"|결코|전혀|안|못|다|다시|직접|무사히|간신히|여전히|분명히?|확실히|실컷|잔뜩|싹|영|통|늘|항상|언제나|먼저|함께|같이|서로|곧|곧장|금방|이렇게|그렇게|어떻게|도대체|대체|온통|어찌나|얼마나"
)
_WAITING_NOUNS = ("때문", "데", "대로", "김", "가운데")
# Adverbs that urge somebody on without a verb ("검을 어서").
_URGING = ("어서", "빨리", "얼른", "당장", "냉큼", "속히", "그만", "천천히", "다시", "더")
# The first syllable of a verb, and words of one syllable that Kiwi takes for odd nouns or interjections and that stand well.
_HALF_SYLLABLES = frozenset("빌부드죄고찾맡베싸쓰갚뵙섬무")
_WHOLE_SYLLABLES = frozenset(
    "응네예자어음흠흥허와오뭐왜쳇쯧힝윽앗악휴후참아야얘에엥옳쉿쯤뿐님꾼껏씩급킁캬크하호히헤햐휙쾅퍽칫헛핫핑탁뭘걸데"
)
_TITLE_CUT = re.compile(r"(?:사장|선생|스승|어르신|손|형|누|영주|도련|대장|단장|촌장|주인|기사|손자|신관)니$|주인자$|어르시$")


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Whether `line` (in NFC) breaks off."""
    return list(_truncated(line, attributes, domain)) if line.strip() else []


def cut_off(line: str) -> list[Violation]:
    """The verdict on a line whose generation was stopped by its length limit: its last word is marked."""
    words = list(re.finditer(r"\S+", line))
    start, end = words[-1].span() if words else (0, len(line))
    return [Violation("truncated", start, end, "생성이 길이 제한에 걸려 도중에 끊겼습니다.")]


def _truncated(line: str, attributes: Mapping[str, Any], domain: Domain) -> Iterator[Violation]:
    text = line.rstrip()
    if text.endswith((",", "，", "、", ":", ";")):
        yield Violation("truncated", len(text) - 1, len(text), "문장이 쉼표 따위로 끝났습니다.")
    elif not _CLOSED.search(text):
        tone = domain.tone_of(attributes)
        fragments = tone is not None and tone.fragments
        if _cut_in_a_word(text) or _open_quotation(text) or _needs_more(tokens(line), fragments):
            start = max(text.rfind(" "), text.rfind("\n")) + 1
            yield Violation("truncated", start, len(text), f"말이 도중에 끊겼습니다: {shown(text[start:])}")


def _open_quotation(text: str) -> bool:
    return text.count('"') % 2 == 1 or text.rfind("“") > text.rfind("”") or text.rfind("‘") > text.rfind("’")


def _cut_in_a_word(text: str) -> bool:
    """Whether the last syllables can only be the front part of a word."""
    if "가" <= text[-1] <= "힣" and _coda(text[-1]) in _STEM_CODAS:
        return True
    if _TITLE_CUT.search(text):
        return True
    half = _HALF_ENDING.search(text)
    if half is None or (half.group("coda") and (_coda(half.group("coda")) != "ㅂ" or half.group() == "톱니")):
        return False
    return half.group() not in ("주세", "으세", "하세")  # 하게체's "하세" is whole


def _coda(syllable: str) -> str:
    return _CODAS[(ord(syllable) - ord("가")) % 28]


def _needs_more(morphemes: Sequence[Token], fragments: bool) -> bool:
    """Whether the last morpheme can't end a sentence; what stands after a whole predicate may be postposed ("좋더군, 너무")."""
    begin = next((i + 1 for i in range(len(morphemes) - 1, -1, -1) if morphemes[i].tag in ("SF", "SO", "SE")), 0)
    sentence = morphemes[begin:]
    if not sentence or _hesitates(sentence):
        return False
    last = sentence[-1]
    before = sentence[-2] if len(sentence) > 1 else last
    if _is_open(last, before) or _half_word(last, before):
        return True
    if any(
        t.tag == "EF" or (t.tag == "EC" and sentence[i].tag == "SP" and _WHOLE.search(t.form))
        for i, t in enumerate(sentence[:-1], 1)
    ):
        return False
    if last.tag == "JKS":
        return last.start != before.start  # "빌릴게" is no "빌릴 것이"
    if last.tag == "MAG" and _OPEN_ADVERBS.fullmatch(last.form):
        return True
    return len(sentence) > 1 and not fragments and _waits(sentence)


def _is_open(last: Token, before: Token) -> bool:
    if last.tag == "EC":
        return _OPEN_CONNECTIVES.match(last.form) is not None
    if last.tag == "NNB" and last.form in _OPEN_NOUNS:
        return before.tag == "ETM"
    return last.tag in _OPEN_TAGS and last.form not in ("나", "이나", "요")  # "아무 활이나", "오늘만요"


def _half_word(last: Token, before: Token) -> bool:
    """Whether the last word is a stem with half an ending ("고맙습"), or one syllable that is no word of its own ("힘으로 이")."""
    if last.start <= before.end:
        stem = before.tag[:2] in ("VV", "VA", "VX", "EP") or before.tag in ("XSV", "XSA")
        return stem and before.end == last.start and last.tag in ("NNG", "NNP", "XR", "UN", "NA")
    if last.end - last.start > 1 or before.tag not in ("JKO", "JKB", "JX", "MAG", "EC"):
        return False
    odd = last.tag in ("NNP", "XSN", "XPN", "IC", "XR", "UN", "NA")
    if before.tag == "JKO" and last.tag == "NNG":  # "책을 반"
        return last.form not in ("끝", "꽝")
    return last.form in _HALF_SYLLABLES or (odd and last.form not in _WHOLE_SYLLABLES)


def _hesitates(sentence: Sequence[Token]) -> bool:
    """Whether all that is said is "글쎄 그게" or "아니, 그러니까"."""
    said = [t for t in sentence if t.tag not in ("SP", "JKS", "JX", "MAJ")]
    return any(t.tag == "IC" for t in said) and all(t.tag == "IC" or t.form in ("그것", "그거") for t in said)


def _waits(sentence: Sequence[Token]) -> bool:
    """Whether a sentence without a final ending breaks off before its predicate: after its topic, an adverb, its object."""
    last, before = sentence[-1], sentence[-2]
    if _is_topic(last):
        return before.form != "하고"  # "눈하고는" sighs
    governed = before.tag[0] in "JM" or before.tag == "EC"
    if last.tag == "MAG" and last.start > before.end and governed and _WAITING_ADVERBS.fullmatch(last.form):
        return True
    if last.tag in ("NNB", "NNG") and last.form in _WAITING_NOUNS:
        return before.tag == "ETM" or last.form in ("때문", "가운데")
    return (last.tag == "JX" and last.form != "요" and before.form == "데" and before.tag == "NNB") or _hangs(sentence)


def _hangs(sentence: Sequence[Token]) -> bool:
    """Whether a subject or an object has no verb behind it, and what follows is no noun that might be the predicate."""
    last, before = sentence[-1], sentence[-2]
    tags = {t.tag for t in sentence}
    about = "JKS" in tags or any(_is_topic(t) for t in sentence)
    adverbial = (
        last.tag in ("JKB", "XSN") or (last.tag == "JX" and last.form != "요") or (last.tag == "MAG" and last.form not in _URGING)
    )
    if "JKO" in tags and not _predicate_after(sentence, "JKO"):
        counted = last.tag in ("NNB", "NR") or (last.tag == "NNG" and before.tag in ("NR", "MM"))
        return adverbial or (counted and about)
    if "JKS" in tags and not _predicate_after(sentence, "JKS"):
        mine = any(t.tag == "JKS" and sentence[i].tag == "NP" for i, t in enumerate(sentence[1:]))
        return (adverbial and mine) or (last.tag == "JKB" and last.form in ("에서", "에게", "한테", "께"))
    return about and ((last.tag == "XSN" and last.form == "쯤") or (last.form in ("도", "조차", "마저") and before.tag != "NP"))


def _is_topic(token: Token) -> bool:
    return token.tag == "JX" and token.form in ("은", "는", "ᆫ")


def _predicate_after(sentence: Sequence[Token], tag: str) -> bool:
    at = max(i for i, t in enumerate(sentence) if t.tag == tag)
    return any(t.tag[0] == "V" or t.tag in ("XSV", "XSA") for t in sentence[at:])
