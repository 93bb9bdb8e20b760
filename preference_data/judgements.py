"""What people said of tasks: judgements as an append-only history, undo included, and what holds at its end.

A judgement holds until its author judges the same task anew in the same round, or takes it back. Which one holds depends on the set of
events only, never on the order in which they came to this file, so that stores can be merged in any order.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from preference_data.store import Store, now, to_json

PAIR_CHOICES = ("first", "second", "tie", "both_bad", "skip")
LINE_CHOICES = ("good", "bad", "fix", "skip")


@dataclass(frozen=True)
class Reason:
    """Why a line is bad: a kind of violation, and the marked place in the line (code points, end exclusive) if one was marked."""

    side: str  # first or second; "first" in line mode
    kind: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Judgement:
    """One person's word on one task.

    Attributes:
        choice: one of PAIR_CHOICES or LINE_CHOICES. Sides are the task's own, whatever side of the screen they stood on.
        shown: "first-left" or "second-left" for pairs: where they stood. Tells position bias.
        reasons: tagged faults.
        flag: a person asks for a second look.
        note: free text.
        edited: id of the candidate that the person wrote as the better line, None where they wrote none.
        hints: whether the checker's hints were on the screen.
        seconds: from showing the task to the choice.
    """

    choice: str
    shown: str = "first-left"
    reasons: tuple[Reason, ...] = ()
    flag: bool = False
    note: str | None = None
    edited: str | None = None
    hints: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert self.choice in PAIR_CHOICES + LINE_CHOICES, self.choice

    def to_payload(self) -> str:
        return to_json(asdict(self))


@dataclass(frozen=True)
class Event:
    """A row of the history. `judgement` is None for an undo, whose `undoes` names the event taken back."""

    id: str
    task_id: str
    annotator: str
    round: int
    kind: str
    at: str
    judgement: Judgement | None = None
    undoes: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


def judge(store: Store, task_id: str, annotator: str, judgement: Judgement, *, round: int = 1, kind: str = "judge") -> str:
    """Writes a judgement (or, by kind, an adjudication) and returns its event's id. It is on disk when this returns."""
    return _append(store, task_id, annotator, round, kind, judgement.to_payload())


def undo_last(store: Store, annotator: str, kind: str = "judge") -> Event | None:
    """Takes back this person's latest judgement (or, by kind, adjudication) that still stands, of whatever day, and returns it.

    None where there is none.
    """
    standing = list(events(store, "annotator = ? AND kind = ?", (annotator, kind)))
    if not standing:
        return None
    last = standing[-1]
    _append(store, last.task_id, annotator, last.round, "undo", to_json({"undoes": last.id}))
    return last


def _append(store: Store, task_id: str, annotator: str, round: int, kind: str, payload: str) -> str:
    event_id = uuid.uuid4().hex
    with store.transaction() as db:
        (last,) = db.execute("SELECT max(at) FROM event WHERE annotator = ?", (annotator,)).fetchone()
        # A clock that was set back must not put a judgement before the one that it follows.
        at = now() if last is None else max(now(), _just_after(last))
        db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (event_id, task_id, annotator, round, kind, payload, at))
    return event_id


def _just_after(at: str) -> str:
    return (datetime.fromisoformat(at) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def events(store: Store, where: str = "1", parameters: tuple[Any, ...] = (), *, undone: bool = False) -> Iterator[Event]:
    """Events in the order of their time; those that were taken back, and the undoing ones, only where `undone` is asked for."""
    standing = "" if undone else f" AND kind <> 'undo' AND id NOT IN ({_UNDONE})"
    for row in store.db.execute(
        f"SELECT id, task_id, annotator, round, kind, payload, at FROM event WHERE ({where}){standing} ORDER BY at, id",
        parameters,
    ):
        yield _event(*row)


_UNDONE = "SELECT json_extract(payload, '$.undoes') FROM event WHERE kind = 'undo'"


def _event(event_id: str, task_id: str, annotator: str, round: int, kind: str, payload: str, at: str) -> Event:
    content = json.loads(payload)
    if kind == "undo":
        return Event(event_id, task_id, annotator, round, kind, at, undoes=content["undoes"], payload=content)
    reasons = tuple(Reason(**reason) for reason in content.pop("reasons"))
    return Event(event_id, task_id, annotator, round, kind, at, Judgement(**content, reasons=reasons), payload=content)


def current(store: Store, where: str = "1", parameters: tuple[Any, ...] = ()) -> dict[tuple[str, str, int], Event]:
    """The judgement that holds of each (task, annotator, round): the latest that wasn't taken back. Adjudications aside."""
    return {(e.task_id, e.annotator, e.round): e for e in events(store, f"kind = 'judge' AND ({where})", parameters)}


def adjudications(store: Store) -> dict[str, Event]:
    """The latest adjudication of each task that has one: the last word on it."""
    return {e.task_id: e for e in events(store, "kind = 'adjudicate'")}


def standing_edits(store: Store) -> set[str]:
    """Candidates that people wrote as better lines, by judgements and adjudications that hold. One taken back is none of them."""
    holding = [*current(store).values(), *adjudications(store).values()]
    return {event.judgement.edited for event in holding if event.judgement is not None and event.judgement.edited is not None}
