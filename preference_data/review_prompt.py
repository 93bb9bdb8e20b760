"""The editor's walk through the cases: one at a time, in the plain terminal, each answer written at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from npc_align.domain import Domain
from npc_align.violation import KIND_NAMES
from preference_data.better_lines import add_better_line, as_line, objection
from preference_data.judgements import Judgement, Reason, undo_last
from preference_data.label.keys import latin
from preference_data.label.tagging import Tag, ask_tag
from preference_data.label.texts import Texts
from preference_data.outcomes import judgement_of
from preference_data.review import CHECKER, DISAGREEMENT, FLAG, Case, adjudicate, cases
from preference_data.store import Store

LATER, UNDO, LEAVE = "later", "undo", "leave"
_SAID_OF_PAIRS = {"1": "first", "2": "second", "0": "tie", "t": "tie", "9": "both_bad", "b": "both_bad", "x": "skip"}
_SAID_OF_LINES = {"1": "good", "2": "bad", "x": "skip"}
_COMMANDS = {"": LATER, "s": LATER, "u": UNDO, "q": LEAVE}


@dataclass
class _Word:
    """What the editor said of a case so far."""

    edited: str | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """What the editor typed: a command, or a choice with what belongs to it."""

    command: str = ""
    word: Judgement | None = None


def walk(store: Store, editor: str, language: str) -> int:
    """Shows case after case until the editor leaves or none is left, and returns on how many tasks they gave their word."""
    texts, found = TEXTS[language], cases(store)
    place = 0
    written: set[str] = set()
    click.echo(texts["nothing"] if not found else texts["begin"].format(count=len(found)))
    while place < len(found):
        case = found[place]
        click.echo(f"\n[{place + 1}/{len(found)}] {told(case, store.domain, language)}")
        try:
            answer = _ask(store, case, editor, language)
        except click.Abort:  # Ctrl-C, Ctrl-D or the end of a script: what was answered is in the store
            break
        if answer.command == LEAVE:
            break
        if answer.command == UNDO:
            place = _take_back(store, editor, found, place, written, texts)
            continue
        if answer.word is not None:
            adjudicate(store, case, editor, answer.word)
            written.add(case.words.task.id)
        place += 1
    click.echo("\n" + texts["end"].format(written=len(written), left=len(found) - len(written)))
    return len(written)


def _take_back(store: Store, editor: str, found: list[Case], place: int, written: set[str], texts: dict[str, str]) -> int:
    """Takes back the editor's latest word, of whatever day, and returns where its case now stands among those found."""
    event = undo_last(store, editor, "adjudicate")
    if event is None:
        click.echo(texts["nothing_to_undo"])
        return place
    click.echo(texts["undone"].format(said=texts[event.judgement.choice if event.judgement else "skip"]))
    written.discard(event.task_id)
    places = {case.words.task.id: at for at, case in enumerate(found)}
    if event.task_id not in places:  # from an earlier sitting
        found[place:place] = [case for case in cases(store) if case.words.task.id == event.task_id]
    return places.get(event.task_id, place)


def _ask(store: Store, case: Case, editor: str, language: str) -> _Answer:
    """Asks until the answer is one that can be used."""
    texts, mode, started, so_far = TEXTS[language], case.words.task.mode, time.monotonic(), _Word()
    choices = _SAID_OF_PAIRS if mode == "pair" else _SAID_OF_LINES
    while True:
        typed = _typed(texts[f"ask_{mode}"])
        # A note stands apart, so that "10" is no first line with the note "0"; "e2" is a command of its own.
        first, _, rest = typed.partition(" ")
        key, note = latin(first), rest.strip() or None
        seconds = round(time.monotonic() - started, 1)
        if key in choices:
            kept = None if choices[key] in ("good", "bad", "skip") else so_far.edited
            return _Answer(word=Judgement(choices[key], edited=kept, note=note, reasons=so_far.reasons, seconds=seconds))
        if key in _COMMANDS and note is None:
            return _Answer(_COMMANDS[key])
        command, after = latin(first[:1]), first[1:]
        if command not in ("e", "r") or after not in ("", "1", "2")[: 1 + len(case.lines)] or note is not None:
            click.echo(texts["what"])
        elif command == "r":
            so_far.reasons = _tagged(case, after, so_far.reasons, language)
        else:
            so_far.edited = _ask_better(store, case, editor, after, language) or so_far.edited
            if mode == "line" and so_far.edited is not None:
                return _Answer(word=Judgement("fix", edited=so_far.edited, reasons=so_far.reasons, seconds=seconds))


def _tagged(case: Case, after: str, reasons: tuple[Reason, ...], language: str) -> tuple[Reason, ...]:
    """The reasons with one more, or one less."""
    index = 1 if after == "2" else 0
    tag = ask_tag(case.lines[index].line, Texts(language), _typed, droppable=bool(reasons))
    if isinstance(tag, Tag):
        new = Reason(("first", "second")[index], tag.kind, *(tag.span or (None, None)))
        reasons = (*reasons, new) if new not in reasons else reasons
    elif tag is not None:
        reasons = reasons[:-1]
    click.echo("   " + ("  ".join(_reason(case, reason, language) for reason in reasons) or TEXTS[language]["no_reason"]))
    return reasons


def _typed(prompt: str) -> str:
    return str(click.prompt(prompt, default="", show_default=False, prompt_suffix="" if prompt.endswith("> ") else ": ")).strip()


def _ask_better(store: Store, case: Case, editor: str, after: str, language: str) -> str | None:
    """The id of the better line that the editor writes, or takes over by its number; None where they write none."""
    texts = TEXTS[language]
    offered = list(case.edits.items())
    for number, (annotator, line) in enumerate(offered, start=1):
        click.echo(f"   {number}) {_shown(line)} ({annotator})")
    typed = _typed(texts["better"])
    if not typed:
        return None
    if typed.isdecimal() and 1 <= int(typed) <= len(offered):
        typed = offered[int(typed) - 1][1]
    line = as_line(typed)
    refused = objection(line, case.lines)
    if refused is not None:
        click.echo(Texts(language)(refused))
        return None
    source = case.lines[-1] if after == "2" else case.lines[0]
    click.echo(texts["kept"].format(line=_shown(line)))
    return add_better_line(store, source, editor, line)


# --- What is shown


def told(case: Case, domain: Domain, language: str) -> str:
    """A case for reading: why it is here, for whom the lines are, what the checks say, and who said what."""
    texts = TEXTS[language]
    values = [f"{key} {case.attributes[key]}" for key in domain.by_key if key in case.attributes]
    rows = [f"{', '.join(texts[cause] for cause in case.causes)}  ({case.words.task.id})", " · ".join(values)]
    for number, candidate in enumerate(case.lines, start=1):
        rows.append(f" {number}  {_shown(candidate.line)}")
        if candidate.violations is None:
            rows.append(f"    {texts['unchecked']}")
        rows += [f"    {texts['rules']} {_kind(v['kind'], language)}: {v['message']}" for v in candidate.violations or ()]
    for annotator in sorted(case.words.first):
        rows.append(f"  {annotator}: {_said(case, annotator, language)}")
    return "\n".join(rows)


def _said(case: Case, annotator: str, language: str) -> str:
    texts, word = TEXTS[language], judgement_of(case.words.first[annotator])
    parts = [texts[word.choice]]
    parts += [_reason(case, reason, language) for reason in word.reasons]
    parts += [texts["flagged"]] if word.flag else []
    parts += [texts["hinted"]] if word.hints else []
    parts += [f"“{_shown(word.note)}”"] if word.note else []
    parts += [f"→ {_shown(case.edits[annotator])}"] if annotator in case.edits else []
    return "  ".join(parts)


def _reason(case: Case, reason: Reason, language: str) -> str:
    number = 2 if reason.side == "second" else 1
    marked = "" if reason.start is None else f" 「{_shown(case.lines[number - 1].line[reason.start : reason.end])}」"
    return f"[{number}: {_kind(reason.kind, language)}{marked}]"


def _kind(kind: str, language: str) -> str:
    return KIND_NAMES[language].get(kind, kind)


def _shown(text: str) -> str:
    """A model's line may hold control characters, which would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


TEXTS: dict[str, dict[str, str]] = {
    "ko": {
        "begin": "다시 볼 과제 {count}개입니다. 답은 그때그때 저장됩니다. 번호 뒤에 메모를 쓸 수 있습니다 (예: 1 조사가 맞음).",
        "nothing": "다시 볼 과제가 없습니다.",
        "end": "판정 {written}개를 저장했습니다. 남은 과제는 {left}개이고, 같은 명령으로 이어서 합니다.",
        "ask_pair": "1·2 그쪽이 낫다, 0 비슷, 9 둘 다 나쁨, e1·e2 고치기, r1·r2 이유, x 빼기, Enter 나중에, u 되돌리기, q 끝",
        "ask_line": "1 좋다, 2 나쁘다, e 고치기, r 이유, x 빼기, Enter 나중에, u 되돌리기, q 끝",
        "better": "고친 대사 (번호를 쓰면 그 사람의 대사, Enter 그만두기)",
        "kept": "고친 대사를 저장했습니다: {line}",
        "undone": "마지막 판정을 되돌렸습니다: {said}",
        "nothing_to_undo": "되돌릴 판정이 없습니다.",
        "no_reason": "이유 없음",
        "what": "모르는 답입니다. 아래에서 골라 주세요.",
        "rules": "검사:",
        "unchecked": "검사: 오늘의 규칙으로는 아직 보지 않음 (npc-pref check)",
        "flagged": "(다시 볼 대사로 표시)",
        "hinted": "(힌트를 보고 판정)",
        DISAGREEMENT: "의견이 갈림",
        FLAG: "표시",
        CHECKER: "검사와 어긋남",
        "first": "1번이 낫다",
        "second": "2번이 낫다",
        "tie": "비슷하다",
        "both_bad": "둘 다 나쁘다",
        "good": "좋다",
        "bad": "나쁘다",
        "fix": "고쳐야 한다",
        "skip": "건너뜀",
    },
    "en": {
        "begin": "{count} tasks to look at again. Every answer is saved at once. A note may follow the number (as in: 1 the particle is right).",
        "nothing": "Nothing to look at again.",
        "end": "{written} words saved. {left} tasks are left; the same command goes on.",
        "ask_pair": "1, 2 the better one; 0 alike, 9 both bad, e1, e2 mend, r1, r2 reason, x drop, Enter later, u undo, q quit",
        "ask_line": "1 good, 2 bad, e mend, r reason, x drop, Enter later, u undo, q quit",
        "better": "The better line (a number takes that person's, Enter leaves it)",
        "kept": "The better line is saved: {line}",
        "undone": "Your last word is taken back: {said}",
        "nothing_to_undo": "There is nothing to take back.",
        "no_reason": "no reasons",
        "what": "No such answer; choose one of these.",
        "rules": "checks:",
        "unchecked": "checks: not yet looked at by today's rules (npc-pref check)",
        "flagged": "(flag)",
        "hinted": "(saw the hints)",
        DISAGREEMENT: "disagreement",
        FLAG: "flag",
        CHECKER: "against the checks",
        "first": "first is better",
        "second": "second is better",
        "tie": "alike",
        "both_bad": "both bad",
        "good": "good",
        "bad": "bad",
        "fix": "to be mended",
        "skip": "skipped",
    },
}
