"""`npc-pref label`: the command that starts the labelling program."""

from __future__ import annotations

import gc
import getpass
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from npc_align.errors import UserError
from preference_data.options import opened, store_option

if TYPE_CHECKING:
    from preference_data.label.session import Session
    from preference_data.label.texts import Texts
    from preference_data.store import Store


@click.command()
@store_option
@click.option("--annotator", metavar="NAME", help="Who judges; default: the login name. Tasks are assigned by this name.")
@click.option(
    "--mode", type=click.Choice(["pair", "line"]), default="pair", show_default=True, help="Two lines, or one at a time."
)
@click.option("--lang", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Language of the screen.")
@click.option(
    "--plain", is_flag=True, help="Plain prompts instead of a full screen; chosen by itself where nothing can be drawn."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after N judgements.")
def label(store_path: Path, annotator: str | None, mode: str, lang: str, plain: bool, limit: int | None) -> None:
    """Judge lines on a full screen: 1 or 2 for the better line, 0 for a tie, 9 for two bad ones, ? for all keys.

    Every judgement is on disk before the screen says so. Quit at any time; the same command goes on where you were.

    Example: npc-pref label --annotator min --limit 20
    """
    sit(store_path, annotator, mode, lang, plain=plain, limit=limit)


def sit(
    store_path: Path, annotator: str | None, mode: str, lang: str, *, plain: bool, limit: int | None = None, command: Sequence[str] = ()
) -> None:  # fmt: skip
    """One sitting on the labelling screen, for `npc-pref label` and for whatever else shows lines to people.

    Args:
        command: what goes on with it, where that isn't `npc-pref label`: its words but the annotator.

    Raises:
        UserError: no usable store, or no name.
    """
    from preference_data.label.report import ending, goodbye
    from preference_data.label.texts import Texts

    name, texts = _name(annotator), Texts(lang)
    with opened(store_path) as store:
        with _nothing_to_collect():
            session = _session(store, name, mode, limit, command)
            program = _program(session, texts, draws=not plain and _can_draw())
        try:
            program()
            if session.item is None:
                click.echo("\n".join(ending(session, texts)))
        finally:
            if session.item is not None:
                click.echo(goodbye(session, texts))


def _session(store: Store, name: str, mode: str, limit: int | None, command: Sequence[str]) -> Session:
    from preference_data.label.session import Session

    return Session(store, name, mode, limit, command=command)


def _program(session: Session, texts: Texts, *, draws: bool) -> Callable[[], None]:
    """What lets a person work: a full screen where one can be drawn, else plain prompts."""
    if not draws:
        from preference_data.label.plain import PlainPrompts

        return PlainPrompts(session, texts).run

    from preference_data.label.app import LabelApp

    app = LabelApp(session, texts)

    def full_screen() -> None:
        app.run()
        if app.return_code:
            raise click.exceptions.Exit(app.return_code)

    return full_screen


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """No garbage collection while a long queue and the screen's library load: a third of the time to the first line goes into it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _name(given: str | None) -> str:
    """The annotator's name, in the one form in which names are compared."""
    if given is None:
        try:
            given = getpass.getuser()
        except (KeyError, OSError, ImportError) as error:  # ImportError: Windows, where no variable holds the name
            raise UserError("your login has no name; say who judges with: npc-pref label --annotator NAME") from error
    # npc_align.domain.nfc without the domain: --help and a wrong name shouldn't wait for the checks.
    name = unicodedata.normalize("NFC", given).strip()
    if not name or not name.isprintable():
        raise UserError(f"{given!r} is no name; give one with: npc-pref label --annotator NAME")
    return name


def _can_draw() -> bool:
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on stderr
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "") not in ("dumb", "unknown")
