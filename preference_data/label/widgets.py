"""The pieces of the screen: the card of attributes, a line in its box, the keys that can be clicked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, ItemGrid, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from npc_align.domain import Attribute, Attributes, Domain
from preference_data.label.hints import visible
from preference_data.label.texts import Texts


class Card(VerticalScroll, can_focus=False):
    """The attributes of whoever speaks, in as many columns as fit; the personality stands out."""

    DEFAULT_CSS = """
    Card { height: auto; border: round $primary; padding: 0 1; }
    Card ItemGrid { height: auto; grid-gutter: 0 1; }
    """

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self._attributes = domain.attributes
        self._personality = domain.roles.get("personality")

    def compose(self) -> ComposeResult:
        with ItemGrid(min_column_width=max(map(_width, self._attributes))):
            for _ in self._attributes:
                yield Static()

    def show(self, attributes: Attributes) -> None:
        for cell, attribute in zip(self.query(Static), self._attributes, strict=True):
            value = attributes.get(attribute.key)
            label = "—" if value is None else attribute.labels.get(value, str(value))
            style = "bold reverse" if attribute.key == self._personality else "bold"
            cell.update(Content.assemble((_title(attribute), "dim"), " ", (label, style)))


def _title(attribute: Attribute) -> str:
    """The attribute as a person reads it: keys have no spaces."""
    return attribute.prompt_key.replace("_", " ")


def _width(attribute: Attribute) -> int:
    return cell_len(attribute.prompt_key) + 1 + max(cell_len(label) for label in attribute.labels.values())


class LineBox(VerticalScroll, can_focus=False):
    """One line, with the marked places and, where asked for, the checker's hints below it."""

    DEFAULT_CSS = """
    LineBox { width: 1fr; border: round $secondary; padding: 0 1; }
    LineBox:hover { border: round $accent; }
    LineBox Static { height: auto; }
    LineBox .hints { color: $warning; margin-top: 1; }
    """

    class Chosen(Message):
        """Somebody clicked on the box."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, index: int) -> None:
        super().__init__(id=f"line-{index}")
        self._index = index

    def compose(self) -> ComposeResult:
        yield Static(classes="line")
        yield Static(classes="hints")

    def show(
        self, line: str, marks: Iterable[tuple[int, int]], hints: Sequence[Mapping[str, Any]] | None, message: str | None
    ) -> None:
        """Shows a line with marked spans; `hints` underlines their places, and `message` stands below."""
        content = Content(visible(line))
        for start, end in marks:
            content = content.stylize("reverse", start, end)
        for hint in hints or ():
            content = content.stylize("underline", hint["start"], hint["end"])
        self.query_one(".line", Static).update(content)
        below = self.query_one(".hints", Static)
        below.display = message is not None
        below.update(Content(message or ""))
        self.scroll_home(animate=False)

    def on_click(self) -> None:
        self.post_message(self.Chosen(self._index))


class KeyButton(Static):
    """A key with its meaning; a click does what the key does."""

    class Pressed(Message):
        """Somebody clicked on the key."""

        def __init__(self, command: str) -> None:
            super().__init__()
            self.command = command

    def __init__(self, command: str, text: str) -> None:
        super().__init__(text, id=f"key-{command.replace('_', '-')}", markup=False)
        self._command = command

    def on_click(self) -> None:
        self.post_message(self.Pressed(self._command))


_GAP = 2  # cells between two keys, KeyButton's margin


class KeyRow(Horizontal):
    """A row of keys at the foot of the screen."""

    DEFAULT_CSS = """
    KeyRow { height: 1; }
    KeyRow KeyButton { width: auto; margin-right: 2; color: $text-muted; }
    KeyRow KeyButton:hover { text-style: reverse; }
    """

    def __init__(self, texts: Texts, commands: Sequence[str]) -> None:
        super().__init__(*(KeyButton(command, texts(f"key_{command}")) for command in commands))


def packed(texts: Texts, commands: Sequence[str], width: int) -> list[tuple[str, ...]]:
    """The keys in as few rows of this width as hold them whole."""
    rows: list[tuple[str, ...]] = []
    left = 0
    for command in commands:
        needed = cell_len(texts(f"key_{command}"))
        if not rows or needed > left:
            rows.append(())
            left = width
        rows[-1] += (command,)
        left -= needed + _GAP
    return rows
