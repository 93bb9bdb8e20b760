"""One person's sitting: what is before them, what they say of it, and what is on disk. Knows no screen."""

from __future__ import annotations

import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from preference_data.better_lines import add_better_line, as_line, objection
from preference_data.judgements import Event, Judgement, Reason, judge, undo_last
from preference_data.label.items import Draft, Item, Refused, Saved, screen_choice, stored_choice
from preference_data.label.queue import Key, judged_keys, own_queue, task_of
from preference_data.store import Store, to_json
from preference_data.tasks import Shown, first_is_left


class Session:
    """The queue of one annotator, from the store and back into it.

    Args:
        store: the project's store.
        annotator: whose judgements these are.
        mode: "pair" or "line".
        limit: judgements to make in this sitting; None for all there are.
        clock: seconds that only go forward.
        command: which command goes on with this sitting, its words but the annotator; by default npc-pref label.
    """

    def __init__(
        self, store: Store, annotator: str, mode: str, limit: int | None = None, clock: Callable[[], float] = time.monotonic,
        command: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.store = store
        self.annotator = annotator
        self.mode = mode
        self.limit = limit
        self.command = command
        self._clock = clock
        self._seconds: list[float] = []
        self._made = 0
        self._drafts: dict[Key, Draft] = {}
        self._item: Item | None = None
        self.saved: Saved | None = None
        self._load()
        self._read_drafts()
        self._next()

    # --- Where the person stands

    @property
    def item(self) -> Item | None:
        """What is to be judged now; None when nothing is left, or the limit is reached."""
        return self._item

    @property
    def draft(self) -> Draft:
        """What was said of the item so far.

        Raises:
            Refused: there is no item.
        """
        return self._drafts.setdefault(self._current().key, Draft())

    @property
    def made(self) -> int:
        """Judgements of this sitting that stand."""
        return self._made

    @property
    def total(self) -> int:
        return len(self._keys)

    @property
    def done(self) -> int:
        return self.total - len(self._left)

    @property
    def limit_reached(self) -> bool:
        return self.limit is not None and self._made >= self.limit

    @property
    def pace(self) -> float | None:
        """Median seconds per judgement of this sitting: a coffee break doesn't count."""
        return statistics.median(self._seconds) if self._seconds else None

    @property
    def seconds_left(self) -> float | None:
        if self.pace is None:
            return None
        left = len(self._left) if self.limit is None else min(len(self._left), max(0, self.limit - self._made))
        return self.pace * left

    # --- What the person says

    def judge(self, choice: str) -> Saved:
        """Saves a choice and goes on; it is on disk when this returns.

        Args:
            choice: left, right, tie or both_bad of a pair; good, bad or fix of a line; skip of both.

        Raises:
            Refused: the choice isn't one of this item's.
        """
        item = self._current()
        draft = self.draft
        if choice == "fix" and draft.edited is None:
            raise Refused("not_edited")
        event_id = judge(
            self.store,
            item.shown.task.id,
            self.annotator,
            Judgement(
                stored_choice(choice, item),
                shown=item.shown_as,
                reasons=draft.reasons,
                flag=draft.flag,
                note=draft.note,
                edited=None if choice in ("good", "bad") else draft.edited,
                hints=draft.hints,
                seconds=round(self._clock() - self._since, 2),
            ),
            round=item.shown.round,
        )
        self._seconds.append(self._clock() - self._since)
        self._made += 1
        self.saved = Saved(event_id, choice, time.time())
        self._forget(item.key)
        self._left.popleft()
        self._next()
        return self.saved

    def undo(self) -> Event:
        """Takes the latest judgement back, of whatever day and mode, and puts its task before the person with all that was said.

        Raises:
            Refused: there is nothing left to take back.
        """
        event = undo_last(self.store, self.annotator)
        if event is None or event.judgement is None:
            raise Refused("nothing_to_undo")
        key = event.task_id, event.round
        self._keys.add(key)  # of another mode, or taken from this person since: judged anew all the same
        self._left.appendleft(key)
        self._made = max(0, self._made - 1)
        if self._seconds:
            self._seconds.pop()
        self.saved = None
        self._next()
        item = self._current()
        self._drafts[item.key] = self._draft_of(event.judgement, item)
        self._keep_drafts()
        return event

    def _draft_of(self, said: Judgement, item: Item) -> Draft:
        draft = Draft(said.reasons, said.flag, said.hints, said.note, said.edited, taken_back=screen_choice(said.choice, item))
        if said.edited is not None:
            better = self.store.candidate(said.edited, "")
            sides = {line.id: side for line, side in zip(item.lines, item.sides, strict=True)}
            draft.written, draft.written_after = better.line, sides.get(better.origin.get("of", ""), item.sides[0])
        return draft

    def edit(self, index: int, text: str) -> str:
        """Saves a better line, written after the line at this place of the screen, and returns its id.

        Raises:
            Refused: the text is empty, far too long, or one of the lines on the screen.
        """
        item = self._current()
        line = as_line(text)
        refused = objection(line, item.lines)
        if refused is not None:
            raise Refused(refused)
        self.draft.edited = add_better_line(self.store, item.lines[index], self.annotator, line)
        self.draft.written, self.draft.written_after = line, item.sides[index]
        self.draft.unfinished.pop(item.sides[index], None)
        self._keep_drafts()
        return self.draft.edited

    def leave_unfinished(self, index: int, text: str) -> None:
        """Keeps the text of an edit that isn't saved as a line, for when it is opened again."""
        item = self._current()
        if text != self.text_to_edit(index):
            self.draft.unfinished[item.sides[index]] = text
            self._keep_drafts()

    def text_to_edit(self, index: int) -> str:
        """What an edit begins with: the text that was left, the better line so far, or the line itself."""
        item, draft = self._current(), self.draft
        side = item.sides[index]
        written = draft.written if draft.written_after == side else None
        return draft.unfinished.get(side) or written or item.lines[index].line

    def add_reason(self, index: int, kind: str, span: tuple[int, int] | None = None) -> None:
        """Tags the line at this place of the screen with a fault, and the marked place if there is one."""
        start, end = span or (None, None)
        reason = Reason(self._current().sides[index], kind, start, end)
        if reason not in self.draft.reasons:
            self._change(reasons=(*self.draft.reasons, reason))

    def drop_reason(self) -> None:
        """Takes the last reason away."""
        self._change(reasons=self.draft.reasons[:-1])

    def toggle_flag(self) -> bool:
        self._change(flag=not self.draft.flag)
        return self.draft.flag

    def saw_hints(self) -> None:
        """Notes that the checker's hints were on the screen before the choice; hiding them again doesn't undo that."""
        if not self.draft.hints:
            self._change(hints=True)

    # --- The queue

    def _current(self) -> Item:
        if self._item is None:
            raise Refused("nothing_here")
        return self._item

    def _load(self) -> None:
        done = judged_keys(self.store, self.annotator)
        everything = own_queue(self.store, self.annotator, self.mode)
        self._keys = set(everything)
        self._left = deque(key for key in everything if key not in done)

    def _next(self) -> None:
        if not self._left and self._made:
            self._load()  # tasks may have been added meanwhile
        self._item = None if self.limit_reached or not self._left else self._laid_out(*self._left[0])
        self._since = self._clock()

    def _laid_out(self, task_id: str, round: int) -> Item:
        task = task_of(self.store, task_id)
        shown = Shown(task, round)
        ids = [("first", task.first_id)]
        if task.second_id is not None:
            ids.append(("second", task.second_id))
            if not first_is_left(shown, self.annotator):
                ids.reverse()
        lines = tuple(self.store.candidate(candidate_id, "") for _, candidate_id in ids)
        return Item(shown, lines, tuple(side for side, _ in ids))

    # --- Drafts

    def _change(self, **what: Any) -> None:
        self._current()
        self._drafts[self._current().key] = replace(self.draft, **what)
        self._keep_drafts()

    @property
    def _draft_key(self) -> str:
        return f"draft {self.annotator}"

    def _read_drafts(self) -> None:
        waiting = set(self._left)
        for row in json.loads(self.store.meta(self._draft_key) or "[]"):
            key = (row["task_id"], row["round"])
            if key in waiting:
                self._drafts[key] = Draft.from_json(row["draft"])

    def _keep_drafts(self) -> None:
        kept = {key: draft for key, draft in self._drafts.items() if draft != Draft()}
        rows = [{"task_id": task_id, "round": round, "draft": asdict(draft)} for (task_id, round), draft in kept.items()]
        self.store.set_meta(self._draft_key, to_json(rows))

    def _forget(self, key: Key) -> None:
        if self._drafts.pop(key, Draft()) != Draft():
            self._keep_drafts()
