"""`npc-eval judge`: what judges that pairs never saw say of an evaluation folder's lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from npc_align.cli import json_option, listed
from npc_align.errors import UserError
from npc_align.evaluation.folder import CellName
from npc_align.evaluation.terminal import figures


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--corpus", type=click.Path(path_type=Path), help="Corpus that the judges learn from; default: the evaluation's.")
@click.option("--domain", "domain_name", metavar="NAME|PATH", help="Default: the evaluation's.")
@click.option(
    "--seed-model", metavar="RUN", help="An SFT run of another seed than the models judged, for counterfactual likelihood."
)
@click.option("--base-model", metavar="PATH", help="Pretrained model that measures fluency; default: the models' own base.")
@click.option(
    "--held-out-kinds", metavar="KIND,…", help="Checks that took no part in the pairs; default: as the DPO runs' pairs say."
)
@click.option("--judge", "names", multiple=True, metavar="NAME", help="Only this judge; can be given several times.")
@click.option(
    "--cells", metavar="MODEL/DECODING,…", default="",
    help="Only these cells. Default: all; judges that run a model take `default` decoding and the headline's tuned one.",
)  # fmt: skip
@click.option(
    "--costly-lines", type=click.IntRange(1), metavar="N", help="Judges that run a model look at N lines of a cell only."
)
@json_option
def judge(
    folder: Path, corpus: Path | None, domain_name: str | None, seed_model: str | None, base_model: str | None,
    held_out_kinds: str | None, names: tuple[str, ...], cells: str, costly_lines: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Judge the lines of FOLDER by judges that the preference pairs never saw, and write FOLDER/judges.json.

    Words and endings unknown to corpus and Kiwi; classifiers of personality and quest result (pip install 'npc-align[train]');
    checks held out of the pairs; fluency under the base model; counterfactual likelihood under an SFT run of another seed.
    What was judged before isn't judged again; a judge that can't judge is named with the reason and doesn't fail the command.

    \b
    Example:
      npc-eval judge runs/eval --seed-model runs/sft-seed43
    """
    from npc_align.domain import default_corpus, load_domain
    from npc_align.evaluation.folder import read_result
    from npc_align.evaluation.judges.base import Setting
    from npc_align.evaluation.judges.judging import judge_folder

    result = read_result(folder)
    world = domain_name or result.domain
    own = Path(result.corpus) if result.corpus else None
    kinds = None if held_out_kinds is None else _kinds(held_out_kinds)
    source = corpus or own or default_corpus(world)
    setting = Setting(folder, result, load_domain(world), source, seed_model, base_model, kinds, costly_lines)
    found = judge_folder(setting, names, parse_cells(cells))
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else readable(found))
    for name, reason in found["skipped"].items():
        click.secho(f"skipped: {name}: {reason}", fg="yellow", err=True)


def parse_cells(text: str) -> list[CellName]:
    """Cells as `model/decoding,…`; a bare model means its `default` decoding.

    Raises:
        UserError: an empty name.
    """
    cells = []
    for part in listed(text):
        model, _, decoding = part.partition("/")
        if not model:
            raise UserError(f"--cells {part}: write MODEL/DECODING, e.g. sft/default")
        cells.append(CellName(model, decoding or "default"))
    return cells


def _kinds(text: str) -> tuple[str, ...]:
    from npc_align.violation import KINDS

    kinds = tuple(listed(text))
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UserError(f"--held-out-kinds {', '.join(unknown)}: no such kind; there are: {', '.join(KINDS)}")
    return kinds


def readable(found: Mapping[str, Any]) -> str:
    """Every judge with its figures: cells, references, differences."""
    return "\n\n".join("\n".join(_rows(name, entry)) for name, entry in found["judges"].items()) or "no judge judged"


def _rows(name: str, entry: Mapping[str, Any]) -> Sequence[str]:
    mean = entry["unit"] == "mean"
    rows = [f"{name}: {entry['title']} ({entry['better']} is better)", f"  {entry['what']}"]
    for cell in entry["cells"]:
        figure = figures(cell["rate"], mean) if cell["rate"] else "no verdict"
        rows.append(f"  {cell['model'] + '/' + cell['decoding']:<40}{figure}  {cell['lines']} lines")
    for label in ("reference", "accuracy"):
        if entry[label]:
            # How sure a judge is of itself is a share, whatever it counts.
            rows.append(f"  {label:<40}{figures(entry[label], mean and label == 'reference')}  {entry[label]['on']}")
    for step in entry["differences"]:
        first, second = (f"{step[side]['model']}/{step[side]['decoding']}" for side in ("first", "second"))
        rows.append(f"  {second + ' - ' + first:<40}{figures(step, mean, signed=True)}  paired")
    return rows
