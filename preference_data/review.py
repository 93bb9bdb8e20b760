"""What an editor should look at again, most telling first, and the editor's word on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npc_align.domain import Attributes
from preference_data.judgements import Judgement, judge
from preference_data.outcomes import Words, all_words, attributes_of_prompts, judgement_of, opinion, verdicts_of_tasks
from preference_data.store import Candidate, Store
from preference_data.tasks import Task

DISAGREEMENT, FLAG, CHECKER = "disagreement", "flag", "checker"
# Opinions that exclude each other; a tie against a choice doesn't.
_OPPOSED = ({"first", "second"}, {"good", "bad"})


@dataclass(frozen=True)
class Case:
    """A task to look at again.

    Attributes:
        words: the task and what was said of it.
        causes: what speaks for it: disagreement, flag, checker.
        weight: how much: annotators outside the largest opinion, who flagged it, and who contradict the checks, counted together,
            and one more where two opinions exclude each other.
        conflicts: who contradicts the checks.
        attributes: of its prompt.
        lines: of the task, the first one first, with today's verdicts.
        edits: better lines that annotators wrote, by annotator.
    """

    words: Words
    causes: tuple[str, ...]
    weight: int
    conflicts: tuple[str, ...]
    attributes: Attributes
    lines: tuple[Candidate, ...]
    edits: Mapping[str, str]


def cases(store: Store) -> list[Case]:
    """Tasks without an adjudication that people disagree about, flagged, or judged against the checks; most telling first."""
    verdicts, attributes = verdicts_of_tasks(store), attributes_of_prompts(store)
    found = [_case(store, words, verdicts, attributes) for words in all_words(store) if words.adjudication is None]
    return sorted((case for case in found if case is not None), key=lambda case: -case.weight)


def _case(
    store: Store, words: Words, verdicts: Mapping[str, frozenset[str]], attributes: Mapping[str, Attributes]
) -> Case | None:
    said = Counter(words.opinions.values())
    dissent = said.total() - max(said.values(), default=0)
    opposed = any(pair <= said.keys() for pair in _OPPOSED)
    flags = sum(judgement_of(event).flag for event in words.first.values())
    conflicts = tuple(
        annotator
        for annotator in sorted(words.first)
        if contradicts_checks(words.task, judgement_of(words.first[annotator]), verdicts)
    )
    causes = [name for name, there in ((DISAGREEMENT, dissent), (FLAG, flags), (CHECKER, conflicts)) if there]
    if not causes:
        return None
    sides = [side for side in (words.task.first_id, words.task.second_id) if side is not None]
    lines = {c.id: c for c in store.candidates(store.rules, f"c.id IN ({','.join('?' * len(sides))})", tuple(sides))}
    weight = dissent + flags + len(conflicts) + opposed
    return Case(
        words,
        tuple(causes),
        weight,
        conflicts,
        attributes[words.task.prompt_id],
        tuple(lines[side] for side in sides),
        _edits(store, words),
    )


def contradicts_checks(task: Task, judgement: Judgement, verdicts: Mapping[str, frozenset[str]]) -> bool:
    """Whether a person and today's rules can't both be right.

    They can't where the person calls a line good that breaks a rule, prefers it to a line that breaks none, or tags a fault in a line
    that breaks none. A line without a verdict contradicts nobody.
    """
    if judgement.choice == "skip":
        return False
    sides = {"first": task.first_id, "second": task.second_id or ""}
    clean = {side for side, candidate_id in sides.items() if verdicts.get(candidate_id) == frozenset()}
    broken = {side for side, candidate_id in sides.items() if verdicts.get(candidate_id)}
    better, worse = {"good": ("first", None), "first": ("first", "second"), "second": ("second", "first")}.get(
        judgement.choice, (None, None)
    )
    approved = better in broken and (worse is None or worse in clean)
    return approved or any(reason.side in clean for reason in judgement.reasons)


def _edits(store: Store, words: Words) -> dict[str, str]:
    written = {a: judgement_of(e).edited for a, e in sorted(words.first.items())}
    found = {a: store.db.execute("SELECT line FROM candidate WHERE id = ?", (i,)).fetchone() for a, i in written.items() if i}
    return {annotator: row[0] for annotator, row in found.items() if row is not None}


def adjudicate(store: Store, case: Case, editor: str, word: Judgement) -> None:
    """Writes the editor's word on a case; "skip" sets the task aside for good."""
    judge(store, case.words.task.id, editor, word, kind="adjudicate")


def to_row(case: Case) -> dict[str, Any]:
    """A case as data."""
    task = case.words.task
    return {
        "task": task.id,
        "mode": task.mode,
        "causes": list(case.causes),
        "weight": case.weight,
        "attributes": case.attributes,
        "lines": [{"id": c.id, "line": c.line, "violations": c.violations} for c in case.lines],
        "words": {annotator: _word(case, annotator) for annotator in sorted(case.words.first)},
    }


def _word(case: Case, annotator: str) -> dict[str, Any]:
    word = judgement_of(case.words.first[annotator])
    return {
        "choice": word.choice,
        "opinion": opinion(word.choice),
        "flag": word.flag,
        "note": word.note,
        "reasons": [[reason.side, reason.kind] for reason in word.reasons],
        "edited": case.edits.get(annotator),
        "against_the_checks": annotator in case.conflicts,
    }
