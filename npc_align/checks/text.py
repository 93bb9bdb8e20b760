"""The text itself, whatever it says: foreign letters, repetition, length, leaked prompt, banned words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from npc_align.domain import Domain
from npc_align.korean.morphemes import quotations, tokens
from npc_align.violation import Violation, shown

KINDS = ("foreign_text", "repetition", "length", "prompt_leak", "banned_word")

_NO_SYLLABLE = re.compile(r"[^가-힣]+")
_UNUSUAL = re.compile(r"[^가-힣\s0-9!-@\[-`{-~…·“”‘’]")
_LAUGHING = re.compile(r"[ㅋㅎ]+|[ㅠㅜ]+")
_JAMO = re.compile(r"[ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+")
# Headers, roles, braces and tags of prompts, words joined by "_" and Markdown; line breaks too, as a line is one.
_LABELS = (
    "사용자|유저|고객|어시스턴트|조수|시스템|모델|도우미|챗봇|화자|캐릭터|프롬프트|지시문?|지시 ?사항|명령문?|입력|출력|응답|답변?|대답|정답|결과|질문"
    "|예시|대사|번역|설명|해설|참고|말투|상황|역할"
)
_LEAK = re.compile(
    r"#{2,}|={2,}|_{2,}|(?<![A-Za-z])[A-Za-z]{1,20}\s?[:：]"
    rf"|(?<![가-힣])(?:{_LABELS})(?: ?\d{{1,2}})?\s?[:：]|^\s*(?:{_LABELS}) ?(?:[-–—=>→]|\)) ?"
    r"|^\s*(?:[-*•+>#]\s+|\d{1,2}[.)]\s+(?!\d))"
    r"|[{}\[\]|`\\]|\*{2,}|<[^<>\s]{0,40}>|(?<![^\W_])[^\W_]{1,40}_[^\W_]+|[\n\r\v\f\x85\u2028\u2029]+",
    re.IGNORECASE,
)
# Nothing of _LEAK is in a line of these alone.
_PLAIN = re.compile(r"[가-힣 .,!?~…]*")
# Talk about the task instead of the talk that was asked for.
_META = re.compile(
    r"(?<![A-Za-z])(?:AI|NPC|GPT|LLM)(?![A-Za-z])|인공 ?지능|언어 ?모델|프롬프트|챗봇|어시스턴트|페르소나|롤플레이|엔피시|캐릭터"
    r"|(?:주어진|제시된|입력된|요청하신|위의?|아래의?) (?:속성|정보|설정|조건|역할|입력|지시 ?사항|프로필|내용)"
    r"(?:에|을|를|으로|로|대로) ?(?:따라|맞|바탕|기반|반영|작성|기초)"
    r"|(?:인사말?|대사|답변|응답|문장|멘트)(?:을|를)? (?:작성|생성|출력)|(?:말투|어조|어투|톤)(?:로|으로) (?:쓴|작성|생성|답변|말하면|표현하)"
    r"|(?:다음|아래|이상|여기)[은는이가]? [^.!?,]{0,20}(?:대사|답변|응답|예시)(?:입니다|이다|예요|이에요)",
)
# ... of which a line without these has nothing.
_META_WORDS = re.compile(
    "AI|NPC|GPT|LLM|인공|언어|프롬|챗봇|어시|페르|롤플|엔피|캐릭|속성|정보|설정|조건|역할|입력|지시|프로필|내용|작성|생성|출력|말투|어조|어투|톤|대사|답변|응답|예시"
)
_WORD = re.compile(r"[^\W_]+")
# Clauses, and what parts the words in them.
_CLAUSE_END = re.compile(r"[.!?…~,\n]+")
_GAP = re.compile(r"(?:[^\w.!?…~,\n]|_)+")
_PAUSE = re.compile(r"[,.!?…~]+\s*")
# A unit of one to six characters, three times or more.
_DOUBLED = re.compile(r"(?<![^\W_])([가-힣]{1,12}(?:을|를|의|에서|에게|한테|께서|린|던|[가-힣](?:이|가|은|는))) +\1(?![^\W_])")
_RUN = re.compile(r"([^\W\d_]{1,6}?)\1{2,}")
# Vowel-like and breath syllables that people stretch and laugh with.
_VOCAL = frozenset("하호히허흐헤후크캬키카캭킁컹으아어오우이에야엉흑흥헉ㅋㅎㅠㅜ")
_COUNTING = re.compile(r"^(?:한|두|세|네|하나|매|몇|조금|차츰|점점)")

_INNOCENT = re.compile("시발(?:점|역|지|택시|자동차)")  # a starting point, and what else begins like a curse


def check(line: str, attributes: Mapping[str, Any], domain: Domain) -> list[Violation]:
    """Violations of `line` (in NFC) as a piece of text."""
    length = list(_length(line, attributes, domain))
    if not line.strip():
        return length
    checks = (
        _foreign(line, domain),
        _repetition(line),
        _leak(line, domain),
        _banned(line, domain),
    )
    return length + [violation for found in checks for violation in found]


def _length(line: str, attributes: Mapping[str, Any], domain: Domain) -> Iterator[Violation]:
    limits = domain.length_of(attributes)
    syllables = len(_NO_SYLLABLE.sub("", line))
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
            yield Violation("foreign_text", start, i, f"한글이 아닌 글자: {shown(line[start:i])}")
            start = None
    for jamo in _JAMO.finditer(line):
        if not _LAUGHING.fullmatch(jamo.group()):
            yield Violation("foreign_text", *jamo.span(), f"홀로 떨어진 자모: {shown(jamo.group())}")


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


def _repetition(line: str) -> Iterator[Violation]:
    forms = _WORD.findall(line)
    found = list(_repeated_clauses(line))
    if len(set(forms)) < len(forms):
        found += [*_repeated_phrases(line, forms), *_doubled_words(line)]
    if any(len(form) > 2 and len(set(form)) < len(form) - 1 for form in forms):
        found += _runs(line)
    if not found:
        return
    covered = quotations(line)  # what somebody is quoted with may well be said twice
    for violation in found:
        # One verdict per place: a repeated clause is a repeated phrase as well.
        if all(violation.end <= start or end <= violation.start for start, end in covered):
            covered.append((violation.start, violation.end))
            yield violation


def _repeated_clauses(line: str) -> Iterator[Violation]:
    clauses = [clause for clause in _CLAUSE_END.split(_GAP.sub("", line.replace(" ", ""))) if len(clause) > 4]
    if len(set(clauses)) == len(clauses):
        return
    seen: Counter[str] = Counter()
    for match in re.finditer(r"[^.!?…~,\n]+", line):
        said = _WORD.findall(match.group())
        bare = "".join(said)
        if len(bare) < 5:
            continue
        seen[bare] += 1
        # One word said twice is emphasis ("고맙습니다, 고맙습니다!").
        if seen[bare] > (2 if len(said) == 1 else 1):
            yield Violation("repetition", *_stripped(match), f"같은 말이 되풀이됩니다: {shown(match.group().strip())}")


def _stripped(match: re.Match[str]) -> tuple[int, int]:
    text = match.group()
    return match.start() + len(text) - len(text.lstrip()), match.end() - len(text) + len(text.rstrip())


def _repeated_phrases(line: str, forms: list[str]) -> Iterator[Violation]:
    words = list(_WORD.finditer(line))
    i = 0
    while i < len(words):
        size, times = _phrase_at(forms, i)
        start, end = words[i].start(), words[i + size * times - 1].end() if size else 0
        shouted = size == 1 and times == 3 and len(_PAUSE.findall(line[start:end])) == 2
        if not size or shouted:
            i += 1 + 2 * shouted
            continue
        yield Violation("repetition", start, end, f"같은 말이 되풀이됩니다: {shown(line[start : words[i + size - 1].end()])}")
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
            yield Violation("repetition", *match.span(), f"같은 말이 되풀이됩니다: {shown(match.group(1))}")


def _runs(line: str) -> Iterator[Violation]:
    for match in _RUN.finditer(line):
        if _is_stammer(line, match):
            yield Violation("repetition", *match.span(), f"같은 글자가 되풀이됩니다: {shown(match.group())}")


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
    patterns = [_META] if _META_WORDS.search(line) else []
    if not _PLAIN.fullmatch(line):
        patterns = [_LEAK, *patterns, _fields(domain)]
    elif _field_words(domain).search(line):
        patterns.append(_fields(domain))
    for pattern in patterns:
        for match in pattern.finditer(line):
            told = "줄 바꿈" if not match.group().strip() else shown(match.group())
            yield Violation("prompt_leak", *match.span(), f"대사가 아니라 프롬프트의 흔적입니다: {told}")


class _Names(NamedTuple):
    """What a domain's prompts name fields, with the forms written together, and the values of fields. `made`: values that name a manner and that nobody says."""

    names: list[str]
    values: list[str]
    made: list[str]


def _names(domain: Domain) -> _Names:
    names, values = domain.prompt_names, list(domain.prompt_values)
    personality = domain.by_key.get(domain.roles.get("personality", ""))
    personalities = tuple(map(str, personality.labels)) if personality is not None else ()
    bare = {name.replace("_", "").replace(" ", "") for name in names}
    return _Names(sorted({*names, *bare}), values, [v for v in personalities if v.endswith(("형", "체", "투", "톤", "타입"))])


@lru_cache(maxsize=16)
def _fields(domain: Domain) -> re.Pattern[str]:
    """Names and values of the domain's fields as prompts write them, not as people speak of their age and their luck."""
    names, values, made = _names(domain)
    # Nobody says a name of many syllables in one breath: with its value behind it, it was read off.
    long = [name for name in names if len(name) > 3 and " " not in name]
    key, any_name, any_long, any_value, any_made = map(_one_of, ((domain.line_key,), names, long, values, made))
    pair = rf"(?<![가-힣]){any_name}[은는이가]? {any_value}(?![가-힣])"
    return re.compile(
        rf"{any_name}[\"'”’]?\s*[:=：＝→]|(?<![가-힣]){any_name} {any_value}(?![가-힣])"
        rf"|(?<![가-힣])(?:{any_long}[\"'”’]?(?:이?란|[은는이가])? ?{any_value}|{any_made})"
        rf"|{pair}, {pair}|(?<![가-힣]){any_name}\({any_value}\)|^\s*[(<]{any_value}[)>]"
        rf"|(?<![가-힣]){any_value}(?:,? {any_value}){{2,}}\s?[:：]|(?<![가-힣]){any_value}(?:,? {any_value}){{3,}}|(?<![가-힣]){any_value} ?/ ?{any_value}"
        rf"|(?<![가-힣]){key}(?:입니다|이에요|예요|이다|[은는] 다음|로는)|^\s*{key} ?[-–—]"
    )


@lru_cache(maxsize=16)
def _field_words(domain: Domain) -> re.Pattern[str]:
    """Words without which a plain line has nothing of `_fields`: names, and values with what may be another one behind them."""
    names, values, made = _names(domain)
    first = "".join(sorted({re.escape(value[0]) for value in values if value})) or "가"
    # Each alternative opens with a letter of its own: that is what makes the search fast.
    return re.compile("|".join([*map(re.escape, (*names, *made)), *(f"{re.escape(value)},? [{first}]" for value in values)]))


def _one_of(words: Iterable[str]) -> str:
    return "(?:" + ("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)") + ")"


def _banned(line: str, domain: Domain) -> Iterator[Violation]:
    for match in _banned_words(domain).finditer(line):
        if not _across_words(line, *match.span()) and not _INNOCENT.match(line, match.start()):
            yield Violation("banned_word", *match.span(), f"쓰지 않기로 한 말: {shown(match.group())}")


@lru_cache(maxsize=16)
def _banned_words(domain: Domain) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, domain.banned_words)) or r"(?!)")


def _across_words(line: str, start: int, end: int) -> bool:
    """Whether the letters only meet by chance, the end of one word and the start of the next."""
    return any(t.start < start < t.end < end for t in tokens(line))
