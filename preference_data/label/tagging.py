"""A reason by plain prompts: which kind of fault, and where. For `label --plain` and for `review`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from npc_align.violation import KINDS
from preference_data.label.hints import visible
from preference_data.label.texts import Texts


@dataclass(frozen=True)
class Tag:
    """A kind of fault with its place in the line; None is the whole line."""

    kind: str
    span: tuple[int, int] | None


def ask_tag(line: str, texts: Texts, ask: Callable[[str], str], *, droppable: bool) -> Tag | str | None:
    """Shows the kinds by number, and asks for one and for its place.

    Args:
        ask: shows a prompt and returns what is typed, "" where nothing is.
        droppable: whether there is a reason that 0 would take away.

    Returns:
        The tag, "drop" where the last reason is to go, None where the person leaves or can't be understood.
    """
    for number, kind in enumerate(KINDS, start=1):
        click.echo(f"{number:>3}  {texts.kind(kind)}")
    if droppable:
        click.echo(f"  0  {texts('plain_drop')}")
    typed = ask(texts("plain_kind"))
    if droppable and typed == "0":
        return "drop"
    if not typed.isdecimal() or not 1 <= int(typed) <= len(KINDS):
        return None
    place = ask(texts("plain_mark"))
    start = visible(line).find(place)
    if start < 0:
        click.echo(texts("plain_no_such_place"))
        return None
    return Tag(KINDS[int(typed) - 1], (start, start + len(place)) if place else None)
