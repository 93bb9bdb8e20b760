"""Options that several commands of npc-pref share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.errors import UserError

if TYPE_CHECKING:
    from preference_data.store import Store

DEFAULT_STORE = Path("runs/pref/prefs.db")
# The formats of `npc-pref export` and the names that their files may have, the usual one first. Here, because --help names them.
EXPORT_FORMATS = {
    "dpo": (".jsonl", ".parquet"),
    "kto": (".jsonl", ".parquet"),
    "sft": (".jsonl", ".parquet"),
    "argilla": (".jsonl",),
    "label-studio": (".json",),
    "csv": (".csv",),
}


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--store`, passed as `store_path`."""
    return click.option(
        "--store",
        "store_path",
        default=DEFAULT_STORE,
        show_default=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="The project's store; npc-pref init makes one.",
    )(command)


@contextmanager
def opened(store_path: Path) -> Iterator[Store]:
    """The store, closed at the end whatever happens.

    Raises:
        UserError: no usable store, or the machine doesn't let it be read or written.
    """
    # Imported here: the store knows the checks, and --help should not wait for them.
    from preference_data.store_file import open_store

    with sqlite_errors(store_path):
        store = open_store(store_path)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def sqlite_errors(store_path: Path) -> Iterator[None]:
    """What the machine forbids SQLite, in words for users."""
    import sqlite3

    try:
        yield
    except sqlite3.OperationalError as error:
        # Extended codes begin with the name of their primary one, such as SQLITE_READONLY_DIRECTORY.
        told = next((text for name, text in _FORBIDDEN.items() if error.sqlite_errorname.startswith(name)), None)
        if told is None:
            raise
        raise UserError(f"{store_path}: {told} ({error})") from error


_FORBIDDEN = {
    "SQLITE_READONLY": "the store, or its folder, is read-only; make both writable, or copy the store to a folder of your own",
    "SQLITE_CANTOPEN": "the store can't be opened; it and its folder must be readable and writable",
    "SQLITE_FULL": "the disk is full; make room and run the same command again, it goes on",
    "SQLITE_BUSY": "another program has been writing to the store for over half a minute; wait for it and run the same command again",
    "SQLITE_IOERR": "the disk can't be read or written; see: npc-pref doctor",
}
