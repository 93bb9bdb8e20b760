"""`npc-eval report`: what an evaluation folder holds, as a page to read."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--run",
    "runs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A training run to show besides those that the measured models come from; repeatable.",
)
def report(folder: Path, runs: tuple[Path, ...]) -> None:
    """Write report.html (one file, opens anywhere) and report.md into FOLDER.

    `grid` and `run` write both at their end; run this after `judge` and `read`, whose figures it adds.

    \b
    Example:
      npc-eval report runs/eval --run runs/sft --run runs/dpo
    """
    from npc_align.evaluation.report.write import write_report

    for written in write_report(folder, runs):
        click.echo(f"report: {written}")
