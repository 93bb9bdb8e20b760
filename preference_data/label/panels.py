"""The panels that open over the two lines: which line, a better line, kind of fault, its place, text to read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Literal, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from npc_align.violation import KINDS
from preference_data.label.hints import visible
from preference_data.label.items import Refused
from preference_data.label.keys import latin
from preference_data.label.texts import Texts
from preference_data.label.widgets import KeyButton

Result = TypeVar("Result")
DROP = "drop"  # KindPanel's answer: take the last reason away
Mark = tuple[int, int] | Literal["whole"]


class Panel(ModalScreen[Result | None], Generic[Result]):
    """A box over the screen, with a title, a body and a line that tells the keys. Esc answers None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]
    DEFAULT_CSS = """
    Panel { align: center middle; background: $background 60%; }
    Panel > Vertical { width: 90%; max-width: 100; height: auto; max-height: 100%; border: round $accent; padding: 0 1; }
    Panel .title { text-style: bold; }
    Panel .keys { color: $text-muted; }
    Panel .line { max-height: 2; }
    Panel .note { color: $warning; height: auto; }
    Panel .note.-empty { display: none; }
    Panel TextArea { height: auto; min-height: 3; max-height: 50vh; border: tall $border-blurred; }
    Panel OptionList, Panel OptionList:focus { height: 1fr; border: none; padding: 0; }
    KindPanel > Vertical { height: 100%; max-height: 23; }
    Panel VerticalScroll { height: 1fr; }
    """

    def __init__(self, texts: Texts, name: str, title: str | None = None) -> None:
        super().__init__()
        self.texts = texts
        self._title, self._keys = title or texts(f"{name}_title"), texts(f"{name}_keys")

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            yield from self.body()
            yield Static("", classes="note -empty", markup=False)
            yield Static(self._keys, classes="keys", markup=False)

    def body(self) -> ComposeResult:
        yield from ()

    def note(self, text: str) -> None:
        note = self.query_one(".note", Static)
        note.update(text)
        note.remove_class("-empty")

    def answer(self, result: Result | None) -> None:
        """Closes the panel, once: a second Esc that was typed ahead comes to a panel that is no longer there."""
        if self.app.screen is self:
            self.dismiss(result)

    def action_leave(self) -> None:
        self.answer(None)

    def before_exit(self) -> None:
        """Called when the program ends while the panel is open."""


class SidePanel(Panel[int]):
    """Which of the two lines is meant: answers its place on the screen."""

    def __init__(self, texts: Texts, name: str, lines: Sequence[str]) -> None:
        super().__init__(texts, "which", texts(name))
        self._lines = lines

    def body(self) -> ComposeResult:
        for side, key, line in zip(("left", "right"), ("1 A", "2 B"), self._lines, strict=True):
            yield KeyButton(side, f"{key}  {visible(line)}")

    def on_key(self, event: events.Key) -> None:
        side = {"1": 0, "left": 0, "2": 1, "right": 1}.get(latin(event.character or event.key))
        if side is not None:
            event.stop()
            self.answer(side)

    def on_key_button_pressed(self, message: KeyButton.Pressed) -> None:
        self.answer(("left", "right").index(message.command))


class EditPanel(Panel[bool]):
    """A better line is written here. `save` takes it, or refuses; `keep` takes what is left unsaved."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "save", show=False, priority=True)]

    def __init__(self, texts: Texts, text: str, save: Callable[[str], object], keep: Callable[[str], None]) -> None:
        super().__init__(texts, "edit")
        self._text, self._save, self._keep = text, save, keep

    def body(self) -> ComposeResult:
        yield TextArea(" ".join(self._text.split()))

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    def action_save(self) -> None:
        try:
            self._save(self.query_one(TextArea).text)
        except Refused as refusal:
            self.note(self.texts(str(refusal)))
        except sqlite3.Error as error:
            self.note(self.texts("not_saved", error=error))
        else:
            self.answer(True)

    def action_leave(self) -> None:
        self.before_exit()
        self.answer(None)

    def before_exit(self) -> None:
        self._keep(self.query_one(TextArea).text)


class KindPanel(Panel[str]):
    """A kind of fault, from the list of all there are."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("backspace", "drop", show=False)]

    def __init__(self, texts: Texts, line: str) -> None:
        super().__init__(texts, "reason")
        self._line = line

    def body(self) -> ComposeResult:
        yield Static(visible(self._line), classes="line", markup=False)
        yield OptionList(*(Option(self.texts.kind(kind), id=kind) for kind in KINDS), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.answer(event.option_id)

    def action_drop(self) -> None:
        self.answer(DROP)


class MarkPanel(Panel[Mark]):
    """The place of a fault in a line: code points from the start, end exclusive."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "mark", show=False, priority=True)]

    def __init__(self, texts: Texts, kind: str, line: str) -> None:
        super().__init__(texts, "mark", texts("mark_title", kind=texts.kind(kind)))
        self._line = line

    def body(self) -> ComposeResult:
        yield TextArea(visible(self._line), read_only=True)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def action_mark(self) -> None:
        # `visible` leaves one text line, so that columns are offsets.
        (_, start), (_, end) = sorted(self.query_one(TextArea).selection)
        self.answer((start, end) if start < end else "whole")


class ReadingPanel(Panel[None]):
    """A text to read: the guideline, the help. The key that opened it closes it, too."""

    def __init__(self, texts: Texts, name: str, text: Static | Markdown, closing_key: str) -> None:
        super().__init__(texts, name)
        self._text, self._closing_key = text, closing_key

    def body(self) -> ComposeResult:
        with VerticalScroll():
            yield self._text

    def on_mount(self) -> None:
        self.query_one(Vertical).styles.height = "100%"
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: events.Key) -> None:
        if latin(event.character or event.key) in (self._closing_key, "q"):
            event.stop()
            self.answer(None)
