"""The commands for several people: assign, agreement, review, stats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import click

from npc_align.cli import json_option
from npc_align.progress import watching
from preference_data.options import opened, store_option

# The modules that count are imported inside the commands: npc-pref --help must not wait for them.


@click.command()
@store_option
@click.option("--annotators", required=True, metavar="NAME,NAME,…", help="Who judges, with commas between.")
@click.option("--overlap", default=1, show_default=True, type=int, help="How many annotators judge each task.")
@click.option(
    "--tasks", "limit", type=click.IntRange(1), help="At most this many tasks, in the order of showing.  [default: all]"
)
@click.option("--mode", default="pair", show_default=True, type=click.Choice(["pair", "line"]))
@json_option
def assign(store_path: Path, annotators: str, overlap: int, limit: int | None, mode: str, as_json: bool) -> None:
    """Give the tasks to annotators, evenly, with about 5 % coming back blind.

    Run it again when there are new tasks: what is assigned stays. An annotator who is new takes over tasks from the others that
    these haven't judged, until all have as much to do. From the first assignment on, everybody sees their own tasks only.

    Example: npc-pref assign --annotators mina,junho,sora --overlap 2
    """
    from npc_align.domain import nfc
    from preference_data.assign import assign as give

    names = [str(nfc(name)).strip() for name in annotators.split(",")]
    with opened(store_path) as store:
        loads = give(store, names, overlap, mode, limit)
    if as_json:
        _print_json(loads)
        return
    header = ["annotator", "new", "taken over", "handed over", "tasks", "open", "repeats"]
    _print_table([header, *([name, *map(str, asdict(load).values())] for name, load in loads.items())])
    if not any(load.new or load.taken_over for load in loads.values()):
        click.echo(f"Nothing new: every task already has {overlap} annotators.")
    elif any(load.handed_over for load in loads.values()):
        click.echo("Tasks changed hands: who works from a packed file needs a new one (npc-pref pack).")


@click.command()
@store_option
@json_option
def agreement(store_path: Path, as_json: bool) -> None:
    """How far annotators agree with each other, and with themselves.

    Raw agreement, Krippendorff's alpha with a 95 % interval, pairwise Cohen's kappa, self-consistency on the tasks that came back,
    and how often the left line is chosen; by mode and by kind of violation. A mended line counts as bad, a skip as nothing said.

    Example: npc-pref agreement --json
    """
    from preference_data.agreement import agreement as measure

    with opened(store_path) as store:
        found = measure(store, watching("Measuring"))
    if as_json:
        _print_json(found)
        return
    from preference_data.people_text import agreement_text

    click.echo(agreement_text(found) or "Nobody has judged anything yet; start with: npc-pref label")


@click.command()
@store_option
@click.option("--annotator", "editor", metavar="EDITOR", help="Whose word it is; needed unless --list.")
@click.option("--lang", "language", default="ko", show_default=True, type=click.Choice(["ko", "en"]))
@click.option("--list", "only_list", is_flag=True, help="Print the list and end.")
@json_option
def review(store_path: Path, editor: str | None, language: str, only_list: bool, as_json: bool) -> None:
    """Settle what annotators disagree about, flagged, or judged against the checks, most telling first.

    Each answer is an adjudication: the last word on its task. It is saved at once; the same command goes on where you left.

    Example: npc-pref review --list
    """
    from npc_align.domain import nfc
    from preference_data.review import cases, to_row
    from preference_data.review_prompt import told, walk

    if as_json and not only_list:
        raise click.UsageError("--json goes with --list: an editor's walk is no data")
    name = str(nfc(editor or "")).strip()
    if not only_list and not name:
        raise click.UsageError("say whose word it is: npc-pref review --annotator NAME (or --list to see what there is)")
    with opened(store_path) as store:
        if not only_list:
            walk(store, name, language)
        elif as_json:
            _print_json([to_row(case) for case in cases(store)])
        else:
            for number, case in enumerate(cases(store), start=1):
                click.echo(f"[{number}] {told(case, store.domain, language)}\n")


@click.command()
@store_option
@json_option
def stats(store_path: Path, as_json: bool) -> None:
    """Pace and progress, what was judged, and the checks against people's tags.

    Precision and recall of each check are over lines that people tagged (or called good, in line mode) without seeing the checker's
    hints, by today's rules. False alarms and missed faults are shown, so that a wrong rule is found.

    Example: npc-pref stats
    """
    from preference_data.people_stats import stats as measure

    with opened(store_path) as store:
        found = measure(store)
    if as_json:
        _print_json(found)
        return
    from preference_data.people_text import stats_text

    click.echo(stats_text(found, store_path))


def _print_json(found: Any) -> None:
    click.echo(json.dumps(found, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    assert is_dataclass(value), value
    assert not isinstance(value, type)
    return asdict(value)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    from preference_data.people_text import table

    click.echo(table(rows))
