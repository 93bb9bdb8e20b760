"""`npc-eval compare` and `npc-eval curves`: what run folders tell without a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from npc_align.cli import json_option


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B …")
@json_option
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """Show what was set differently in some runs, what came of it, and which greedy lines got better or worse.

    \b
    Example:
      npc-eval compare runs/sft runs/dpo
    """
    from npc_align.evaluation import compare as comparing
    from npc_align.evaluation.runs import Run

    if len(runs) < 2:
        raise click.UsageError("name two run folders at least")
    found = comparing.compare([Run.read(folder) for folder in runs])
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else comparing.text(found))


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--corpus", type=click.Path(path_type=Path), default=None, help="What it learnt from; default: what its config says."
)
@json_option
def curves(run: str, corpus: Path | None, as_json: bool) -> None:
    """Show a run's losses with signs of overfitting, and how much of its greedy lines is training text.

    \b
    Example:
      npc-eval curves runs/sft
    """
    from npc_align.domain import default_corpus
    from npc_align.evaluation import curves as curving
    from npc_align.evaluation.runs import Run
    from npc_align.modeling.identity import domain_of
    from npc_align.modeling.load import read_identity
    from npc_align.splits import load_splits

    record = Run.read(run)
    checkpoint = record.path / f"checkpoint-{record.best_step}"
    identity = read_identity(str(record.path if (record.path / "adapter").is_dir() else checkpoint))[1]
    domain = domain_of(identity, record.config.get("data.domain"))
    source = corpus or Path(
        record.config.get("data.corpus") or default_corpus(record.config.get("data.domain") or identity.domain)
    )
    training = [example.line for example in load_splits(source, domain, augmented=True)["train"]]
    found = curving.report(record, training)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else curving.text(found))
