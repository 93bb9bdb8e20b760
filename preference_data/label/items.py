"""What stands before a person, what they said of it so far, and what is saved: the plain data of a sitting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from preference_data.judgements import Reason
from preference_data.label.queue import Key
from preference_data.store import Candidate
from preference_data.tasks import Shown


class Refused(ValueError):
    """Something that can't be done to the present item; the text is the name of a message in texts.py."""


@dataclass
class Draft:
    """What was said of an item that isn't judged yet. Kept on disk too, so that a crash or Ctrl-C takes nothing away.

    Attributes:
        written: the better line, as saved in the store, and `written_after` the side it was made from.
        unfinished: side to text of an edit that was left without saving.
        taken_back: the choice of the judgement that undo has just taken back.
    """

    reasons: tuple[Reason, ...] = ()
    flag: bool = False
    hints: bool = False
    note: str | None = None
    edited: str | None = None
    written: str | None = None
    written_after: str | None = None
    unfinished: dict[str, str] = field(default_factory=dict)
    taken_back: str | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Draft:
        return cls(**{**content, "reasons": tuple(Reason(**reason) for reason in content["reasons"])})


@dataclass(frozen=True)
class Item:
    """A task as it stands before the person: one or two lines, in the order of the screen."""

    shown: Shown
    lines: tuple[Candidate, ...]
    sides: tuple[str, ...]  # of each line, the task's own name for it: first or second

    @property
    def mode(self) -> str:
        return self.shown.task.mode

    @property
    def key(self) -> Key:
        return self.shown.task.id, self.shown.round

    @property
    def shown_as(self) -> str:
        return f"{self.sides[0]}-left"


@dataclass(frozen=True)
class Saved:
    """A judgement that is on disk."""

    event_id: str
    choice: str  # as the screen calls it: left, right, tie, both_bad, good, bad, fix, skip
    at: float


def stored_choice(choice: str, item: Item) -> str:
    """The choice by the task's own sides, whatever side of the screen they stood on."""
    allowed = ("left", "right", "tie", "both_bad", "skip") if item.mode == "pair" else ("good", "bad", "fix", "skip")
    if choice not in allowed:
        raise Refused("other_mode")
    return item.sides[("left", "right").index(choice)] if choice in ("left", "right") else choice


def screen_choice(stored: str, item: Item) -> str:
    return ("left", "right")[item.sides.index(stored)] if stored in ("first", "second") else stored
