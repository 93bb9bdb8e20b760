"""Who judges what: every task to so many annotators, evenly, and a share of the tasks once more, blind.

Nothing here is left to chance: ties are broken by a hash of task and annotator.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from npc_align.errors import UserError
from preference_data.judgements import current
from preference_data.outcomes import attributes_of_prompts, kinds_of, verdicts_of_tasks
from preference_data.store import Store
from preference_data.tasks import Task, all_tasks, rounds, share

Stratum = tuple[str, str]  # personality, kinds


@dataclass(frozen=True)
class Load:
    """What an annotator has after an assignment: `new` and `taken_over` are of this one, the rest is all that they have."""

    new: int
    taken_over: int
    handed_over: int
    tasks: int
    open: int
    repeats: int


def assign(
    store: Store, annotators: Sequence[str], overlap: int, mode: str = "pair", limit: int | None = None
) -> dict[str, Load]:
    """Gives each task of a mode to `overlap` annotators, and returns what each of these has now.

    What was assigned or judged counts, so that a second call only adds what is missing. Open work is kept even, so that all finish
    at about the same time: an annotator who is new takes over tasks that others haven't judged; otherwise nothing moves.

    Args:
        limit: at most this many tasks get annotators, in the order of showing.

    Raises:
        UserError: a name twice or empty, fewer annotators than the overlap, or no tasks.
    """
    _require_names(annotators, overlap)
    with store.transaction():
        tasks = all_tasks(store, "mode = ? AND NOT retired", (mode,))
        if not tasks:
            raise UserError(_no_tasks(store, mode))
        board = _read_board(store, tasks, annotators)
        newcomers = [a for a in annotators if not board.lists[a]]
        given = board.deal(tasks, annotators, overlap, limit)
        moves = [] if len(newcomers) == len(annotators) else board.level(annotators, newcomers)
        board.write(store, annotators, given)
    return {a: board.load_of(a, given, moves) for a in annotators}


def _require_names(annotators: Sequence[str], overlap: int) -> None:
    twice = sorted(a for a, count in Counter(annotators).items() if count > 1)
    if not annotators or not all(annotators):
        raise UserError("--annotators holds an empty name; write names with commas between: --annotators mina,junho")
    if twice:
        raise UserError(f"--annotators names {', '.join(twice)} twice; each annotator stands there once")
    if not 1 <= overlap <= len(annotators):
        raise UserError(
            f"--overlap {overlap} with {len(annotators)} annotators ({', '.join(annotators)}): "
            f"a task goes to different people, so 1 to {len(annotators)} are possible"
        )


def _no_tasks(store: Store, mode: str) -> str:
    others = sorted({task.mode for task in all_tasks(store)})
    if others:
        return f"no tasks of mode {mode} in {store.path}, but of {others[0]}; run: npc-pref assign --mode {others[0]} …"
    return f"no tasks in {store.path}; make some with: npc-pref pair --store {store.path}"


@dataclass
class _Board:
    """Who has what while tasks are given out.

    Attributes:
        tasks: by id.
        strata: what kind of task each is.
        holders: who was given each task, or judged it ungiven.
        lists: each annotator's tasks, in the order in which they see them.
        done: (task, annotator) that were judged, in whichever round: these never move.
        open: how many tasks each annotator has before them.
        counts: how many tasks of each personality, and of each kind, each annotator has.
    """

    tasks: Mapping[str, Task]
    strata: Mapping[str, Stratum]
    holders: dict[str, set[str]]
    lists: dict[str, list[str]]
    done: set[tuple[str, str]]
    open: Counter[str]
    counts: Counter[tuple[str, int, str]]

    def deal(self, tasks: Sequence[Task], annotators: Sequence[str], overlap: int, limit: int | None) -> dict[str, set[str]]:
        """Gives out what lacks annotators, stratum by stratum: who has least to do, then least of its sort, takes the next."""
        lacking = [t.id for t in tasks if len(self.holders[t.id]) < overlap][:limit]
        given: dict[str, set[str]] = {a: set() for a in annotators}
        for task_id in sorted(lacking, key=lambda i: (self.strata[i], share(i, "deal"))):
            free = [a for a in annotators if a not in self.holders[task_id]]
            free.sort(key=lambda a: (self.open[a], self._of_its_sort(a, task_id), share(task_id, a, "assign")))
            for annotator in free[: overlap - len(self.holders[task_id])]:
                given[annotator].add(task_id)
                self._count(annotator, task_id, +1)
        for annotator in annotators:
            self.lists[annotator] += [t.id for t in tasks if t.id in given[annotator]]
        return given

    def level(self, annotators: Sequence[str], newcomers: Sequence[str]) -> list[tuple[str, str]]:
        """Moves unjudged tasks to newcomers until nobody has two more than they, and returns (from, to) of each move."""
        moves = []
        for newcomer in newcomers:
            offers = {a: self._movable(a, newcomer) for a in annotators if a not in newcomers}
            while offers:
                giver = max(offers, key=lambda a: (self.open[a], share(a, newcomer)))
                if self.open[giver] < self.open[newcomer] + 2:
                    break
                if not offers[giver]:
                    del offers[giver]
                    continue
                task_id = offers[giver].pop()
                if newcomer in self.holders[task_id]:
                    continue
                self.lists[giver].remove(task_id)
                self._count(giver, task_id, -1)
                self.lists[newcomer].append(task_id)
                self._count(newcomer, task_id, +1)
                moves.append((giver, newcomer))
        order = {task_id: place for place, task_id in enumerate(self.tasks)}
        for newcomer in newcomers:
            self.lists[newcomer].sort(key=order.__getitem__)
        return moves

    def _movable(self, giver: str, newcomer: str) -> list[str]:
        """The giver's unjudged tasks, so that any tail of the list holds all strata in proportion."""
        strata = defaultdict(list)
        for task_id in self.lists[giver]:
            if (task_id, giver) not in self.done:
                strata[self.strata[task_id]].append(task_id)
        ranked = []
        for own in strata.values():
            own.sort(key=lambda i: share(i, newcomer, "take over"))
            ranked += [((rank + 0.5) / len(own), task_id) for rank, task_id in enumerate(own)]
        return [task_id for _, task_id in sorted(ranked, reverse=True)]

    def _of_its_sort(self, annotator: str, task_id: str) -> int:
        return sum(self.counts[annotator, part, name] for part, name in enumerate(self.strata[task_id]))

    def _count(self, annotator: str, task_id: str, step: int) -> None:
        """One more task for an annotator, or one less."""
        (self.holders[task_id].add if step > 0 else self.holders[task_id].discard)(annotator)
        self.open[annotator] += step if (task_id, annotator) not in self.done else 0
        for part, name in enumerate(self.strata[task_id]):
            self.counts[annotator, part, name] += step

    def _shown(self, annotator: str) -> list[tuple[str, int]]:
        return rounds(self.lists[annotator], annotator)

    def write(self, store: Store, annotators: Iterable[str], given: Mapping[str, set[str]]) -> None:
        """Sets these annotators' rows of this mode. The repeats are set in anew, at their distance in the longer list."""
        mode = next(iter(self.tasks.values())).mode
        for annotator in annotators:
            store.db.execute(
                "DELETE FROM assignment WHERE annotator = ? AND task_id IN (SELECT id FROM task WHERE mode = ?)",
                (annotator, mode),
            )
            store.db.executemany(
                "INSERT INTO assignment VALUES (?, ?, ?, ?)",
                ((task_id, annotator, round, place) for place, (task_id, round) in enumerate(self._shown(annotator), start=1)),
            )

    def load_of(self, annotator: str, given: Mapping[str, set[str]], moves: Sequence[tuple[str, str]]) -> Load:
        return Load(
            new=len(given[annotator].intersection(self.lists[annotator])),
            taken_over=sum(to == annotator for _, to in moves),
            handed_over=sum(giver == annotator for giver, _ in moves),
            tasks=len(self.lists[annotator]),
            open=self.open[annotator],
            repeats=sum(round == 2 for _, round in self._shown(annotator)),
        )


def _read_board(store: Store, tasks: Sequence[Task], annotators: Sequence[str]) -> _Board:
    by_id = {task.id: task for task in tasks}
    board = _Board(
        by_id, _strata(store, tasks), {i: set() for i in by_id}, {a: [] for a in annotators}, set(), Counter(), Counter()
    )
    judged = [(task_id, annotator) for task_id, annotator, _ in current(store) if task_id in by_id]
    assigned = store.db.execute("SELECT task_id, annotator FROM assignment WHERE round = 1 ORDER BY place, task_id").fetchall()
    board.done |= set(judged)
    # A task that was judged before anything was assigned is its judge's: it comes first, and is done.
    for task_id, annotator in dict.fromkeys([*sorted(set(judged) - set(assigned)), *assigned]):
        if task_id in by_id:
            board._count(annotator, task_id, +1)
            board.lists.setdefault(annotator, []).append(task_id)
    return board


def _strata(store: Store, tasks: Iterable[Task]) -> dict[str, Stratum]:
    verdicts = verdicts_of_tasks(store)
    attributes = attributes_of_prompts(store)
    return {
        task.id: (str(store.domain.role(attributes[task.prompt_id], "personality")), "+".join(kinds_of(task, verdicts)))
        for task in tasks
    }
