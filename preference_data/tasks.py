"""Tasks: which lines are put before a person, in which order, and on which side of the screen.

Everything that looks like chance is a hash of the task and the annotator, so that it is blind, and the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preference_data.judgements import current
from preference_data.store import Store, content_id, to_json

# Whether tasks of a mode were assigned to anybody.
ANY_ASSIGNED = "SELECT 1 FROM assignment a JOIN task t ON t.id = a.task_id WHERE t.mode = ? LIMIT 1"
REPEATED = 0.05  # share of tasks that come back, blind, to see whether a person agrees with themself
_DISTANCE = 30  # tasks between the two times, so that nobody remembers


@dataclass(frozen=True)
class Task:
    """Two lines to choose from (mode "pair"), or one to judge (mode "line")."""

    id: str
    mode: str
    prompt_id: str
    first_id: str
    second_id: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """A task in an annotator's queue; round 2 is the blind repeat."""

    task: Task
    round: int


def add_tasks(store: Store, tasks: Iterable[tuple[str, str, str | None, Mapping[str, Any]]]) -> int:
    """Adds (prompt id, first candidate, second candidate or None, detail), after those that are there, and returns how many were new.

    A pair is the same whichever line comes first.
    """
    with store.transaction():
        return _insert(store, tasks)


def replace_pairs(store: Store, pairs: Sequence[tuple[str, str, str, Mapping[str, Any]]], meta: Mapping[str, str]) -> str:
    """Puts these machine-made pairs in the place of earlier ones, and returns the pairing's id, which is theirs together.

    Earlier ones that nobody has judged or been assigned retire; those that are chosen again count as of this pairing, and take their
    place in its order. All in one transaction, with what is to be noted in the store's meta.
    """
    pairing = content_id(*sorted(task_id("pair", first, second) for _, first, second, _ in pairs))
    with store.transaction() as db:
        db.execute(
            "UPDATE task SET retired = 1 WHERE mode = 'pair' AND json_extract(detail, '$.pairing') IS NOT NULL "
            "AND id NOT IN (SELECT task_id FROM event) AND id NOT IN (SELECT task_id FROM assignment)"
        )
        anew = ((prompt, first, second, {**detail, "pairing": pairing}) for prompt, first, second, detail in pairs)
        _insert(store, anew, ", place = excluded.place")
        for key, value in {**meta, "pairing": pairing}.items():
            store.set_meta(key, value)
    return pairing


def _insert(store: Store, tasks: Iterable[tuple[str, str, str | None, Mapping[str, Any]]], also_set: str = "") -> int:
    before = store.count("task")
    place = store.db.execute("SELECT coalesce(max(place), 0) FROM task").fetchone()[0]
    for offset, (prompt_id, first, second, detail) in enumerate(tasks, start=1):
        mode = "line" if second is None else "pair"
        store.db.execute(
            "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, 0) "
            f"ON CONFLICT DO UPDATE SET detail = excluded.detail, retired = 0{also_set}",
            (task_id(mode, first, second), mode, prompt_id, first, second, place + offset, to_json(detail)),
        )
    return store.count("task") - before


def task_id(mode: str, first: str, second: str | None) -> str:
    """The same for two lines whichever comes first."""
    return content_id(mode, *sorted(filter(None, (first, second))))


def all_tasks(store: Store, where: str = "1", parameters: tuple[Any, ...] = ()) -> list[Task]:
    """Tasks in the order in which they are shown."""
    rows = store.db.execute(
        f"SELECT id, mode, prompt_id, first_id, second_id, detail FROM task WHERE {where} ORDER BY place, id", parameters
    )
    return [Task(i, mode, prompt, first, second, json.loads(detail)) for i, mode, prompt, first, second, detail in rows]


def queue(store: Store, annotator: str, mode: str) -> list[Shown]:
    """What this annotator has before them, what they have judged already included, in the order of showing.

    Where tasks were assigned to anybody, an annotator sees their own; else everybody sees everything, with a share coming back.
    """
    tasks = {task.id: task for task in all_tasks(store, "mode = ? AND NOT retired", (mode,))}
    assigned = store.db.execute("SELECT task_id, round FROM assignment WHERE annotator = ? ORDER BY place, task_id", (annotator,))
    own = [Shown(tasks[task_id], round) for task_id, round in assigned if task_id in tasks]
    if own or store.db.execute(ANY_ASSIGNED, (mode,)).fetchone():
        return own
    return with_repeats(list(tasks.values()), annotator)


def with_repeats(tasks: Sequence[Task], annotator: str) -> list[Shown]:
    """The tasks, with the share that comes back set in at a distance, or at the end."""
    by_id = {task.id: task for task in tasks}
    return [Shown(by_id[task_id], round) for task_id, round in rounds([task.id for task in tasks], annotator)]


def rounds(task_ids: Sequence[str], annotator: str) -> list[tuple[str, int]]:
    """The same by ids: (task id, round)."""
    # share(task_id, annotator, "again") < REPEATED, three times as fast: a person waits for 50,000 of them.
    rest, limit = f"\0{annotator}\0again".encode(), int(REPEATED * 2**64).to_bytes(8, "big")
    shown: list[tuple[str, int]] = []
    waiting: deque[tuple[int, str]] = deque()
    for index, task_id in enumerate(task_ids):
        shown.append((task_id, 1))
        if hashlib.sha256(task_id.encode() + rest).digest() < limit:
            waiting.append((index + _DISTANCE, task_id))
        while waiting and waiting[0][0] <= index:
            shown.append((waiting.popleft()[1], 2))
    return shown + [(task_id, 2) for _, task_id in waiting]


def open_tasks(store: Store, annotator: str, mode: str) -> list[Shown]:
    """What is left of the queue."""
    done = {(task_id, round) for task_id, _, round in current(store, "annotator = ?", (annotator,))}
    return [shown for shown in queue(store, annotator, mode) if (shown.task.id, shown.round) not in done]


def first_is_left(shown: Shown, annotator: str) -> bool:
    """Which of the two lines stands on the left (or above)."""
    return share(shown.task.id, annotator, f"side {shown.round}") < 0.5


def share(*parts: str) -> float:
    """A number in [0, 1) that depends on these texts and nothing else."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big") / 2**64
