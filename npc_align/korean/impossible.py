"""Strings of endings and syllables that no Korean word holds: 했습니다어, 주세요요, 이겼다다, 갔았다, 하습니다, 안녕합니다.

Cat and baby talk (세용, 감사합니당, 갔다옹), servants' talk (합니다요), dialect (갔다잉) and stretched vowels (이겼다아, 가세요오)
are how people play with endings, and none of them is broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from npc_align.korean.conjugation import BrokenForm, word_at
from npc_align.korean.speech_level import Token

_ENDING = "습니다|습니까|입니다|니다|니까|어요|아요|에요|예요|해요|세요|네요|군요|데요|거든요|구나|는다|더라|도다|다|까|어|아|네|죠|군|냐|요|용"
_PILED = re.compile(rf"(?:만[용어]|(?:{_ENDING})+)(?![가-힣])")
_ALLOWED = frozenset(("요", "용"))
# Connectives that may close a sentence; what isn't 요 or 용 after them is as odd as after a final ending.
_CLOSING = re.compile(r"(?:습니다|ᆸ니다|거든|[다라냐자]고|[는은ᆫ던]데|니까|지만|^군|더군)$")
_CLOSED_BY_YO = ("요", "죠")
# 하라네, 가자더라: these endings shorten a quotation, and others may follow them.
_QUOTING = re.compile(r"(?<!니)[다라자냐]$")
_REPORT = re.compile(r"(?:네요?|더라|데요|군요?|죠|까)$")
# Plain final endings to which 요 isn't added.
_WITHOUT_YO = frozenset(("다", "ᆫ다", "는다", "구나", "는구나", "더라", "냐", "느냐", "으냐"))
# The vowels that a syllable is stretched with, by its own vowel.
_STRETCH = (
    "아", "애에", "야아", "애에", "어", "에", "여어", "에", "오", "아", "애에", "에", "오", "우", "어", "에", "이", "우", "으", "이", "이",
)  # fmt: skip


def _syllables(fits: Callable[[int, int], bool]) -> str:
    """A character class of the syllables whose vowel and final consonant (as indices) fit."""
    return "[" + "".join(chr(c) for c in range(0xAC00, 0xD7A4) if fits(*divmod((c - 0xAC00) % 588, 28))) + "]"


_OPEN = _syllables(lambda vowel, final: final == 0)
_OPEN_OR_RIEUL = _syllables(lambda vowel, final: final in (0, 8))
_RIEUL = _syllables(lambda vowel, final: final == 8)
_CLOSED_NOT_BIEUP = _syllables(lambda vowel, final: final not in (0, 17))
_PAST = _syllables(lambda vowel, final: final == 20)
# Neither ㅏ ㅑ ㅗ nor ㅘ ㅚ (되았다 is dialect).
_DARK = _syllables(lambda vowel, final: vowel not in (0, 2, 8, 9, 11))
_BARE_STEM = ("VV", "VA", "VX", "EP")
_NOUN = ("NNG", "NNP", "NNB", "NR", "XR", "XSN")
# 위해입니다, 통해서예요: these forms are as good as nouns.
_LIKE_NOUNS = re.compile("[위통대향인의관비더]하$")
# What is worn, and what one suffers: 갑옷입었어요 is only short of a space.
_WORN = re.compile(
    "(?:[옷복포]|망토|로브|드레스|치마|바지|외투|장비|가죽|피해|상처|부상|손해|은혜|도움|화상|데미지|타격|내상|치명상|중상)$"
)
_NO_PREDICATE = ("MAG", "NP", *_NOUN)
_PREDICATE_ONLY = ("습니다", "습니까", "어요", "니다", "네요", "었", "겠", "세요", "더군요", "는다")
# What Kiwi makes of half an ending when it finds no ending that fits.
_ENDING_DEBRIS = ("습", "으", "읍", "니", "었", "겠", "시", "십", "세", "네", "죠", "합")
# What clings to a closed sentence: quotation (있어요라고), dialect (괜찮아유, 좋아예).
_MAY_FOLLOW = ("라", "하", "유", "예", "잉", "야")
_AUXILIARIES = ("주", "드리", "보", "버리", "놓", "싶")
_NOUNS_IN_NI = "(?<![언금곳앞덧틀랑젖은윗랫간])"
_BIEUP_ADJECTIVES = "무겁|더럽|어렵|가볍|고맙|반갑|무섭|어둡|아깝|귀엽|부럽|뜨겁|차갑|두껍|즐겁|가깝|아름답|시끄럽|괴롭|외롭|해롭|스럽|버겁|매섭|무덥|부드럽"

_IMPOSSIBLE = re.compile(
    "|".join(
        (
            rf"{_PAST}[았였]",  # 갔았다, 했였다
            rf"(?!있){_PAST}었었",
            rf"{_PAST}다(?:[었았]|다(?![가-힣]))",  # 이겼다다
            rf"{_DARK}았",  # 먹았다
            rf"{_OPEN_OR_RIEUL}습니[다까]",  # 하습니다
            rf"{_CLOSED_NOT_BIEUP}{_NOUNS_IN_NI}니[다까](?!지)",  # 했니다, 함니다
            r"[가-힣]읍(?:니[다까]|죠)",  # 있읍니다
            rf"(?<=[가-힣]){_OPEN}는다(?=[고면는니]?(?:[.!?~…]|$))",  # 이기는다
            rf"{_RIEUL}으는",  # 놀으는
            r"[가보하오주내기니리시치서사타우키]으(?:시|셨|세요|십)",  # 보으시면
            r"십시[어아여]",
            rf"{_PAST}(?:십시오|세요)",  # 갔십시오
            r"는냐(?![가-힣])",  # 하는냐
            rf"(?:{_BIEUP_ADJECTIVES}|눕|줍|춥|덥|쉽|밉|돕)[우운울워웠와왔]",  # 무겁워요, 눕우셨어요
            r"(?:먹|잡|받|찾|씻|벗|읽|믿|웃|앉|있|없|얻|싫|좋|같|높|깊|작|많)면(?![가-힣])",  # 먹면
            r"됬",
            r"돼(?:겠|고|면|네|는|니|려|던|거든|더|며|느)",
            r"안녕(?:합니[다까]|하겠습니|한다|습니|니다|세요|하요|하니다|하다요|하시습|하세습|하십세|하세니)",
            rf"(?!있){_PAST}으(?:네|소|군|지|다|더|고|죠|습|는|자|세)",  # 왔으네
            r"[가보하오내기리치서사타키]으(?:니까?|면|려고?|러|며)(?![가-힣])",  # 가으니
            r"으오소(?!서)|[가-힣]으(?:어요|어서|었)|[받먹잡찾믿읽씻웃앉벗입얻있없좋]으서(?![가-힣])",
            r"(?:[하가계보으드]십세요|십습니[다까])",
            r"주십세요",
            r"습다니(?!까)|니습다|[^연학복예실강인관답역 ]습세요",
            r"(?:습|합|입|립|십|갑|옵|됩|씁|봅)니(?=[가-힣])[^다까당닷댜더꺼껴깡깟데단답닼따디두도댱잉이]",  # 부탁합니드립니다
            r"(?:합|옵|됩|봅|칩|닙|욥|[빌드걸달버내]립)습니|(?<![가-힣])갑습니",
            r"[가-힣]합(?:드[리립릴려]|세요|요(?![가-힣])|시오)",
            r"욥니[다까]|[가-힣]오이오(?![가-힣])|시게다(?![가-힣])|시어(?:십시오|세요)|[쁩픕됩]입니|겠시",
            r"[세어네군데소까][요용]다(?![가-힣])",
            r"[하주보오가계리기드]시세요",
            r"(?<=[을를] )(?:짓|붓|잇|낫|긋|젓)은|(?:(?<=길을 )|(?<=숲을 )|(?<=종일 )|(?<=한참 )|(?<=밤새 ))걷[어었으]",  # 집을 짓은
            r"합합니|습습니|[습합]니니|겠겠|셨셨|빌려려|했했",
            r"(?:[줘춰꿔쳐]|빌려|드려|돌려|알려|살려|버려|다려)(?:세요|십시오|십니|시겠|시오|겠)",  # 빌려줘세요
            r"빌(?:리?주[려세시십]|주려|려니다)",
            r"(?:불|골|빨|흘|찔|눌|올|휘둘|서둘|머물|문질|저질)르[고면는지니며네다더기]",  # 불르면서
            r"(?:감사|죄송|미안|부탁|환영|축하)니[다까]",
            r"반갑[하합해했]",
            rf"(?:{_BIEUP_ADJECTIVES})니[다까]",
            r"(?:앉|읽|받|잡|먹|있|웃|믿|찾|참|넣|놓|씻|입|벗|닦|걷|듣|않)세요",  # 앉세요
            r"(?:있|없|먹|깊|믿|읽|죽|씻|웃)아[요서]",  # 없아요
            r"깨닫[아어았었으은을]",
            r"[가-힣]려겠",  # 가려겠습니다
            r"[세해네어아데죠까군게든]용요",
            r"(?:습니다|세요|네요|군요)습니[다까]",
        )
    )
)


def impossible_words(text: str, morphemes: Sequence[Token]) -> Iterator[BrokenForm]:
    """The words of `text` that pile ending on ending or hold syllables that don't meet; `morphemes` are its tokens."""
    for match in _IMPOSSIBLE.finditer(text):
        yield BrokenForm(*word_at(text, *match.span()), None)
    for i, token in enumerate(morphemes):
        adjoins = i + 1 < len(morphemes) and morphemes[i + 1].start == token.end < len(text) and token.tag[0] not in "SW"
        if adjoins and morphemes[i + 1].tag[0] in "ENV" and _misjoined(text, morphemes, i):
            yield BrokenForm(*word_at(text, token.start, morphemes[i + 1].end), None)
        if (token.tag == "EF" and token.form != "으") or (token.tag == "EC" and _CLOSING.search(token.form)):
            following = morphemes[i + 1] if i + 1 < len(morphemes) else None
            if following is not None and following.start == token.end and _piled(text, token):
                yield BrokenForm(*word_at(text, token.start, token.end), None)


def _misjoined(text: str, morphemes: Sequence[Token], at: int) -> bool:
    """Whether no Korean word goes on from one morpheme to the next one as here: 써봤어더니, 찾습이다, 빌려줄주세요, 검입었습니다."""
    token, following = morphemes[at], morphemes[at + 1]
    if token.form == "더" and token.tag == "EP":
        return following.form in ("었", "였", "겠")
    if token.tag.startswith(_BARE_STEM):
        return following.tag == "VCP" or (following.tag in _NOUN and following.form in _ENDING_DEBRIS)
    if token.tag == "EF":
        if token.form == "으" or text[token.end] in _STRETCH[_vowel(text[token.end - 1])] or text[token.end] in _MAY_FOLLOW:
            return False
        return following.tag == "VCP" or (following.tag[0] == "E" and not _QUOTING.search(token.form))
    if token.tag == "EC":
        if following.tag == "VCP":
            goes_on = text[token.end] in _MAY_FOLLOW or at == 0
            return not goes_on and token.form in ("어", "아") and not _LIKE_NOUNS.search(morphemes[at - 1].form)
        if token.form in ("어", "어서") and following.form in ("십시오", "습니다", "니다", "습니까"):
            return True
        return token.form in ("고", "고서") and following.form == "싶" and morphemes[at - 1].tag == "EP"
    if token.tag == "ETM":
        return following.form == "겠" or (following.tag in ("VV", "VX") and following.form in _AUXILIARIES)
    if token.tag in _NOUN and following.form == "입" and following.tag.startswith("VV"):
        after = morphemes[at + 2] if at + 2 < len(morphemes) else following
        return after.start == following.end and after.form in ("었", "습니다", "습니까", "어요") and not _WORN.search(token.form)
    if token.form == "그려" and token.tag == "JX":
        return following.tag == "VCP"
    return token.tag in _NO_PREDICATE and following.tag[0] == "E" and following.form in _PREDICATE_ONLY


def _vowel(syllable: str) -> int:
    """The vowel of a syllable, as its index; that of another character is of no use, but an index as well."""
    return (ord(syllable) - 0xAC00) % 588 // 28


def _piled(text: str, ending: Token) -> bool:
    """Whether what clings to a closing ending is another ending, and not one of those that may."""
    at = ending.end
    if text[at - 1] != ending.form[-1]:
        return False  # shortened: in 하라네 Kiwi sees 라고, 하, 네
    vowel = _vowel(text[at - 1])
    while "가" <= text[at - 1] <= "힣" and at < len(text) and text[at] in _STRETCH[vowel]:
        at += 1
    tail = _PILED.match(text, at)
    if tail is None:
        return False
    if tail.group() in _ALLOWED:
        return ending.form.endswith(_CLOSED_BY_YO) or (ending.form in _WITHOUT_YO and tail.group() == "요")
    return not (_QUOTING.search(ending.form) and _REPORT.fullmatch(tail.group()))
