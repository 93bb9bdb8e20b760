"""`npc-pref export`: the command that writes what people and rules said as a file for training, or for another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from npc_align.cli import json_option
from preference_data.options import EXPORT_FORMATS, opened, store_option


@click.command()
@store_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A manifest goes beside it.  [default: runs/pref/preferences.jsonl; a file of the format's own name]",
)
@click.option(
    "--format",
    "form",
    default="dpo",
    show_default=True,
    type=click.Choice(list(EXPORT_FORMATS)),
    help="dpo is TRL's prompt/chosen/rejected, which dpo/train.py reads.",
)
@click.option("--judged-only", is_flag=True, help="Only what people have judged.")
@json_option
def export(store_path: Path, output: Path | None, form: str, judged_only: bool, as_json: bool) -> None:
    """Write the pairs: people's word where there is one, else the machine-made sides.

    The formats kto, sft and csv also take lines that were judged one by one (label --mode line). A manifest (--json prints it) and a
    datasheet go beside the file.

    \b
    Example: npc-pref export
    Example: npc-pref export --format csv --output pairs.csv --judged-only
    """
    from preference_data.export import export as write

    if output is None:
        output = Path("runs/pref") / ("preferences.jsonl" if form == "dpo" else form + EXPORT_FORMATS[form][0])
    with opened(store_path) as store:
        manifest = write(store, output, form, judged_only=judged_only)
    if as_json:
        click.echo(json.dumps(manifest, ensure_ascii=False))
        return
    click.echo(f"{output}: {manifest['rows']} rows from {_sources(manifest)}, for {manifest['prompts']} prompts")
    if manifest["left_out"]:
        click.echo("Left out:")
        for reason, count in sorted(manifest["left_out"].items(), key=lambda item: -item[1]):
            click.echo(f"  {reason:<24}{count}")


def _sources(manifest: dict[str, Any]) -> str:
    lines = [f"{count} {name} lines" for name, count in manifest["lines"].items()]
    return " and ".join([f"{manifest['pairs']} pairs"] * bool(manifest["pairs"]) + lines)
