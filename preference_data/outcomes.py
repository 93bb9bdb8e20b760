"""What people said of each task, side by side, and the word that holds in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from npc_align.domain import Attributes
from preference_data.judgements import Event, Judgement, Reason, adjudications, current
from preference_data.store import Store
from preference_data.tasks import Task, all_tasks

DISPUTED = "disputed"
CLEAN, UNCHECKED = "none", "unchecked"  # stand for a kind where the rules find nothing, or haven't looked


@dataclass(frozen=True)
class Words:
    """What was said of one task, undone words aside.

    Attributes:
        task: what was judged.
        first: each annotator's judgement of round 1.
        again: the same of round 2, when the task came back.
        adjudication: the editor's word, if there is one.
    """

    task: Task
    first: Mapping[str, Event] = field(default_factory=dict)
    again: Mapping[str, Event] = field(default_factory=dict)
    adjudication: Event | None = None

    @property
    def opinions(self) -> dict[str, str]:
        """Each annotator's opinion of round 1, by name; skips aside."""
        said = {annotator: opinion(judgement_of(self.first[annotator]).choice) for annotator in sorted(self.first)}
        return {annotator: word for annotator, word in said.items() if word is not None}


@dataclass(frozen=True)
class Outcome:
    """The word that holds for a task.

    Attributes:
        choice: one of the choices, or "disputed" where no opinion has more than half of those who had one. "fix" is a bad line
            with a better one written, so it always comes with `edited`. "skip" only where an editor set the task aside.
        judges: whose word it is; for a disputed task, all who had an opinion.
        edited: the better line that they wrote (the latest one), as the id of its candidate.
        reasons: the faults that they tagged.
        flagged: somebody asks for a second look, and no editor has given it.
        adjudicated: the word is an editor's.
    """

    choice: str
    judges: tuple[str, ...]
    edited: str | None = None
    reasons: tuple[Reason, ...] = ()
    flagged: bool = False
    adjudicated: bool = False


def opinion(choice: str) -> str | None:
    """What a choice says of the lines: to mend a line is to find it bad, and to skip is to say nothing."""
    return {"fix": "bad", "skip": None}.get(choice, choice)


def judgement_of(event: Event) -> Judgement:
    assert event.judgement is not None, event.kind
    return event.judgement


def all_words(store: Store) -> list[Words]:
    """Every task that somebody said something of, in the order of showing, with what they said."""
    first: dict[str, dict[str, Event]] = {}
    again: dict[str, dict[str, Event]] = {}
    for (task_id, annotator, round), event in current(store).items():
        (first if round == 1 else again).setdefault(task_id, {})[annotator] = event
    final = adjudications(store)
    spoken = {*first, *again, *final}
    return [
        Words(task, first.get(task.id, {}), again.get(task.id, {}), final.get(task.id))
        for task in all_tasks(store, "id IN (SELECT task_id FROM event)")
        if task.id in spoken
    ]


def final_outcomes(store: Store) -> dict[str, Outcome]:
    """The word that holds, by task id: the editor's if there is one, else that of more than half of those with an opinion.

    Only round 1 counts. A task on which nobody has an opinion has no outcome.
    """
    outcomes = {words.task.id: _outcome(words) for words in all_words(store)}
    return {task_id: outcome for task_id, outcome in outcomes.items() if outcome is not None}


def _outcome(words: Words) -> Outcome | None:
    if words.adjudication is not None:
        return _adjudicated(words, words.adjudication)
    opinions = words.opinions
    if not opinions:
        return None
    flagged = any(judgement_of(event).flag for event in words.first.values())
    (choice, votes), *_ = Counter(opinions.values()).most_common(1)
    if 2 * votes <= len(opinions):
        return Outcome(DISPUTED, tuple(opinions), flagged=flagged)
    winners = [words.first[annotator] for annotator, word in opinions.items() if word == choice]
    edits = [e.judgement.edited for e in sorted(winners, key=lambda e: (e.at, e.id)) if e.judgement and e.judgement.edited]
    edited = edits[-1] if edits else None
    return Outcome(_with_edit(choice, edited), tuple(e.annotator for e in winners), edited, _reasons(winners), flagged)


def _adjudicated(words: Words, event: Event) -> Outcome:
    """An editor who tags nothing takes over the tags of those who are right; a better line is only theirs if they name it."""
    word = judgement_of(event)
    agreeing = [words.first[a] for a, said in words.opinions.items() if said == opinion(word.choice)]
    reasons = word.reasons or _reasons(agreeing)
    return Outcome(_with_edit(word.choice, word.edited), (event.annotator,), word.edited, reasons, word.flag, True)


def _with_edit(choice: str, edited: str | None) -> str:
    if opinion(choice) != "bad":
        return choice
    return "fix" if edited else "bad"


def _reasons(events: Iterable[Event]) -> tuple[Reason, ...]:
    found = {reason for event in events for reason in judgement_of(event).reasons}
    return tuple(sorted(found, key=lambda r: (r.side, r.kind, -1 if r.start is None else r.start, r.end or -1)))


# --- What is known of the same tasks otherwise


def attributes_of_prompts(store: Store) -> dict[str, Attributes]:
    return {prompt_id: json.loads(text) for prompt_id, text in store.db.execute("SELECT id, attributes FROM prompt")}


def verdicts_of_tasks(store: Store) -> dict[str, frozenset[str]]:
    """Kinds of violation by today's rules, by candidate id, of every line in a task that they have looked at."""
    rows = store.db.execute(
        "SELECT candidate_id, violations FROM verdict WHERE rules = ? AND candidate_id IN "
        "(SELECT first_id FROM task UNION SELECT second_id FROM task)",
        (store.rules,),
    )
    return {candidate_id: frozenset(v["kind"] for v in json.loads(found)) for candidate_id, found in rows}


def kinds_of(task: Task, verdicts: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """What is wrong in a task: the kinds of its rejected line, or of both where its maker rejected neither.

    Without verdicts by today's rules, the reasons that its maker wrote down; ("unchecked",) where there are none either.
    """
    sides = [side for side in (task.first_id, task.second_id) if side is not None]
    looked_at = [verdicts[side] for side in _rejected(task, sides) if side in verdicts]
    if looked_at:
        return tuple(sorted(frozenset().union(*looked_at))) or (CLEAN,)
    return tuple(sorted(set(task.detail.get("reasons", ())))) or (UNCHECKED,)


def _rejected(task: Task, sides: list[str]) -> list[str]:
    chosen = task.detail.get("chosen")
    return [side for side in sides if side != chosen] if chosen in sides and len(sides) > 1 else sides
