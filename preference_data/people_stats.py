"""How the labelling goes: everybody's pace and progress, what was judged, and the checks against people's tags.

The last is there so that a wrong rule is found. What counts as a label of a line:

- Line mode: a good line has no fault of any kind; a bad (or mended) line with tags has the tagged kinds and no others. Bad without a
  tag says nothing of kinds, and doesn't count.
- Pair mode: a side with tags has the tagged kinds and no others. A side without tags doesn't count: nobody was asked about it.
- Only round 1, no skips, and no judgement made with the checker's hints on the screen: it isn't independent of the checks.
- An adjudication with a label of the line replaces everybody's. Otherwise a line has a kind where more than half of its labels have it,
  hasn't where fewer than half have, and is left out of that kind's figures where it is half of them.

Against it stand the verdicts of today's rules; lines without one don't count. Precision is the share of the lines on which a rule
speaks that people gave this kind, recall the share of the lines that people gave this kind on which the rule speaks. Who tags the worst
fault only makes precision look worse than it is: read the examples.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from npc_align.violation import KINDS
from preference_data.agreement import Figure, rate
from preference_data.judgements import Event, Judgement, current, events
from preference_data.outcomes import Words, all_words, attributes_of_prompts, judgement_of, kinds_of, verdicts_of_tasks
from preference_data.store import Store
from preference_data.tasks import Task, queue

BREAK = timedelta(minutes=5)  # a longer gap between two acts is a pause, not work
_EXAMPLES = 3
MODES = ("pair", "line")
# Judging and taking a judgement back; what an editor does in review is another work.
_ACTS = "kind = 'judge' OR json_extract(payload, '$.undoes') IN (SELECT id FROM event WHERE kind = 'judge')"

Label = frozenset[str]  # kinds that somebody gave a line
Verdicts = Mapping[str, frozenset[str]]  # kinds that the rules give a line, by candidate id


@dataclass(frozen=True)
class Pace:
    """How one annotator gets on. `tasks` and `done` count repeats, too.

    Attributes:
        judgements: that stand.
        seconds: median from showing a task to the choice.
        hours: active time: the gaps between the annotator's acts (undoing is one), without pauses of more than five minutes.
        per_hour: judgements that stand per active hour, None before ten minutes of it.
    """

    tasks: int
    done: int
    judgements: int
    seconds: float | None
    hours: float
    per_hour: float | None


@dataclass(frozen=True)
class CheckFigures:
    """One kind of violation: the rules against people's labels of the same lines. Examples are candidate id and line."""

    right: int
    false_alarms: int
    missed: int
    precision: Figure
    recall: Figure
    false_alarm_examples: tuple[tuple[str, str], ...]
    missed_examples: tuple[tuple[str, str], ...]


# --- Pace and progress


def paces(store: Store) -> dict[str, Pace]:
    """By annotator: everybody who was assigned a task, or judged one."""
    acts: dict[str, list[Event]] = defaultdict(list)
    for event in events(store, _ACTS, undone=True):
        acts[event.annotator].append(event)
    assigned: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for annotator, task_id, round in store.db.execute("SELECT annotator, task_id, round FROM assignment"):
        assigned[annotator].add((task_id, round))
    standing: dict[str, list[Event]] = defaultdict(list)
    for event in current(store).values():
        standing[event.annotator].append(event)
    if not assigned:  # then everybody sees everything
        assigned.update((name, {(s.task.id, s.round) for mode in MODES for s in queue(store, name, mode)}) for name in acts)
    return {name: _pace(assigned[name], acts[name], standing[name]) for name in sorted({*assigned, *acts})}


def _pace(shown: Set[tuple[str, int]], acts: Sequence[Event], standing: Sequence[Event]) -> Pace:
    seconds = [e.judgement.seconds for e in standing if e.judgement and e.judgement.seconds is not None]
    hours = _active(acts) / timedelta(hours=1)
    return Pace(
        tasks=len(shown),
        done=len(shown & {(e.task_id, e.round) for e in standing}),
        judgements=len(standing),
        seconds=statistics.median(seconds) if seconds else None,
        hours=hours,
        per_hour=len(standing) / hours if hours >= 1 / 6 else None,
    )


def _active(acts: Sequence[Event]) -> timedelta:
    """Time at work. Of the first act after a pause, only what its judgement says it took is known."""
    total, before = timedelta(), None
    for act in acts:
        at = datetime.fromisoformat(act.at)
        gap = None if before is None else at - before
        if gap is None or gap > BREAK:
            gap = timedelta(seconds=(act.judgement.seconds if act.judgement else None) or 0)
        total += min(gap, BREAK)
        before = at
    return total


# --- What was judged


def balance(store: Store, words_of_tasks: Iterable[Words], verdicts: Verdicts) -> dict[str, dict[str, int]]:
    """How many of the tasks that somebody has an opinion on (or an editor settled) are of which personality, class, kind and mode."""
    attributes = attributes_of_prompts(store)
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("personality", "class", "kind", "mode")}
    for words in words_of_tasks:
        if words.opinions or words.adjudication:
            for role in ("personality", "class"):
                value = store.domain.role(attributes[words.task.prompt_id], role)
                if value is not None:
                    counts[role][str(value)] += 1
            counts["kind"].update(kinds_of(words.task, verdicts))
            counts["mode"][words.task.mode] += 1
    return {name: dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))) for name, found in counts.items()}


# --- The checks against people


def labels_of_lines(words_of_tasks: Iterable[Words]) -> dict[str, list[Label]]:
    """What people said is wrong with each line, by candidate id; an editor's label is the only one where there is one."""
    labels: dict[str, list[Label]] = defaultdict(list)
    final: dict[str, list[Label]] = defaultdict(list)
    for words in words_of_tasks:
        for event in words.first.values():
            for candidate_id, label in _labels(words.task, judgement_of(event)):
                labels[candidate_id].append(label)
        if words.adjudication is not None:
            for candidate_id, label in _labels(words.task, judgement_of(words.adjudication)):
                final[candidate_id].append(label)
    return {**labels, **final}


def _labels(task: Task, judgement: Judgement) -> Iterator[tuple[str, Label]]:
    if judgement.hints or judgement.choice == "skip":
        return
    if judgement.choice == "good":
        yield task.first_id, frozenset()
        return
    for side, candidate_id in (("first", task.first_id), ("second", task.second_id)):
        kinds = frozenset(reason.kind for reason in judgement.reasons if reason.side == side)
        if kinds and candidate_id is not None:
            yield candidate_id, kinds


def checks_against_people(store: Store, labels: Mapping[str, Sequence[Label]], verdicts: Verdicts) -> dict[str, CheckFigures]:
    """By kind, those first on which rules and people differ most; kinds that neither saw are left out."""
    labelled = sorted(labels.keys() & verdicts.keys())
    lines = dict(
        store.db.execute(
            "SELECT id, line FROM candidate WHERE id IN (SELECT first_id FROM task UNION SELECT second_id FROM task)"
        )
    )
    found = {}
    for kind in KINDS:
        cells: dict[tuple[bool, bool], list[str]] = defaultdict(list)
        for candidate_id in labelled:
            people = _majority(kind in label for label in labels[candidate_id])
            if people is not None:
                cells[kind in verdicts[candidate_id], people].append(candidate_id)
        right, false, missed = cells[True, True], cells[True, False], cells[False, True]
        if right or false or missed:
            found[kind] = CheckFigures(
                len(right),
                len(false),
                len(missed),
                rate(len(right), len(right) + len(false)),
                rate(len(right), len(right) + len(missed)),
                tuple((i, lines[i]) for i in false[:_EXAMPLES]),
                tuple((i, lines[i]) for i in missed[:_EXAMPLES]),
            )
    return dict(sorted(found.items(), key=lambda item: -item[1].false_alarms - item[1].missed))


def _majority(votes: Iterable[bool]) -> bool | None:
    cast = list(votes)
    return None if 2 * sum(cast) == len(cast) else 2 * sum(cast) > len(cast)


def stats(store: Store) -> dict[str, Any]:
    """Everything that `npc-pref stats` prints."""
    words, verdicts = all_words(store), verdicts_of_tasks(store)
    labels = labels_of_lines(words)
    return {
        "annotators": paces(store),
        "judged": balance(store, words, verdicts),
        "checks": checks_against_people(store, labels, verdicts),
        "labelled_but_unchecked": len(labels.keys() - verdicts.keys()),
    }
