"""`npc-eval`: measure models on held-out prompts, merge a run into a plain model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from npc_align.cli import FriendlyGroup, json_option
from npc_align.evaluation.runs_cli import compare, curves
from npc_align.training.launch import quiet_libraries


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what a model says under a decoding, and ship it."""
    quiet_libraries()


main.add_command(compare)
main.add_command(curves)


@main.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="LABEL=PATH",
    help="Run, adapter, model folder or `embedded`; repeatable.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("runs/eval"), show_default=True, help="Folder of the report."
)
@click.option(
    "--domain", "domain_name", default=None, metavar="NAME|PATH", help="Default: the domain that the models were trained on."
)
@click.option(
    "--corpus", type=click.Path(path_type=Path), default=None, help="Corpus with the reference lines; default: the domain's own."
)
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@click.option(
    "--prompts",
    default=400,
    show_default=True,
    help="Prompts that no corpus line uses: the domain's own test prompts, else drawn; 0: the split's own.",
)
@click.option(
    "--references", type=click.IntRange(min=1), help="Reference lines for the held-out loss; default: all of the split."
)
@click.option("--probes", type=click.Path(path_type=Path), default=None, help='JSONL of {"attributes": {…}} to answer instead.')
@click.option(
    "--decoding", "decoding_name", default="default", show_default=True, help="`default` or a preset; see `npc-eval presets`."
)
@click.option("--batch-size", default=128, show_default=True)
@click.option("--seed", default=0, show_default=True, help="For presets that sample.")
@json_option
def run(
    models: tuple[str, ...], output: Path, domain_name: str | None, corpus: Path | None, split: str, prompts: int,
    references: int | None, probes: Path | None, decoding_name: str, batch_size: int, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Answer held-out prompts and check the lines.

    \b
    Example:
      npc-eval run --model base=embedded --model sft=runs/sft --model dpo=runs/dpo
    """
    from npc_align.evaluation.presets import preset
    from npc_align.evaluation.report import plain_table
    from npc_align.evaluation.run import Request, domain_of_models, evaluate, parse_model

    named = tuple(parse_model(m) for m in models)
    world = domain_name or domain_of_models(named)
    request = Request(named, output, world, corpus, split, prompts, references, probes, preset(decoding_name), batch_size, seed)
    result = evaluate(request)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    click.echo(plain_table(result))
    for name, value in result["differences"].items():
        click.echo(f"{name}: {value['value']:+.1%} ({value['low']:+.1%} to {value['high']:+.1%}), paired bootstrap")
    click.echo(f"report: {output / 'report.md'}")


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
    """List the decodings by name.

    \b
    Example:
      npc-eval presets
    """
    from npc_align.evaluation.presets import load_presets

    for name, decoding in load_presets().items():
        knobs = ", ".join(f"{k}={v}" for k, v in decoding.knobs.items())
        click.echo(f"{name}: max_new_tokens={decoding.max_new_tokens}{', ' + knobs if knobs else ''}")


if __name__ == "__main__":
    main()
