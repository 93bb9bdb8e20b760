"""What a training process does before anything heavy is imported."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import click

from npc_align.cli import MissingExtra
from npc_align.errors import UserError

_NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")

# What a process of this project runs with unless its environment says otherwise.
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # libgomp reads this when torch loads it: how long a waiting thread spins before it sleeps. Its own 300,000 rounds halve the speed
    # where other work shares the cores, and no spinning at all (OMP_WAIT_POLICY=PASSIVE) halves it where the machine is quiet.
    "GOMP_SPINCOUNT": "100000",
}


_LONGEST_BUILD = 1800  # seconds; half a minute is usual


def quiet_libraries() -> None:
    """Telemetry off, and a clear word where the `[train]` extra is missing.

    Raises:
        MissingExtra: a training library isn't installed.
    """
    for module in _NEEDED:
        if find_spec(module) is None:
            raise MissingExtra(module, "train")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def refuse_dead_locks() -> None:
    """Before DeepSpeed builds its operators: torch waits, without a word and for ever, for a build that was killed.

    Raises:
        UserError: a lock older than any build takes.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") != "true":
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or cache / "torch_extensions")
    # torch puts a folder for Python and device in between, unless the variable names one.
    own = "" if "TORCH_EXTENSIONS_DIR" in os.environ else f"py{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}_*/"
    for lock in folder.glob(f"{own}*/lock"):
        with suppress(FileNotFoundError):  # released by the run that held it
            if time.time() - lock.stat().st_mtime > _LONGEST_BUILD:
                raise UserError(
                    f"{lock}: a build of {lock.parent.name} was killed and left this lock, for which a run that needs it would wait. "
                    "Remove that file and start again"
                )


def announce(text: str) -> None:
    """Print once, whatever the number of processes."""
    if os.environ.get("RANK", "0") == "0":
        click.echo(text)
