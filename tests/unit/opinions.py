"""Stores in which people have said things, for the tests of what is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preference_data.judgements import Judgement, judge
from preference_data.store import NewCandidate, Store
from preference_data.store_file import create_store
from preference_data.tasks import Shown, Task, add_tasks, all_tasks, first_is_left

CYCLE = ("tone_break", "josa_error", "repetition")


def store_with(path: Path, pairs: int = 0, lines: int = 0) -> Store:
    """A store with tasks over several personalities and classes.

    The second line of every pair breaks one of three rules, in turns; of single lines, every other one does.
    """
    store = create_store(path, "weapon_rental")
    prompts = store.domain.draw(max(1, (pairs + lines) // 4), seed=1)
    lines_of = [(f"{number}번째 인사입니다.", f"{number}번째 인사를을 합니다.") for number in range(pairs + lines)]
    store.add_candidates(
        NewCandidate(prompts[number % len(prompts)], text, {"kind": "imported"}, split_group="g")
        for number, texts in enumerate(lines_of)
        for text in texts
    )
    ids = {c.line: (c.prompt_id, c.id) for c in store.candidates("")}
    verdicts: list[tuple[str, list[dict[str, Any]]]] = []
    made: list[tuple[str, str, str | None, dict[str, Any]]] = []
    for number, texts in enumerate(lines_of):
        (prompt_id, first), (_, second) = ids[texts[0]], ids[texts[1]]
        found = {"kind": CYCLE[number % 3], "start": 0, "end": 1, "message": "틀렸습니다."}
        verdicts += [(first, []), (second, [found])]
        single = first if number % 2 else second
        made.append((prompt_id, *((first, second) if number < pairs else (single, None)), {"made_by": "test"}))
    store.add_verdicts(store.rules, verdicts)
    add_tasks(store, made)
    return store


def say(store: Store, task: Task, words: Mapping[str, str | Judgement], *, round: int = 1) -> None:
    """Each annotator's word on a task; a bare choice is shown on the side where the annotator would see it."""
    for annotator, word in words.items():
        if isinstance(word, str):
            shown = "first-left" if first_is_left(Shown(task, round), annotator) else "second-left"
            word = Judgement(word, shown=shown, seconds=2.0)
        judge(store, task.id, annotator, word, round=round)


def say_all(store: Store, words: Sequence[Mapping[str, str | Judgement]]) -> list[Task]:
    """One mapping per task, in the order of showing."""
    tasks = all_tasks(store)
    for task, said in zip(tasks, words, strict=False):
        say(store, task, said)
    return tasks
