"""How fast the checks are: lines a second beside Kiwi's bare tokenisation, and how long loading takes.

    python benchmarks/checks_speed.py [--json FILE]

Both sides run in this process on one core, chunk by chunk in turn, so that a host whose speed wanders slows both alike. Every line is new
to the caches. CPU seconds, not wall seconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

_CHUNK = 300
_LOAD = (
    "import time; t = time.process_time()\n"
    "from npc_align.checks import check_line; from npc_align.domain import load_domain\n"
    "check_line('반갑습니다.', {}, load_domain('weapon_rental')); print(time.process_time() - t)"
)


def _rate(work: Callable[[Any], Any], things: Sequence[Any]) -> float:
    started = time.process_time()
    for thing in things:
        work(thing)
    return len(things) / (time.process_time() - started)


def measure() -> dict[str, float]:
    """Medians over chunks of the shipped corpus: lines per CPU second of both sides, their ratio, and seconds to load."""
    from npc_align.checks import check_line
    from npc_align.corpus import read_examples
    from npc_align.domain import default_corpus, load_domain
    from npc_align.korean import speech_level

    domain = load_domain("weapon_rental")
    examples = read_examples(default_corpus("weapon_rental"), domain)
    kiwi = speech_level.kiwi()
    kiwi.tokenize("반갑습니다.")
    chunks = [examples[i : i + _CHUNK] for i in range(0, len(examples) - _CHUNK + 1, _CHUNK)]
    ours, bare = [], []
    for chunk in chunks:
        bare.append(_rate(lambda e: kiwi.tokenize(e.line), chunk))
        ours.append(_rate(lambda e: check_line(e.line, e.attributes, domain), chunk))
    loads = [float(subprocess.run([sys.executable, "-c", _LOAD], check=True, capture_output=True).stdout) for _ in range(3)]
    return {
        "checks_lines_per_second": statistics.median(ours),
        "kiwi_lines_per_second": statistics.median(bare),
        "checks_over_kiwi": statistics.median(a / b for a, b in zip(ours, bare, strict=True)),
        "load_seconds": statistics.median(loads),
    }


@click.command()
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
def main(output: Path | None) -> None:
    """Time check_line beside Kiwi's bare tokenisation."""
    figures = measure()
    for name, value in figures.items():
        click.echo(f"{name.replace('_', ' '):<26}{value:10.2f}")
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
