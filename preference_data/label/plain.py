"""The same judgements by plain prompts, for a terminal that can't draw, a screen reader, or a pipe."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import click

from preference_data.label import report
from preference_data.label.guideline import read_guideline
from preference_data.label.hints import fresh_hints, stored_hints, visible
from preference_data.label.items import Item, Refused
from preference_data.label.keys import command, composed_hangul, latin
from preference_data.label.session import Session
from preference_data.label.tagging import Tag, ask_tag
from preference_data.label.texts import Texts

_SPELT = {"s": "skip", "u": "undo"}  # Space and Backspace can't be typed on a line of their own
_LEAVE = "leave"


class PlainPrompts:
    """Asks for one line of input after the other until the queue is empty or the input ends."""

    def __init__(self, session: Session, texts: Texts, read: Callable[[str], str] = input) -> None:
        self.session, self.texts, self._read = session, texts, read
        self._actions: dict[str, Callable[[], None]] = {
            "undo": self._undo,
            "edit": self._edit,
            "reason": self._reason,
            "flag": self._flag,
            "hints": self._hints,
            "guideline": self._guideline,
            "help": lambda: click.echo(self.texts("help")),
        }

    def run(self) -> None:
        shown = None
        while True:
            item = self.session.item
            if item is None:
                return
            if item != shown:
                self._show(item)
                shown = item
            name = self._ask(item)
            if name == _LEAVE:
                return
            if name is not None:
                self._carry_out(name)

    def _ask(self, item: Item) -> str | None:
        try:
            typed = self._read("> ")
        except EOFError:
            return _LEAVE
        key = typed if typed == " " else typed.strip()
        name = _SPELT.get(latin(key)) or command(key, item.mode)
        if name is None:
            click.echo(self.texts("hangul" if any(map(composed_hangul, key)) else "unknown_key"))
        return name

    def _carry_out(self, name: str) -> None:
        action = self._actions.get(name)
        try:
            if action is not None:
                action()
            else:
                click.echo(report.saved(self.session.judge(name), self.texts))
        except Refused as refusal:
            click.echo(self.texts(str(refusal)))
        except sqlite3.Error as error:
            click.echo(self.texts("not_saved", error=error), err=True)

    def _show(self, item: Item) -> None:
        domain, attributes = self.session.store.domain, item.lines[0].attributes
        labels = [
            (a.prompt_key.replace("_", " "), a.labels.get(attributes[a.key])) for a in domain.attributes if a.key in attributes
        ]
        click.echo(f"\n--- {report.progress(self.session, self.texts)}")
        click.echo(" · ".join(f"{key} {value}" for key, value in labels))
        for index, line in enumerate(item.lines):
            click.echo(f"{report.label(self.session, index, self.texts)}: {visible(line.line)}")
        self._say_draft()
        click.echo(self.texts(f"plain_{item.mode}_keys"))

    def _say_draft(self) -> None:
        for line in report.draft_lines(self.session, self.texts):
            click.echo(f"  {line}")

    # --- Commands

    def _undo(self) -> None:
        self.session.undo()
        click.echo(self.texts("undone", choice=self.texts.choice(self.session.draft.taken_back or "skip")))

    def _flag(self) -> None:
        self.session.toggle_flag()
        self._say_draft()

    def _edit(self) -> None:
        index = self._which()
        text = "" if index is None else self._answer("plain_edit")
        if index is None or not text:
            return
        self.session.edit(index, text)
        if self.session.item is not None and self.session.item.mode == "line":
            click.echo(report.saved(self.session.judge("fix"), self.texts))
        else:
            click.echo(self.texts("edited_now_choose"))

    def _reason(self) -> None:
        index = self._which()
        if index is None:
            return
        assert self.session.item is not None
        line, droppable = self.session.item.lines[index].line, bool(self.session.draft.reasons)
        tag = ask_tag(line, self.texts, self._typed, droppable=droppable)
        if isinstance(tag, Tag):
            self.session.add_reason(index, tag.kind, tag.span)
        elif tag is not None:
            self.session.drop_reason()
        self._say_draft()

    def _hints(self) -> None:
        item = self.session.item
        assert item is not None
        self.session.saw_hints()
        hints = stored_hints(self.session.store, item) or fresh_hints(self.session.store.domain, item)
        for index in range(len(item.lines)):
            click.echo(f"{report.label(self.session, index, self.texts)}: {report.hint_lines(hints, index, self.texts)}")

    def _guideline(self) -> None:
        path, text = read_guideline(self.session.store)
        click.echo_via_pager(text or self.texts("no_guideline", path=path))

    def _which(self) -> int | None:
        if self.session.item is not None and self.session.item.mode == "line":
            return 0
        return {"1": 0, "2": 1}.get(latin(self._answer("plain_which")))

    def _answer(self, name: str) -> str:
        return self._typed(self.texts(name))

    def _typed(self, prompt: str) -> str:
        """A line of input; "" where the input has ended."""
        try:
            return self._read(prompt).strip()
        except EOFError:
            return ""
