"""npc-data's commands about the checks themselves: speech levels of any text, and the checks beside hand labels."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.cli import domain_option, json_option
from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.progress import watched

if TYPE_CHECKING:
    from npc_align.checks_report import Report

# Everything that loads the morphological analyser is imported inside the commands.


@click.command("speech-level")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@json_option
def speech_level(file: Path, as_json: bool) -> None:
    """The speech level (화계) of every sentence of FILE, a text file with one line to a row ("-" reads standard input).

    \b
    Example:
      npc-data speech-level lines.txt --json
    """
    from npc_align.korean.speech_level import politeness, sentences

    for line in _text_lines(file):
        found = sentences(line)
        if as_json:
            rows = [{"text": s.text, "level": s.level, "start": s.start, "end": s.end} for s in found]
            _echo(json.dumps({"text": line, "politeness": politeness(line), "sentences": rows}, ensure_ascii=False))
        else:
            _echo(f"{politeness(line)}\t{line}")
            for s in found:
                _echo(f"  {s.level or '-'}\t{s.text}")


def _text_lines(file: Path) -> Iterator[str]:
    """The rows of a UTF-8 file, with only the line feed taken off: blank ones count, so that answers stay in step."""
    stream = sys.stdin.buffer if str(file) == "-" else _open(file)
    with stream:
        for number, raw in enumerate(stream, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(f"{file}: row {number} is not UTF-8 ({error.reason}); save the file as UTF-8") from error
            yield text.removesuffix("\n").removesuffix("\r")


def _open(file: Path) -> Any:
    try:
        return file.open("rb")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; give a text file, or - for standard input") from error


def _echo(text: str) -> None:
    # Rows are data: a lone surrogate would make the whole answer unwritable.
    click.echo(text.encode("utf-8", "replace").decode("utf-8"))


@click.command("checks-report")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@domain_option
@json_option
def checks_report_command(files: tuple[Path, ...], domain_name: str, as_json: bool) -> None:
    """Measure the checks on hand-labelled FILES: precision, recall and F1 per kind, speech levels, every disagreement.

    A row has line, attributes and kinds; or text with levels (one per sentence), politeness, or both.

    \b
    Example:
      npc-data checks-report labelled.jsonl
    """
    from npc_align.checks_report import checks_report
    from npc_align.corpus import read_jsonl

    rows = [(f"{file}:{number}", row) for file in files for number, row in read_jsonl(file)]
    if not rows:
        raise UserError(f"{', '.join(map(str, files))}: no rows")
    domain = load_domain(domain_name)
    with watched(rows, "Checking") as shown:
        report = checks_report(shown, domain)
    if as_json:
        _echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        for text in _readable(report):
            _echo(text)


def _readable(report: Report) -> Iterator[str]:
    # Imported here: npc_align.evaluation's statistics are of no use to the other commands.
    from npc_align.evaluation.statistics import wilson

    for kind, score in report.scores.items():
        counts = f"{score.hits} found, {score.false_alarms} false alarms, {score.misses} missed"
        yield f"{kind:<24}precision {score.precision:6.1%}  recall {score.recall:6.1%}  F1 {score.f1:.3f}  ({counts})"
    macro, world = report.macro_f1(), report.world()
    if macro is not None:
        yield f"form kinds: macro F1 {macro:.3f}"
        yield f"world kinds together: precision {world.precision:.1%}, recall {world.recall:.1%}"
    if report.good_lines:
        yield f"good lines accused of anything: {report.alarmed} of {report.good_lines}: {wilson(report.alarmed, report.good_lines)}"
    for title, table in (("speech level of sentences", report.levels), ("politeness of lines", report.sides)):
        if table:
            yield from _confusion(title, table)
    for entry in report.disagreements:
        yield f"{entry['where']}: labelled {_listed(entry['labelled'])}, found {_listed(entry['found'])}: {entry['line']}"


def _confusion(title: str, table: Counter[tuple[str, str]]) -> Iterator[str]:
    right = sum(count for (labelled, found), count in table.items() if labelled == found)
    yield f"{title}: {right} of {table.total()} as labelled ({right / table.total():.1%})"
    for labelled in sorted({pair[0] for pair in table}):
        row = {found: count for (label, found), count in sorted(table.items()) if label == labelled}
        yield f"  {labelled}: {', '.join(f'{found} {count}' for found, count in row.items())}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
