"""The text itself, whatever it says: foreign letters, repetition, length, leaked prompt, cut-off endings, banned words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from npc_align.domain import Domain
from npc_align.korean.speech_level import Token, quotations, tokens
from npc_align.violation import Violation

KINDS = ("foreign_text", "repetition", "length", "prompt_leak", "truncated", "banned_word")

_UNUSUAL = re.compile(r"[^가-힣\s0-9!-@\[-`{-~…·“”‘’]")
_LAUGHING = re.compile(r"[ㅋㅎ]+|[ㅠㅜ]+")
_JAMO = re.compile(r"[ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+")
# Headers, roles, braces and tags of prompts, words joined by "_" and Markdown; line breaks too, as a line is one.
_LEAK = re.compile(
    r"#{2,}|\b(?:User|Assistant|System|Human|AI|NPC|Bot|Prompt|Response|Instruction|Input|Output)\s*[:：]"
    r"|(?<![가-힣])(?:사용자|유저|어시스턴트|조수|시스템|모델|인공지능|도우미|챗봇|화자|프롬프트|지시문?|명령문?|입력|출력|응답|답변|대답|질문|예시|대사|번역|설명)\s*[:：]"
    r"|[{}\[\]|`\\]|\*{2,}|<[^<>\s]{0,40}>|(?<![^\W_])[^\W_]{1,40}_[^\W_]+|[\n\r\v\f\x85\u2028\u2029]+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_PAUSE = re.compile(r"[,.!?…~]+\s*")
# A unit of one to six characters, three times or more.
_DOUBLED = re.compile(r"(?<![^\W_])([가-힣]{1,12}(?:을|를|의|에서|에게|한테|께서|린|던|[가-힣](?:이|가|은|는))) +\1(?![^\W_])")
_RUN = re.compile(r"([^\W\d_]{1,6}?)\1{2,}")
# Vowel-like and breath syllables that people stretch and laugh with.
_VOCAL = frozenset("하호히허흐헤후크캬키카캭킁컹으아어오우이에야엉흑흥헉ㅋㅎㅠㅜ")
_COUNTING = re.compile(r"^(?:한|두|세|네|하나|매|몇|조금|차츰|점점)")
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
_OPEN_NOUNS = ("수", "줄", "척", "리", "바", "채", "뻔", "듯", "만")


_INNOCENT = re.compile("시발(?:점|역|지|택시|자동차)")  # a starting point, and what else begins like a curse


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) as a piece of text."""
    length = list(_length(line, attributes, domain))
    if not line.strip():
        return length
    checks = (_foreign(line, domain), _repetition(line), _leak(line, domain), _truncated(line), _banned(line, domain))
    return length + [violation for found in checks for violation in found]


def cut_off(line: str) -> list[Violation]:
    """The verdict on a line whose generation was stopped by its length limit: its last word is marked."""
    words = list(re.finditer(r"\S+", line))
    start, end = words[-1].span() if words else (0, len(line))
    return [Violation("truncated", start, end, "생성이 길이 제한에 걸려 도중에 끊겼습니다.")]


def _length(line: str, attributes: Mapping[str, Any], domain: Domain) -> Iterator[Violation]:
    limits = domain.length_of(attributes)
    syllables = sum("가" <= char <= "힣" for char in line)
    if not line.strip():
        yield Violation("length", 0, len(line), "빈 대사입니다.")
    elif syllables < limits.min_syllables:
        yield Violation("length", 0, len(line), f"너무 짧습니다: {syllables}음절(최소 {limits.min_syllables}음절).")
    if limits.max_syllables is not None and syllables > limits.max_syllables:
        yield Violation("length", 0, len(line), f"너무 깁니다: {syllables}음절(최대 {limits.max_syllables}음절).")
    elif len(line) > limits.max_chars:
        yield Violation("length", limits.max_chars, len(line), f"너무 깁니다: {len(line)}자(최대 {limits.max_chars}자).")


def _foreign(line: str, domain: Domain) -> Iterator[Violation]:
    if not _UNUSUAL.search(line):
        return
    allowed = _positions(line, domain.allowed_foreign)
    start = None
    for i, char in enumerate([*line, " "]):
        odd = i < len(line) and i not in allowed and _is_foreign(char)
        if odd and start is None:
            start = i
        elif not odd and start is not None:
            yield Violation("foreign_text", start, i, f"한글이 아닌 글자: {_shown(line[start:i])}")
            start = None
    for jamo in _JAMO.finditer(line):
        if not _LAUGHING.fullmatch(jamo.group()):
            yield Violation("foreign_text", *jamo.span(), f"홀로 떨어진 자모: {_shown(jamo.group())}")


def _positions(line: str, words: tuple[str, ...]) -> set[int]:
    """Offsets covered by any of the words, where no further Latin letter clings to them."""
    found: set[int] = set()
    for word in words:
        for match in re.finditer(rf"(?<![A-Za-z]){re.escape(word)}", line):
            found.update(range(*match.span()))
    return found


def _is_foreign(char: str) -> bool:
    if "가" <= char <= "힣" or _JAMO.match(char):
        return False
    # Cs, Co and U+FFFD are what byte-level tokenizers leave of a character cut in half.
    return unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Mc", "Cs", "Co") or char == "\ufffd"


def _shown(text: str) -> str:
    """A short excerpt that any terminal can print."""
    return text[:20].encode("utf-8", "replace").decode("utf-8")


def _repetition(line: str) -> Iterator[Violation]:
    found = [*_repeated_clauses(line), *_repeated_phrases(line), *_doubled_words(line), *_runs(line)]
    covered = quotations(line)  # what somebody is quoted with may well be said twice
    for violation in found:
        # One verdict per place: a repeated clause is a repeated phrase as well.
        if all(violation.end <= start or end <= violation.start for start, end in covered):
            covered.append((violation.start, violation.end))
            yield violation


def _repeated_clauses(line: str) -> Iterator[Violation]:
    seen: Counter[str] = Counter()
    for match in re.finditer(r"[^.!?…~,\n]+", line):
        said = _WORD.findall(match.group())
        bare = "".join(said)
        if len(bare) < 5:
            continue
        seen[bare] += 1
        # One word said twice is emphasis ("고맙습니다, 고맙습니다!").
        if seen[bare] > (2 if len(said) == 1 else 1):
            yield Violation("repetition", *_stripped(match), f"같은 말이 되풀이됩니다: {_shown(match.group().strip())}")


def _stripped(match: re.Match[str]) -> tuple[int, int]:
    text = match.group()
    return match.start() + len(text) - len(text.lstrip()), match.end() - len(text) + len(text.rstrip())


def _repeated_phrases(line: str) -> Iterator[Violation]:
    words = list(_WORD.finditer(line))
    forms = [match.group() for match in words]
    if len(set(forms)) == len(forms):
        return
    i = 0
    while i < len(words):
        size, times = _phrase_at(forms, i)
        start, end = words[i].start(), words[i + size * times - 1].end() if size else 0
        shouted = size == 1 and times == 3 and len(_PAUSE.findall(line[start:end])) == 2
        if not size or shouted:
            i += 1 + 2 * shouted
            continue
        yield Violation("repetition", start, end, f"같은 말이 되풀이됩니다: {_shown(line[start : words[i + size - 1].end()])}")
        i += size * times


def _phrase_at(forms: list[str], i: int) -> tuple[int, int]:
    """Words in the phrase that starts at i and is repeated back to back, and how many times it stands; (0, 0) for none."""
    for size in range(1, 7):
        phrase, times = forms[i : i + size], 1
        while forms[i + times * size : i + (times + 1) * size] == phrase:
            times += 1
        if times >= _enough(phrase):
            return size, times
    return 0, 0


def _enough(phrase: list[str]) -> int:
    """From how many times on a repeated phrase is a fault and no emphasis, sound or counting ("한 닢 한 닢")."""
    if len(phrase) > 1:
        rhymes = len({word[-1] for word in phrase}) == 1
        return 2 if len("".join(phrase)) > 3 and not rhymes and not _COUNTING.match(phrase[0]) else 3
    word = phrase[0]
    sound = len(word) == 1 or set(word) <= _VOCAL or word[: len(word) // 2] * 2 == word
    return 5 if sound else 3


def _doubled_words(line: str) -> Iterator[Violation]:
    """A word with its particle, or a verb before its noun, said twice over ("마법을 마법을 걸어"); bare nouns may be a call."""
    doubled = list(_DOUBLED.finditer(line))
    by_end = {t.end: t for t in tokens(line)} if doubled else {}
    for match in doubled:
        last = by_end.get(match.end(1))
        if last is not None and last.tag in ("JKO", "JKG", "JKS", "JX", "JKB", "ETM") and not _COUNTING.match(match.group(1)):
            yield Violation("repetition", *match.span(), f"같은 말이 되풀이됩니다: {_shown(match.group(1))}")


def _runs(line: str) -> Iterator[Violation]:
    for match in _RUN.finditer(line):
        if _is_stammer(line, match):
            yield Violation("repetition", *match.span(), f"같은 글자가 되풀이됩니다: {_shown(match.group())}")


def _is_stammer(line: str, match: re.Match[str]) -> bool:
    """Whether a run of syllables is a broken record rather than laughter, a shout or a sound ("하하하", "쾅쾅쾅", "덜컹덜컹")."""
    unit, times = match.group(1), len(match.group()) // len(match.group(1))
    if len(match.group()) > 24:
        return True
    if set(unit) <= _VOCAL:
        return False
    clings = match.start() > 0 and line[match.start() - 1].isalpha()
    if len(unit) > 1:
        return times >= (3 if clings or len(unit) > 2 else 4)
    closed = "가" <= unit <= "힣" and (ord(unit) - ord("가")) % 28 > 0
    return clings or (times > 3 and not (closed and times < 7))


def _leak(line: str, domain: Domain) -> Iterator[Violation]:
    for pattern in (_LEAK, _fields(domain.prompt_names, domain.prompt_values)):
        for match in pattern.finditer(line):
            shown = "줄 바꿈" if not match.group().strip() else _shown(match.group())
            yield Violation("prompt_leak", *match.span(), f"대사가 아니라 프롬프트의 흔적입니다: {shown}")


@lru_cache(maxsize=16)
def _fields(names: tuple[str, ...], values: tuple[str, ...]) -> re.Pattern[str]:
    """Names of fields set off by a colon, or standing right before one of their values, as prompts write them."""
    any_name, any_value = ("|".join(map(re.escape, words)) for words in (names, values))
    return re.compile(rf"(?:{any_name})[\"'”’]?\s*[:=：＝]|(?<![가-힣])(?:{any_name}) (?:{any_value})(?![가-힣])")


def _truncated(line: str) -> Iterator[Violation]:
    text = line.rstrip()
    if text.endswith((",", "，", "、", ":", ";")):
        yield Violation("truncated", len(text) - 1, len(text), "문장이 쉼표 따위로 끝났습니다.")
    elif not _CLOSED.search(text) and (_cut_in_a_word(text) or _needs_more(tokens(line))):
        start = max(text.rfind(" "), text.rfind("\n")) + 1
        yield Violation("truncated", start, len(text), f"말이 도중에 끊겼습니다: {_shown(text[start:])}")


def _cut_in_a_word(text: str) -> bool:
    """Whether the last syllables can only be the front part of a word."""
    if "가" <= text[-1] <= "힣" and _coda(text[-1]) in _STEM_CODAS:
        return True
    half = _HALF_ENDING.search(text)
    if half is None or (half.group("coda") and (_coda(half.group("coda")) != "ㅂ" or half.group() == "톱니")):
        return False
    return half.group() not in ("주세", "으세", "하세")  # 하게체's "하세" is whole


def _coda(syllable: str) -> str:
    return _CODAS[(ord(syllable) - ord("가")) % 28]


def _needs_more(morphemes: Sequence[Token]) -> bool:
    """Whether the last morpheme can't end a sentence; what stands after a whole predicate may be postposed ("좋더군, 너무")."""
    if not morphemes:
        return False
    last = morphemes[-1]
    if last.tag in _OPEN_TAGS or (last.tag == "EC" and _OPEN_CONNECTIVES.match(last.form)):
        return True
    if last.tag == "NNB" and last.form in _OPEN_NOUNS:
        return len(morphemes) > 1 and morphemes[-2].tag == "ETM"
    begin = next((i + 1 for i in range(len(morphemes) - 1, -1, -1) if morphemes[i].tag in ("SF", "SO", "SE")), 0)
    if any(
        t.tag == "EF" or (t.tag == "EC" and morphemes[i].tag == "SP" and _WHOLE.search(t.form))
        for i, t in enumerate(morphemes[begin:-1], begin + 1)
    ):
        return False
    return last.tag == "JKS" or (last.tag == "MAG" and bool(_OPEN_ADVERBS.fullmatch(last.form)))


def _banned(line: str, domain: Domain) -> Iterator[Violation]:
    for match in _any_of(domain.banned_words).finditer(line):
        if not _across_words(line, *match.span()) and not _INNOCENT.match(line, match.start()):
            yield Violation("banned_word", *match.span(), f"쓰지 않기로 한 말: {_shown(match.group())}")


@lru_cache(maxsize=16)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)) or r"(?!)")


def _across_words(line: str, start: int, end: int) -> bool:
    """Whether the letters only meet by chance, the end of one word and the start of the next."""
    return any(t.start < start < t.end < end for t in tokens(line))
