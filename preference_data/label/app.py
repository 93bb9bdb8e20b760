"""The full-screen program: two lines (or one) before a person, a key for everything that can be said of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from npc_align.domain import nfc
from preference_data.label import report
from preference_data.label.guideline import read_guideline
from preference_data.label.hints import Hints, fresh_hints, stored_hints
from preference_data.label.items import Item, Refused
from preference_data.label.keys import command, composed_hangul
from preference_data.label.session import Session
from preference_data.label.texts import Texts
from preference_data.label.widgets import Card, KeyButton, KeyRow, LineBox, packed

_FOOT = {
    "pair": (
        ("left", "right", "tie", "both_bad", "skip"),
        ("undo", "edit", "reason", "flag", "hints", "guideline", "help", "leave"),
    ),
    "line": (("good", "bad", "fix", "skip"), ("undo", "reason", "flag", "hints", "guideline", "help", "leave")),
}
_CARD_ROWS = 7
_SMALLEST = (60, 15)  # columns and rows; below that something is out of sight
_AT_THE_END = ("undo", "guideline", "help", "leave")


class LabelScreen(Screen[None]):
    """The card, the lines, what was said of them so far, and the keys."""

    DEFAULT_CSS = """
    #top { height: 1; }
    #title { width: auto; text-style: bold; }
    #progress { width: 1fr; text-align: right; }
    #lines { height: 1fr; }
    #draft { height: auto; max-height: 4; padding: 0 1; }
    #status { height: auto; max-height: 2; padding: 0 1; }
    #status.good { color: $success; text-style: bold; }
    #status.bad { color: $error; text-style: bold; }
    #end { height: 1fr; padding: 1 2; border: round $success; }
    """

    def __init__(self, session: Session, texts: Texts) -> None:
        super().__init__()
        self.session, self.texts = session, texts
        self._hints: dict[tuple[str, int], Hints] = {}
        self._hints_on = False
        self._in_dialogue = self._too_small = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Static(id="title", markup=False)
            yield Static(id="progress", markup=False)
        with Vertical(id="task"):
            yield Card(self.session.store.domain)
            with Horizontal(id="lines"):
                yield LineBox(0)
                yield LineBox(1)
            yield Static(id="draft", markup=False)
        yield Static(id="end", markup=False)
        yield Static(id="status", markup=False)
        yield Vertical(id="foot")

    def on_mount(self) -> None:
        self._key_rows: list[tuple[str, ...]] = []
        self.show()

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        # The lines come first: on a low screen the card scrolls.
        self.query_one(Card).styles.max_height = min(_CARD_ROWS, height * 2 // 5)
        self._show_keys(self.session.item)
        too_small = width < _SMALLEST[0] or height < _SMALLEST[1]
        if too_small or self._too_small:
            self.say(self.texts("too_small", width=width, height=height) if too_small else "")
        self._too_small = too_small

    # --- What stands on the screen

    def show(self) -> None:
        """Brings the screen up to what the session says."""
        item = self.session.item
        self.query_one("#progress", Static).update(report.progress(self.session, self.texts))
        self.query_one("#title", Static).update("" if item is None else self.texts(f"title_{item.mode}"))
        self.query_one("#task").display = item is not None
        end = self.query_one("#end", Static)
        end.display = item is None
        if item is None:
            end.update("\n".join([*report.ending(self.session, self.texts), "", self.texts("end_keys")]))
        else:
            self._show_item(item)
        self._show_keys(item)

    def _show_item(self, item: Item) -> None:
        self.query_one(Card).show(item.lines[0].attributes)
        hints = self._hints.get(item.key)
        for index, box in enumerate(self.query(LineBox)):
            box.display = index < len(item.lines)
            if not box.display:
                continue
            box.border_title = report.label(self.session, index, self.texts)
            marks = [(r.start, r.end) for r in self.session.draft.reasons if r.side == item.sides[index]]
            spans = [(start, end) for start, end in marks if start is not None and end is not None]
            below = report.hint_lines(hints, index, self.texts) if self._hints_on else None
            box.show(item.lines[index].line, spans, hints[index] if hints and self._hints_on else None, below)
        said = report.draft_lines(self.session, self.texts)
        self.query_one("#draft", Static).update("\n".join(said))
        self.query_one("#draft").display = bool(said)

    def _show_keys(self, item: Item | None) -> None:
        groups = (_AT_THE_END,) if item is None else _FOOT[item.mode]
        rows = [row for group in groups for row in packed(self.texts, group, self.size.width)]
        if len(rows) > len(groups):
            rows = packed(self.texts, sum(groups, ()), self.size.width)
        if rows != self._key_rows:
            self._key_rows = rows
            foot = self.query_one("#foot", Vertical)
            foot.styles.height = len(rows)
            self.call_later(self._replace_keys, foot, rows)

    async def _replace_keys(self, foot: Vertical, rows: list[tuple[str, ...]]) -> None:
        await foot.remove_children()
        await foot.mount(*(KeyRow(self.texts, row) for row in rows))

    def say(self, text: str, tone: str = "") -> None:
        """A message in the status line; tone "good" or "bad"."""
        status = self.query_one("#status", Static)
        status.update(text)
        status.set_class(tone == "good", "good")
        status.set_class(tone == "bad", "bad")

    # --- Keys and mouse

    def on_key(self, event: events.Key) -> None:
        key = event.character if event.character and event.is_printable else event.key
        if key in ("pageup", "pagedown"):
            for box in self.query(LineBox):
                box.scroll_page_down() if key == "pagedown" else box.scroll_page_up()
            return
        if composed_hangul(key):
            self.say(self.texts("hangul"), "bad")
            return
        name = command(key, self.session.item.mode if self.session.item else self.session.mode)
        if name is not None:
            event.stop()
            self.do(name)
        elif event.is_printable:
            self.say(self.texts("unknown_key"))

    def on_paste(self, event: events.Paste) -> None:
        # Some input methods hand a finished syllable over as if it were pasted; on macOS in parts.
        self.say(self.texts("hangul" if any(map(composed_hangul, nfc(event.text))) else "unknown_key"), "bad")

    def on_key_button_pressed(self, message: KeyButton.Pressed) -> None:
        self.do(message.command)

    def on_line_box_chosen(self, message: LineBox.Chosen) -> None:
        if self.session.item is not None and self.session.item.mode == "pair":
            self.do(("left", "right")[message.index])

    def do(self, name: str) -> None:
        """Carries out a command: one of those below, or else a choice.

        Keys typed ahead while a panel opens, or between two panels, come here and mean nothing: "e1" must not choose A.
        """
        if self._in_dialogue or self.app.screen is not self:
            return
        action = getattr(self, f"do_{name}", None)
        self.attempt(action or (lambda: self.judge(name)))

    def attempt(self, action: Callable[[], object]) -> None:
        """Does something; what can't be done or saved is told in the status line."""
        try:
            action()
        except Refused as refusal:
            self.say(self.texts(str(refusal)))
        except sqlite3.Error as error:
            self.say(self.texts("not_saved", error=error), "bad")

    # --- Commands

    def judge(self, choice: str) -> None:
        """Saves a choice and shows what comes next."""
        saved = self.session.judge(choice)
        self._hints_on = False
        self.show()
        self.say(report.saved(saved, self.texts), "good")

    def do_undo(self) -> None:
        event = self.session.undo()
        assert event.judgement is not None
        self._hints_on = False
        self.show()
        self.say(self.texts("undone", choice=self.texts.choice(self.session.draft.taken_back or "skip")))

    def do_flag(self) -> None:
        self.session.toggle_flag()
        self.show()

    def do_edit(self) -> None:
        from preference_data.label.dialogues import edit  # its panels take longer to load than the first line may take to come

        self._hold(edit(self))

    do_fix = do_edit

    def do_reason(self) -> None:
        from preference_data.label.dialogues import give_reason

        self._hold(give_reason(self))

    def _hold(self, dialogue: Coroutine[Any, Any, None]) -> None:
        """Leads through panels, and lets no key by until the last one is closed."""
        self._in_dialogue = True
        self.run_worker(self._held(dialogue))

    async def _held(self, dialogue: Coroutine[Any, Any, None]) -> None:
        try:
            await dialogue
        finally:
            self._in_dialogue = False

    def do_hints(self) -> None:
        item = self.item()
        self._hints_on = not self._hints_on
        if self._hints_on:
            self.session.saw_hints()
            found = self._hints.get(item.key) or stored_hints(self.session.store, item)
            if found is None:
                self._check(item)
            else:
                self._hints[item.key] = found
        self.show()

    @work(thread=True)
    def _check(self, item: Item) -> None:
        found = fresh_hints(self.session.store.domain, item)
        self.app.call_from_thread(self._checked, item, found)

    def _checked(self, item: Item, found: Hints) -> None:
        self._hints[item.key] = found
        self.show()

    def do_guideline(self) -> None:
        from textual.widgets import Markdown

        from preference_data.label.panels import ReadingPanel

        path, text = read_guideline(self.session.store)
        shown = Markdown(text or self.texts("no_guideline", path=path))
        self.app.push_screen(ReadingPanel(self.texts, "guideline", shown, "g"))

    def do_help(self) -> None:
        from preference_data.label.panels import ReadingPanel

        self.app.push_screen(ReadingPanel(self.texts, "help", Static(self.texts("help"), markup=False), "?"))

    def do_leave(self) -> None:
        self.app.exit()

    def item(self) -> Item:
        """What is before the person.

        Raises:
            Refused: nothing is.
        """
        if self.session.item is None:
            raise Refused("nothing_here")
        return self.session.item


class LabelApp(App[None]):
    """`npc-pref label` on a terminal that can draw."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False  # a click that slips by one cell is a click all the same
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "leave", show=False, priority=True)]

    def __init__(self, session: Session, texts: Texts) -> None:
        super().__init__()
        self._session, self._texts = session, texts

    def get_default_screen(self) -> LabelScreen:
        return LabelScreen(self._session, self._texts)

    def action_leave(self) -> None:
        """Ends the program; whatever is half-written in an open panel is kept for the next time."""
        for screen in self.screen_stack:
            if hasattr(screen, "before_exit"):
                screen.before_exit()
        self.exit()
