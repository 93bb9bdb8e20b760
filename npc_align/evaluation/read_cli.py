"""`npc-eval read`: people read a blind sample of an evaluation's lines on the labelling screen."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from npc_align.cli import json_option
from npc_align.evaluation.judge_cli import parse_cells
from npc_align.evaluation.terminal import figures

# The labelling screen belongs to the stage between the trainings, which this library doesn't import: it is run as the user would.
_NPC_PREF = (sys.executable, "-c", "from preference_data.cli import main; main(prog_name='npc-pref')")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--annotator", metavar="NAME", help="Who reads; default: the login name.")
@click.option(
    "--cells", metavar="MODEL/DECODING,…", default="",
    help="Whose lines. Default: the headline's two models, else the last two, under default decoding.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(1), default=60, show_default=True, help="Lines of each cell, for the same prompts.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other prompts and another order.")
@click.option("--score", "score_only", is_flag=True, help="Only report what has been read so far.")
@click.option("--lang", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Language of the screen.")
@click.option("--plain", is_flag=True, help="Plain prompts instead of a full screen.")
@json_option
def read(
    folder: Path, annotator: str | None, cells: str, count: int, seed: int, score_only: bool, lang: str, plain: bool, as_json: bool
) -> None:  # fmt: skip
    """Read lines of FOLDER blind: an unselected, shuffled sample over models, one line at a time on the labelling screen.

    Nothing on the screen tells whose line it is. Quit at any time: the same command goes on, and at the end, or with --score, the shares
    of lines called good are printed and written to FOLDER/readings.json. Every reader runs it under their own name; for a reader
    on another machine, npc-pref pack and merge work on the sample's store, FOLDER/reading/<id>/sample.db.

    \b
    Example:
      npc-eval read runs/eval --cells sft/default,dpo/default --count 60 --annotator 민지
      npc-eval read runs/eval --cells sft/default,dpo/default --count 60 --score
    """
    from npc_align.evaluation.folder import read_result
    from npc_align.evaluation.reading import JUDGED, SAMPLE, draw, score, usual_cells

    result = read_result(folder)
    home = draw(folder, result, parse_cells(cells) or usual_cells(result), count, seed)
    command = [*_NPC_PREF, "read", str(home / SAMPLE), "--output", str(home / JUDGED), "--domain", result.domain, "--lang", lang]
    command += ["--annotator", annotator] if annotator else []
    command += ["--plain"] if plain else []
    command += ["--called-by", shlex.join(_again(folder, cells, count, seed))]
    done = subprocess.run([*command, "--no-screen"] if score_only else command, check=False)
    if done.returncode:  # it has said itself what is wrong
        raise click.exceptions.Exit(done.returncode)
    found = score(folder, home)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else readable(found))


def _again(folder: Path, cells: str, count: int, seed: int) -> list[str]:
    """This command, without the reader: what goes on with the same sample."""
    named = ["--cells", cells] if cells else []
    return ["npc-eval", "read", str(folder), *named, "--count", str(count), "--seed", str(seed)]


def readable(found: Mapping[str, Any]) -> str:
    """Shares of good lines per cell and reader, differences and agreement."""
    if not found["readers"]:
        return "nothing has been read yet"
    rows = [f"good lines, by {', '.join(found['readers'])}; {found['count']} prompts drawn with seed {found['seed']}"]
    for cell in found["cells"]:
        good = figures(cell["good"]) if cell["good"] else "none read"
        rows.append(f"  {cell['model'] + '/' + cell['decoding']:<40}{good}  {cell['read']} lines read")
        if len(found["readers"]) > 1:
            rows += [f"    {reader:<38}{figures(rate)}" for reader, rate in cell["by_reader"].items()]
    for step in found["differences"]:
        first, second = (f"{step[side]['model']}/{step[side]['decoding']}" for side in ("first", "second"))
        rows.append(f"  {second + ' - ' + first:<40}{figures(step, signed=True)}  paired, {step['prompts']} prompts")
    if found["agreement"]:
        alpha = found["agreement"]["alpha"]
        shown = "not defined: all verdicts are the same" if alpha is None else f"{alpha:.2f}"
        rows.append(
            f"  readers agree: {figures(found['agreement']['same'])} of {found['agreement']['lines']} lines; alpha {shown}"
        )
    return "\n".join(rows)
