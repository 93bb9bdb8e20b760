"""`npc-eval`: measure models on held-out prompts, merge a run into a plain model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.cli import FriendlyGroup, json_option, listed
from npc_align.errors import UserError
from npc_align.evaluation.folder import Headline, Result
from npc_align.evaluation.gate_cli import gate
from npc_align.evaluation.judge_cli import judge
from npc_align.evaluation.read_cli import read
from npc_align.evaluation.report_cli import report
from npc_align.evaluation.runs_cli import compare, curves
from npc_align.evaluation.statistics import Interval
from npc_align.evaluation.terminal import figures, table
from npc_align.training.launch import quiet_libraries

if TYPE_CHECKING:
    from npc_align.evaluation.run import Request
    from npc_align.modeling.generation import Decoding


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what a model says under a decoding, and ship it."""
    quiet_libraries()


main.add_command(compare)
main.add_command(curves)
main.add_command(gate)
main.add_command(report)
main.add_command(judge)
main.add_command(read)


def _asked(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what `run` and `grid` have in common: models, prompts, references, output."""
    options: list[Callable[[Any], Any]] = [
        click.option("--model", "models", multiple=True, required=True, metavar="LABEL=PATH",
                     help="Run, adapter, model folder or `embedded`; repeatable."),
        click.option("--output", type=click.Path(path_type=Path), default=Path("runs/eval"), show_default=True,
                     help="The evaluation folder; what it holds of the same weights, prompts and decoding isn't measured again."),
        click.option("--domain", "domain_name", default=None, metavar="NAME|PATH",
                     help="Default: the domain that the models were trained on."),
        click.option("--corpus", type=click.Path(path_type=Path), default=None,
                     help="Corpus with the reference lines; default: the domain's own."),
        click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True),
        click.option("--prompts", type=click.IntRange(min=0), default=400, show_default=True,
                     help="Test prompts that no corpus line uses: the domain's own, else drawn; 0: the split's own. Of another "
                     "split than test: its own, at most so many."),
        click.option("--references", type=click.IntRange(min=1),
                     help="Reference lines for the held-out loss; default: all of the split."),
        click.option("--probes", type=click.Path(path_type=Path), default=None,
                     help='JSONL of {"attributes": {…}} to answer instead.'),
        click.option("--batch-size", type=click.IntRange(min=1), default=128, show_default=True),
        click.option("--seed", default=0, show_default=True, help="For decodings that sample."),
        json_option,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _request(models: tuple[str, ...], domain_name: str | None, **asked: Any) -> Request:
    from npc_align.evaluation.run import Request, domain_of_models, parse_model

    named = tuple(parse_model(m) for m in models)
    return Request(models=named, domain=domain_name or domain_of_models(named), **asked)


@main.command()
@_asked
@click.option(
    "--decoding", "decoding_name", default="default", show_default=True, help="`default` or a preset; see `npc-eval presets`."
)
def run(decoding_name: str, as_json: bool, **asked: Any) -> None:
    """Answer held-out prompts under one decoding and check the lines. `npc-eval grid` does so under many.

    \b
    Example:
      npc-eval run --model base=embedded --model sft=runs/sft --model dpo=runs/dpo
    """
    from npc_align.evaluation.grid import Plan, evaluate
    from npc_align.evaluation.presets import preset

    request = _request(**asked)
    result = evaluate(request, Plan((preset(decoding_name),), all_cells=True))
    if as_json:
        click.echo(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return
    click.echo(_table(result))
    for found in result.differences:
        step = figures(vars(found), signed=True)
        click.echo(f"{found.second.model} - {found.first.model}: {step}, paired bootstrap")
    click.echo(f"report: {request.output / 'report.html'}")


@main.command()
@_asked
@click.option(
    "--decodings", default="default,servers,seeds,search", show_default=True, metavar="NAME,…",
    help="Presets, groups of presets (servers, seeds), or search; default decoding is always among them.",
)  # fmt: skip
@click.option(
    "--search", "settings", type=click.IntRange(min=1), show_default="12", help="Settings that the search tries besides."
)
@click.option(
    "--candidates", metavar="NAME,…", help="Presets and groups that the search tries too, without a run on the held-out prompts."
)
@click.option("--search-prompts", type=click.IntRange(min=1), show_default="96", help="Validation prompts to choose on, at most.")
@click.option("--tuned", metavar="LABEL", help="The model whose best decoding is looked for; default: the last but one.")
@click.option("--aligned", metavar="LABEL", help="The model that is to need no tuning; default: the last.")
@click.option("--all-cells", is_flag=True, help="Every model under every decoding, not only the tuned and the aligned one.")
def grid(
    decodings: str, settings: int | None, candidates: str | None, search_prompts: int | None, tuned: str | None, aligned: str | None, all_cells: bool, as_json: bool,
    **asked: Any,
) -> None:  # fmt: skip
    """Answer held-out prompts under many decodings, and compare the aligned model's default with the tuned model's best.

    The tuned model's best decoding has the fewest bad lines on validation prompts among all decodings named, the candidates and the search's
    settings (temperature, top_p and repetition_penalty, greedy among them); it is reported on the held-out prompts. An
    interrupted grid goes on where it was when the same command is given again.

    \b
    Example:
      npc-eval grid --model base=embedded --model sft=runs/sft --model dpo=runs/dpo
      npc-eval grid --model sft=runs/sft --model dpo=runs/dpo --decodings servers,search --candidates seeds --search 8
    """
    from npc_align.evaluation.grid import Plan, evaluate
    from npc_align.evaluation.presets import SEARCH, named_decodings

    names = ["default", *listed(decodings)]
    if SEARCH not in names and (settings or candidates or search_prompts):
        raise UserError("--search, --candidates and --search-prompts do nothing unless search is among --decodings; add it there")
    search = (settings or 12) if SEARCH in names else None
    tried = tuple(named_decodings(listed(candidates or "")))
    plan = Plan(tuple(named_decodings(names)), search, tried, search_prompts or 96, tuned, aligned, all_cells)
    request = _request(**asked)
    result = evaluate(request, plan)
    if as_json:
        click.echo(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return
    click.echo(_table(result))
    click.echo(f"report: {request.output / 'report.html'}")


def _table(result: Result) -> str:
    """One row per cell, and the headline."""
    rows = [["model", "decoding", "violations", "end of text", "distinct-2", "openings", "length"]]
    for cell in result.cells:
        found = cell.summary
        rates = [str(Interval(**found["violations"])), f"{found['end_of_text']['value']:.1%}"]
        variety = [f"{found['distinct_2']:.3f}", f"{found['distinct_openings']:.1%}", f"{found['mean_length']:.1f}"]
        rows.append([cell.model, cell.decoding, *rates, *variety])
    lines = [table(rows)]
    lines += [f"{label}: perplexity of the reference lines {score.perplexity:.1f}" for label, score in result.models.items()]
    if result.headline:
        lines.append(_headline(result.headline))
    return "\n".join(lines)


def _headline(headline: Headline) -> str:
    gap, chosen = figures(vars(headline.decoding_gap), signed=True), headline.chosen_on
    return (
        f"decoding gap: {gap}: {headline.aligned} under default decoding "
        f"minus {headline.tuned} under {headline.tuned_decoding}, the best of {chosen.tried} on {chosen.prompts} {chosen.split} prompts"
    )


@main.command()
@click.argument("run_folder", metavar="RUN")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto", show_default=True)
@click.option(
    "--layout",
    type=click.Choice(["transformers", "exaone"]),
    default="transformers",
    show_default=True,
    help="exaone: EXAONE-3.5 under its own names.",
)
def merge(run_folder: str, out: Path, dtype: str, layout: str) -> None:
    """Write RUN's merged model to OUT, so that a plain `generate` in anybody's code gives the same lines.

    \b
    Example:
      npc-eval merge runs/dpo models/npc-greeter
    """
    from npc_align.evaluation.merge import merge as write_merged
    from npc_align.modeling.device import choose_device

    write_merged(run_folder, out, choose_device(dtype).dtype, layout)
    click.echo(f"merged model: {out}")


@main.command("export-adapter")
@click.argument("run_folder", metavar="RUN")
@click.argument("out", type=click.Path(path_type=Path))
def export_adapter(run_folder: str, out: Path) -> None:
    """Write RUN's adapter to OUT under EXAONE-3.5's own names, for a server that loads EXAONE by them.

    \b
    Example:
      npc-eval export-adapter runs/dpo adapters/npc-greeter
    """
    from npc_align.evaluation.merge import export_adapter as write_adapter

    write_adapter(run_folder, out)
    click.echo(f"adapter in EXAONE's layout: {out}")


@main.command()
def presets() -> None:
    """List the decodings by name, and the groups of them that `npc-eval grid --decodings` takes too.

    \b
    Example:
      npc-eval presets
      npc-eval grid --model sft=runs/sft --model dpo=runs/dpo --decodings servers,seeds,search
    """
    from npc_align.evaluation.presets import SEARCH, groups
    from npc_align.modeling.generation import Decoding

    click.echo(_described(Decoding()))
    for group, decodings in groups().items():
        click.echo(f"\n{group}: {len(decodings)} presets, by their own names or all by the group's")
        for decoding in decodings:
            click.echo(f"  {_described(decoding)}")
    click.echo(f"\n{SEARCH}: settings that npc-eval grid tries on validation prompts, as many as its --search says")


def _described(decoding: Decoding) -> str:
    knobs = ", ".join(f"{k}={v}" for k, v in decoding.knobs.items())
    return f"{decoding.name}: max_new_tokens={decoding.max_new_tokens}{', ' + knobs if knobs else ''}"


if __name__ == "__main__":
    main()
