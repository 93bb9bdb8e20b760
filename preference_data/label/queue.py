"""The queue without the particulars that the screen never shows: 20,000 tasks load in a fifth of a second.

`tasks.open_tasks` gives the same tasks in the same order; tests/unit/test_label_session.py holds the two together.
"""

from __future__ import annotations

from preference_data.store import Store
from preference_data.tasks import ANY_ASSIGNED, Shown, Task, all_tasks, with_repeats

_JUDGED = """
SELECT DISTINCT task_id, round FROM event WHERE annotator = ? AND kind = 'judge'
AND id NOT IN (SELECT json_extract(payload, '$.undoes') FROM event WHERE kind = 'undo' AND annotator = ?)
"""


def own_queue(store: Store, annotator: str, mode: str) -> list[Shown]:
    """`tasks.queue`, with empty details."""
    rows = store.db.execute(
        "SELECT id, prompt_id, first_id, second_id FROM task WHERE mode = ? AND NOT retired ORDER BY place, id", (mode,)
    )
    tasks = {task_id: Task(task_id, mode, prompt_id, first, second, {}) for task_id, prompt_id, first, second in rows}
    assigned = store.db.execute("SELECT task_id, round FROM assignment WHERE annotator = ? ORDER BY place, task_id", (annotator,))
    own = [Shown(tasks[task_id], round) for task_id, round in assigned if task_id in tasks]
    if own or store.db.execute(ANY_ASSIGNED, (mode,)).fetchone():
        return own
    return with_repeats(list(tasks.values()), annotator)


def judged_keys(store: Store, annotator: str) -> set[tuple[str, int]]:
    """Task and round of every judgement of this annotator that stands."""
    return set(store.db.execute(_JUDGED, (annotator, annotator)))


def task_of(store: Store, task_id: str) -> Task:
    (task,) = all_tasks(store, "id = ?", (task_id,))
    return task


def people_with_tasks(store: Store) -> list[str]:
    """Whom tasks are assigned to; [] where everybody has everything."""
    return [name for (name,) in store.db.execute("SELECT DISTINCT annotator FROM assignment ORDER BY annotator")]


def count_tasks(store: Store, mode: str) -> int:
    return int(store.db.execute("SELECT count(*) FROM task WHERE mode = ? AND NOT retired", (mode,)).fetchone()[0])
