"""Options that several commands of npc-pref share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
    """The store, closed at the end whatever happens."""
    # Imported here: the store knows the checks, and --help should not wait for them.
    from preference_data.store import open_store

    store = open_store(store_path)
    try:
        yield store
    finally:
        store.close()
