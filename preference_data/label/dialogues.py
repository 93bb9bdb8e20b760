"""What takes a person through several panels: writing a better line, and saying what is wrong where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_data.label.panels import DROP, EditPanel, KindPanel, MarkPanel, SidePanel

if TYPE_CHECKING:
    from preference_data.label.app import LabelScreen


async def edit(screen: LabelScreen) -> None:
    """A line rewritten: one by itself is judged by that, one of a pair waits for the choice."""
    index = await _which(screen, "which_edit")
    if index is None:
        return
    session = screen.session
    panel = EditPanel(
        screen.texts,
        session.text_to_edit(index),
        save=lambda text: session.edit(index, text),
        keep=lambda text: session.leave_unfinished(index, text),
    )
    if not await screen.app.push_screen_wait(panel):
        return
    if screen.item().mode == "line":
        screen.attempt(lambda: screen.judge("fix"))
        return
    screen.show()
    screen.say(screen.texts("edited_now_choose"), "good")


async def give_reason(screen: LabelScreen) -> None:
    """A kind of mistake, and where in the line it is."""
    index = await _which(screen, "which_reason")
    if index is None:
        return
    line = screen.item().lines[index].line
    kind = await screen.app.push_screen_wait(KindPanel(screen.texts, line))
    if kind == DROP:
        screen.attempt(screen.session.drop_reason)
    elif kind is not None:
        mark = await screen.app.push_screen_wait(MarkPanel(screen.texts, kind, line))
        if mark is not None:
            screen.attempt(lambda: screen.session.add_reason(index, kind, None if mark == "whole" else mark))
    screen.show()


async def _which(screen: LabelScreen, question: str) -> int | None:
    """The place of the line that is meant; None where the person leaves, or there is nothing to choose from."""
    item = screen.session.item
    if item is None:
        screen.say(screen.texts("nothing_here"))
        return None
    if item.mode == "line":
        return 0
    return await screen.app.push_screen_wait(SidePanel(screen.texts, question, [line.line for line in item.lines]))
