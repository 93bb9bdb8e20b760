"""Strings of endings and syllables that no Korean word holds: 했습니다어, 주세요요, 이겼다다, 갔았다, 하습니다, 안녕합니다.

Cat and baby talk (세용, 감사합니당, 갔다옹), servants' talk (합니다요), dialect (갔다잉) and stretched vowels (이겼다아, 가세요오)
are how people play with endings, and none of them is broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from npc_align.korean.conjugation import BrokenForm, word_at
from npc_align.korean.morphemes import Token

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
    found = [c for c in range(588) if fits(*divmod(c, 28))]  # those that begin with ㄱ; the other initials repeat them
    starts, ends = (sorted({*found} - {c + step for c in found}) for step in (1, -1))
    runs = list(zip(starts, ends, strict=True))
    return "[" + "".join(f"{chr(at + a)}-{chr(at + b)}" for at in range(0xAC00, 0xD7A4, 588) for a, b in runs) + "]"


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
_NOUNS_IN_NI = "(?<![언금곳앞덧틀랑젖은윗랫간]니)"


def _after(words: str) -> str:
    """That one of the words stands before the syllable that has just been read."""
    sizes = sorted({len(word) for word in words.split("|")})
    by_size = (rf"(?<=(?:{'|'.join(word for word in words.split('|') if len(word) == size)}).)" for size in sizes)
    return f"(?:{'|'.join(by_size)})"


_AFTER_BIEUP = _after(
    "무겁|더럽|어렵|가볍|고맙|반갑|무섭|어둡|아깝|귀엽|부럽|뜨겁|차갑|두껍|즐겁|가깝|아름답|시끄럽|괴롭|외롭|해롭|스럽|버겁|매섭|무덥|부드럽"
)
_AFTER_BIEUP_STEM = f"(?:{_AFTER_BIEUP}|{_after('눕|줍|춥|덥|쉽|밉|돕')})"

# Each opens with a syllable, or a class of them, that is looked up; what stands before it is looked back for.
_IMPOSSIBLE = (
    rf"[았였](?<={_PAST}.)",  # 갔았다, 했였다
    rf"었(?<={_PAST}.)(?<!있.)었",
    rf"다(?<={_PAST}.)(?:[었았]|다(?![가-힣]))",  # 이겼다다
    rf"았(?<={_DARK}.)",  # 먹았다
    rf"습(?<={_OPEN_OR_RIEUL}.)니[다까]",  # 하습니다
    rf"니(?<={_CLOSED_NOT_BIEUP}.){_NOUNS_IN_NI}[다까](?!지)",  # 했니다, 함니다
    r"읍(?<=[가-힣].)(?:니[다까]|죠)",  # 있읍니다
    rf"는(?<=[가-힣]{_OPEN}.)다(?=[고면는니]?(?:[.!?~…]|$))",  # 이기는다
    rf"으(?<={_RIEUL}.)는",  # 놀으는
    r"으(?<=[가보하오주내기니리시치서사타우키].)(?:시|셨|세요|십)",  # 보으시면
    r"십시[어아여]",
    rf"십(?<={_PAST}.)시오",  # 갔십시오
    rf"세(?<={_PAST}.)요",
    r"냐(?<=는.)(?![가-힣])",  # 하는냐
    rf"[우운울워웠와왔]{_AFTER_BIEUP_STEM}",  # 무겁워요, 눕우셨어요
    r"면(?<=[먹잡받찾씻벗읽믿웃앉있없얻싫좋같높깊작많].)(?![가-힣])",  # 먹면
    r"됬",
    r"돼(?:겠|고|면|네|는|니|려|던|거든|더|며|느)",
    r"녕(?<=안.)(?:합니[다까]|하겠습니|한다|습니|니다|세요|하요|하니다|하다요|하시습|하세습|하십세|하세니)",
    rf"으(?<={_PAST}.)(?<!있.)(?:네|소|군|지|다|더|고|죠|습|는|자|세)",  # 왔으네
    r"으(?<=[가보하오내기리치서사타키].)(?:니까?|면|려고?|러|며)(?![가-힣])",  # 가으니
    r"으오소(?!서)",
    r"으(?<=[가-힣].)(?:어요|어서|었)",
    r"으(?<=[받먹잡찾믿읽씻웃앉벗입얻있없좋].)서(?![가-힣])",
    r"십(?<=[하가계보으드주].)세요",
    r"십습니[다까]",
    r"습다니(?!까)",
    r"습(?<=니.)다",
    r"습(?<=[^연학복예실강인관답역 ].)세요",
    r"니(?<=[습합입립십갑옵됩씁봅].)(?=[가-힣])[^다까당닷댜더꺼껴깡깟데단답닼따디두도댱잉이]",  # 부탁합니드립니다
    r"습(?:(?<=[합옵됩봅칩닙욥].)|(?<=[빌드걸달버내]립.))니",
    r"습(?<=갑.)(?<![가-힣]갑.)니",
    r"합(?<=[가-힣].)(?:드[리립릴려]|세요|요(?![가-힣])|시오)",
    r"욥니[다까]",
    r"오(?<=[가-힣].)이오(?![가-힣])",
    r"게(?<=시.)다(?![가-힣])",
    r"시어(?:십시오|세요)",
    r"입(?<=[쁩픕됩].)니",
    r"시(?<=겠.)",
    r"다(?<=[세어네군데소까][요용].)(?![가-힣])",
    r"시(?<=[하주보오가계리기드].)세요",
    r"[짓붓잇낫긋젓](?<=[을를] .)은",  # 집을 짓은
    rf"걷{_after('길을 |숲을 |종일 |한참 |밤새 ')}[어었으]",
    r"합합니",
    r"습습니",
    r"니(?<=[습합].)니",
    r"겠겠",
    r"셨셨",
    r"빌려려",
    r"했했",
    r"[줘춰꿔쳐](?:세요|십시오|십니|시겠|시오|겠)",  # 빌려줘세요
    r"려(?<=[빌드돌알살버다].)(?:세요|십시오|십니|시겠|시오|겠)",
    r"빌(?:리?주[려세시십]|주려|려니다)",
    rf"르{_after('불|골|빨|흘|찔|눌|올|휘둘|서둘|머물|문질|저질')}[고면는지니며네다더기]",  # 불르면서
    rf"니{_after('감사|죄송|미안|부탁|환영|축하')}[다까]",
    r"갑(?<=반.)[하합해했]",
    rf"니{_AFTER_BIEUP}[다까]",
    r"세(?<=[앉읽받잡먹있웃믿찾참넣놓씻입벗닦걷듣않].)요",  # 앉세요
    r"아(?<=[있없먹깊믿읽죽씻웃].)[요서]",  # 없아요
    r"닫(?<=깨.)[아어았었으은을]",
    r"겠(?<=[가-힣]려.)",  # 가려겠습니다
    r"용(?<=[세해네어아데죠까군게든].)요",
    rf"습{_after('습니다|세요|네요|군요')}니[다까]",
)


def _by_syllable() -> dict[str, str]:
    """What is impossible from each syllable on that opens anything impossible."""
    found: dict[str, list[str]] = {}
    for pattern in _IMPOSSIBLE:
        for syllable in pattern[1 : pattern.index("]")] if pattern[0] == "[" else pattern[0]:
            found.setdefault(syllable, []).append(pattern)
    return {syllable: "|".join(patterns) for syllable, patterns in found.items()}


_FROM = _by_syllable()
_OPENING = re.compile(f"[{''.join(_FROM)}]")


@cache
def _from(syllable: str) -> re.Pattern[str]:
    """Compiled when the syllable is met: classes of hundreds of ranges take milliseconds each."""
    return re.compile(_FROM[syllable])


def impossible_words(text: str, morphemes: Sequence[Token]) -> Iterator[BrokenForm]:
    """The words of `text` that pile ending on ending or hold syllables that don't meet; `morphemes` are its tokens."""
    for opening in _OPENING.finditer(text):
        match = _from(opening.group()).match(text, opening.start())
        if match:
            yield BrokenForm(*word_at(text, *match.span()), None)
    for i, (token, following) in enumerate(pairwise(morphemes)):
        if following.start != token.end:
            continue
        joined = token.end < len(text) and token.tag[0] not in "SW" and following.tag[0] in "ENV"
        if joined and _misjoined(text, morphemes, i):
            yield BrokenForm(*word_at(text, token.start, following.end), None)
        closing = (token.tag == "EF" and token.form != "으") or (token.tag == "EC" and _CLOSING.search(token.form))
        if closing and _piled(text, token):
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
