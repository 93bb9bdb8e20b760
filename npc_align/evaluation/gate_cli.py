"""`npc-eval gate`: an exit code for CI that says whether a model's default decoding is clean enough, or that nobody knows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from npc_align.cli import Question, json_option
from npc_align.evaluation.statistics import Interval

_TOO_MANY = 1


@click.command(cls=Question)
@click.option("--model", required=True, metavar="RUN", help="Run, adapter, model folder or `embedded`.")
@click.option(
    "--max-violation", required=True, type=click.FloatRange(0, 1), help="The largest share of lines that may break a rule."
)
@click.option("--prompts", type=click.IntRange(min=0), default=400, show_default=True, help="As npc-eval run.")
@click.option("--split", type=click.Choice(["validation", "test"]), default="test", show_default=True, help="As npc-eval run.")
@click.option("--domain", "domain_name", default=None, metavar="NAME|PATH", help="Default: the model's own.")
@click.option("--corpus", type=click.Path(path_type=Path), default=None, help="As npc-eval run.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/gate"), show_default=True, help="Lines and report.")
@json_option
@click.pass_context
def gate(
    context: click.Context, model: str, max_violation: float, prompts: int, split: str, domain_name: str | None, corpus: Path | None, output: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Answer held-out prompts under default decoding, and tell by the exit code whether few enough lines break a rule.

    \b
    Exit codes:
      0    the violation rate is at most --max-violation
      1    it is higher
      2    nothing was measured: no such model or corpus, bad options, a full disk, a missing library
      130  stopped by Ctrl-C

    The rate itself decides, not its interval; with few prompts it is a coarse one.

    \b
    Example:
      npc-eval gate --model runs/dpo --max-violation 0.02
    """
    from npc_align.evaluation.grid import Plan, evaluate
    from npc_align.evaluation.run import Request, domain_of_models
    from npc_align.modeling.generation import Decoding

    models = (("model", model),)
    request = Request(models, output, domain_name or domain_of_models(models), corpus, split, prompts)
    result = evaluate(request, Plan((Decoding(),)))
    (cell,) = result.cells
    rate = Interval(**cell.summary["violations"])
    passed = rate.value <= max_violation
    if as_json:
        found = {
            "model": model,
            "violations": asdict(rate),
            "max_violation": max_violation,
            "passed": passed,
            "rules": result.rules,
        }
        click.echo(json.dumps({**found, "prompts": result.prompts, "by_kind": cell.summary["by_kind"]}, ensure_ascii=False))
    else:
        verdict = "passed" if passed else "too many"
        click.echo(f"{verdict}: {rate} of {result.prompts} lines break a rule, at most {max_violation:.1%} may")
        for kind, share in cell.summary["by_kind"].items():
            click.echo(f"  {kind} {Interval(**share)}")
        click.echo(f"lines and report: {output}")
    context.exit(0 if passed else _TOO_MANY)
