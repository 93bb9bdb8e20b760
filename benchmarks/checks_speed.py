"""How fast the checks are beside Kiwi's bare tokenisation, what each of them costs, and what loading takes.

    python benchmarks/checks_speed.py [--json FILE] [--lines N]

Everything runs in this process on one core, chunk by chunk in turn, so that a host whose speed wanders slows all alike: trust the ratios
more than the milliseconds. Every line is new to the caches. CPU seconds, not wall seconds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

_CHUNK = 100
_WARM_UP = 200
_LOADS = 3
# Parts of loading in the order in which they happen; each prints its CPU seconds.
_LOAD = """
import time
def part(name, work):
    started = time.process_time()
    result = work()
    print(name, time.process_time() - started)
    return result
def imports():
    import npc_align.checks, npc_align.domain
    return npc_align
house = part("imports", imports)
domain = part("domain", lambda: house.domain.load_domain("weapon_rental"))
from npc_align.korean.morphemes import kiwi
part("Kiwi", lambda: kiwi().tokenize("반갑습니다."))
attributes = dict(domain.probes[0])
part("first line", lambda: house.checks.check_line("지난번에 빌린 것 덕분에 이겼습니다.", attributes, domain))
"""


def _seconds(work: Callable[[Any], Any], things: Sequence[Any]) -> float:
    started = time.process_time()
    for thing in things:
        work(thing)
    return time.process_time() - started


def _jobs() -> tuple[list[Any], dict[str, Callable[[Any], Any]]]:
    """The examples, in an order that mixes personalities, and what is done with each of them: the checks in turn, each on its own."""
    from npc_align.checks import CHECKS
    from npc_align.corpus import read_examples
    from npc_align.domain import default_corpus, load_domain
    from npc_align.korean.morphemes import kiwi, tokens

    domain = load_domain("weapon_rental")
    examples = sorted(read_examples(default_corpus("weapon_rental"), domain), key=lambda e: zlib.crc32(e.line.encode()))
    jobs: dict[str, Callable[[Any], Any]] = {
        "Kiwi": lambda e: kiwi().tokenize(e.line),
        "Kiwi and its tokens": lambda e: tokens(e.line),  # from here on they are in the cache
    }
    jobs |= {name: lambda e, check=check: check(e.line, e.attributes, domain) for name, check in CHECKS.items()}
    return list(examples), jobs


def measure(lines: int) -> dict[str, Any]:
    """Milliseconds a line and shares of Kiwi's time, medians over chunks of the shipped corpus; CPU seconds of loading's parts."""
    examples, jobs = _jobs()
    for work in jobs.values():
        _seconds(work, examples[:_WARM_UP])
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for begin in range(_WARM_UP, min(_WARM_UP + lines, len(examples)) - _CHUNK + 1, _CHUNK):
        for name, work in jobs.items():
            spent[name].append(_seconds(work, examples[begin : begin + _CHUNK]) / _CHUNK)
    kiwi, read = spent["Kiwi"], spent["Kiwi and its tokens"]
    own = [sum(costs) for costs in zip(*(spent[name] for name in list(jobs)[2:]), strict=True)]
    spent |= {"checks": own, "all": [a + b for a, b in zip(own, read, strict=True)]}
    return {
        "milliseconds_per_line": {name: 1000 * statistics.median(costs) for name, costs in spent.items()},
        "of_kiwi": {name: statistics.median(a / b for a, b in zip(costs, kiwi, strict=True)) for name, costs in spent.items()},
        "lines_per_second": {name: 1 / statistics.median(spent[name]) for name in ("Kiwi", "all")},
        "load_cpu_seconds": _loading(),
    }


def _loading() -> dict[str, float]:
    """Medians over fresh processes."""
    runs = []
    for _ in range(_LOADS):
        printed = subprocess.run([sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True).stdout
        runs.append({name: float(seconds) for name, seconds in (line.rsplit(" ", 1) for line in printed.splitlines())})
    parts = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {**parts, "all": statistics.median(sum(run.values()) for run in runs)}


def _table(figures: dict[str, Any]) -> str:
    rows = [f"{'':<22}{'ms a line':>10}{'of Kiwi':>10}"]
    for name, cost in figures["milliseconds_per_line"].items():
        rows.append(f"{name:<22}{cost:10.3f}{figures['of_kiwi'][name]:10.2f}")
    rows += ["", *(f"{name:<22}{rate:10.0f} lines a second" for name, rate in figures["lines_per_second"].items())]
    rows += ["", *(f"loading: {name:<13}{cost:10.2f} s" for name, cost in figures["load_cpu_seconds"].items())]
    return "\n".join(rows)


@click.command()
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
@click.option("--lines", default=3000, show_default=True, type=click.IntRange(min=_CHUNK), help="How many lines to check.")
def main(output: Path | None, lines: int) -> None:
    """Time the checks beside Kiwi's bare tokenisation."""
    figures = measure(lines)
    click.echo(_table(figures))
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
