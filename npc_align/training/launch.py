"""What a training process does before anything heavy is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec

import click

from npc_align.cli import MissingExtra

_NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")

# What a process of this project runs with unless its environment says otherwise.
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # libgomp reads this when torch loads it: how long a waiting thread spins before it sleeps. Its own 300,000 rounds halve the speed
    # where other work shares the cores, and no spinning at all (OMP_WAIT_POLICY=PASSIVE) halves it where the machine is quiet.
    "GOMP_SPINCOUNT": "100000",
}


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


def announce(text: str) -> None:
    """Print once, whatever the number of processes."""
    if os.environ.get("RANK", "0") == "0":
        click.echo(text)
