"""The queue by ids alone: 50,000 tasks are there in a fifth of a second, and each is read when it comes before the person.

`tasks.queue` gives the same tasks in the same order; tests/unit/test_label_session.py holds the two together.
"""

from __future__ import annotations

from preference_data.store import Store
from preference_data.tasks import ANY_ASSIGNED, Task, all_tasks, rounds

Key = tuple[str, int]  # task id, round

_JUDGED = """
SELECT DISTINCT task_id, round FROM event WHERE annotator = ? AND kind = 'judge'
AND id NOT IN (SELECT json_extract(payload, '$.undoes') FROM event WHERE kind = 'undo' AND annotator = ?)
"""


_ASSIGNED = """
SELECT task_id, round FROM assignment JOIN task ON task.id = task_id
WHERE annotator = ? AND mode = ? AND NOT retired ORDER BY assignment.place, task_id
"""


def own_queue(store: Store, annotator: str, mode: str) -> list[Key]:
    """What this annotator has before them, what they have judged included, in the order of showing."""
    own = store.db.execute(_ASSIGNED, (annotator, mode)).fetchall()
    if own or store.db.execute(ANY_ASSIGNED, (mode,)).fetchone():
        return own
    tasks = store.db.execute("SELECT id FROM task WHERE mode = ? AND NOT retired ORDER BY place, id", (mode,))
    return rounds([task_id for (task_id,) in tasks], annotator)


def judged_keys(store: Store, annotator: str) -> set[Key]:
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
