"""The commands that bring things into a store and out of it, send it round, and look after it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from npc_align.cli import domain_option, json_option
from npc_align.errors import UserError
from npc_align.progress import watching
from preference_data.options import opened, sqlite_errors, store_option

_SHOWN = 20  # bad rows spelled out on the screen; --json gives them all
_PATH = click.Path(path_type=Path, dir_okay=False)


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


@click.command()
@store_option
@domain_option
def init(store_path: Path, domain_name: str) -> None:
    """Make a new, empty store for a domain.

    Example: npc-pref init --store runs/pref/prefs.db --domain weapon_rental
    """
    from npc_align.domain import load_domain, shipped_domains
    from preference_data.store_file import create_store

    load_domain(domain_name)  # before a folder is made for nothing
    if domain_name not in shipped_domains():
        domain_name = str(Path(domain_name).resolve())  # the store is opened from other folders, too
    store_path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite_errors(store_path):
        store = create_store(store_path, domain_name)
        store.close()
    click.echo(
        f"{store_path}: a new store for the domain {store.domain.name}\n"
        f"Next, lines to judge: npc-pref generate --store {store_path}  (samples a model)\n"
        f"                   or: npc-pref import FILE --store {store_path}  (JSONL, CSV or Parquet)"
    )


@click.command("import")
@click.argument("file", type=_PATH)
@store_option
@click.option("--format", "format", type=click.Choice(["jsonl", "csv", "parquet"]), help="Default: what the file's name says.")
@click.option(
    "--origin",
    metavar="NAME",
    help="Where rows that don't say it come from: corpus (good lines of your own, for npc-pref pair --chosen corpus), edited (mended by a "
    "person: good, too), sampled, corrupted, or any other name.",
)
@json_option
def import_(file: Path, store_path: Path, format: str | None, origin: str | None, as_json: bool) -> None:
    """Add the lines of a file: candidates (attributes and line), or flat records of the domain.

    Further keys that are kept: prompt (or text), finished, origin, group. CSV has a header row of the domain's keys, as UTF-8 or CP949.
    A bad row is reported and left out, and the exit code is 1; the good ones are in. The same file again adds nothing.

    Example: npc-pref import lines.csv --store runs/pref/prefs.db --origin writers
    """
    from preference_data.importing import import_file

    with opened(store_path) as store:
        done = import_file(store, file, format=format, origin=origin, progress=watching("Importing"))
    if as_json:
        _echo_json({**asdict(done), "ignored": dict(done.ignored)})
    else:
        if done.encoding is not None:
            click.echo(f"{file}: read as {_ENCODINGS[done.encoding]}")
        for problem in done.bad[:_SHOWN]:
            click.echo(f"left out: {problem}", err=True)
        if len(done.bad) > _SHOWN:
            click.echo(f"… and {len(done.bad) - _SHOWN} more problems; --json lists them all", err=True)
        if done.ignored:
            click.echo("passed over: " + ", ".join(f"{key} ({count} rows)" for key, count in done.ignored.most_common()))
        click.echo(f"{done.rows} rows: {done.new} new candidates, {done.known} there already, {done.bad_rows} bad and left out")
        if done.new:
            click.echo(f"Next: npc-pref check --store {store_path}")
    if done.bad_rows:
        raise click.exceptions.Exit(1)


_ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with a BOM", "cp949": "CP949"}


@click.command()
@store_option
@click.option("--annotator", required=True, metavar="NAME", help="Who will label, under exactly this name.")
@click.option("--output", required=True, type=_PATH, help="The file to send; a store of its own.")
@json_option
def pack(store_path: Path, annotator: str, output: Path, as_json: bool) -> None:
    """Make a small file for a person on another machine: their tasks, and what these need.

    Example: npc-pref pack --annotator minji --output minji.db
    """
    from preference_data.exchange import pack as write

    with opened(store_path) as store, sqlite_errors(output):
        packed = write(store, annotator, output)
    if as_json:
        _echo_json({**asdict(packed), "domain_file": packed.domain_file and str(packed.domain_file)})
        return
    click.echo(
        f"{output}: {packed.tasks} tasks, {packed.candidates} lines, {packed.events} events of {annotator}, {packed.bytes / 1e6:.1f} MB"
    )
    if packed.domain_file is not None:
        click.echo(f"Send {packed.domain_file} along: both files belong in the folder in which the next command is run")
    click.echo(f"There: npc-pref label --store {output.name} --annotator '{annotator}'\nBack here: npc-pref merge {output.name}")


@click.command()
@click.argument("file", type=_PATH)
@store_option
@json_option
def merge(file: Path, store_path: Path, as_json: bool) -> None:
    """Take back a packed file: what people said, and the lines that they wrote. Twice is no harm, nor is any order.

    Example: npc-pref merge minji.db --store runs/pref/prefs.db
    """
    from preference_data.exchange import merge as take

    with opened(store_path) as store:
        merged = take(store, file)
    if as_json:
        _echo_json(asdict(merged))
        return
    click.echo(
        f"{file}: {merged.events} new events ({merged.known} were here already), {merged.tasks} new tasks, {merged.candidates} new lines"
    )
    if merged.conflicts:
        click.echo(
            f"{merged.conflicts} tasks were judged here and there by the same person, {merged.differing} of them differently; "
            "both judgements are kept, and the later one holds (npc-pref log TASK shows them)"
        )
    if merged.orphans:
        click.echo(f"{merged.orphans} undos wait for a judgement that isn't here yet; another file may bring it")


@click.command()
@store_option
@json_option
def doctor(store_path: Path, as_json: bool) -> None:
    """Say what is wrong with a store. Exit code 1 if it can lose or garble something.

    Example: npc-pref doctor --store runs/pref/prefs.db
    """
    from preference_data.doctor import examine

    findings = examine(store_path)
    healthy = all(finding.level != "error" for finding in findings)
    if as_json:
        _echo_json({"store": str(store_path), "healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.level:<8} {finding.check:<12} {finding.message}")
    if not healthy:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("task", required=False)
@store_option
@click.option("--candidate", metavar="ID", help="Every task with this line.")
@click.option("--pair", nargs=2, metavar="ID ID", help="The task with these two lines.")
@json_option
def log(task: str | None, store_path: Path, candidate: str | None, pair: tuple[str, str] | None, as_json: bool) -> None:
    """Print the audit trail of a task: where its lines come from, the verdicts, who said what and when, and what was taken back.

    The first four or more characters of an id will do.

    Example: npc-pref log 3f9a41c2 --store runs/pref/prefs.db
    """
    from preference_data.trail import find_tasks, readable, trail

    if sum(given is not None for given in (task, candidate, pair)) != 1:
        raise UserError("give one of: TASK, --candidate ID, --pair ID ID; npc-pref log --help says more")
    with opened(store_path) as store:
        told = [trail(store, found) for found in find_tasks(store, task=task, candidate=candidate, pair=pair)]
    if as_json:
        _echo_json(told)
    else:
        click.echo("\n\n".join(map(readable, told)))
