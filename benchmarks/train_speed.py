"""This project's training step beside TRL's own trainer and a plain transformers + PEFT loop.

    python benchmarks/train_speed.py sft [--json FILE]
    python benchmarks/train_speed.py dpo --pairs runs/pref/preferences.jsonl
    python benchmarks/train_speed.py dpo --tiny         # proves that it runs, in seconds; its figures mean nothing

Each contender is a process of its own; they step in turn, so that a host whose speed wanders slows all alike. Same model, data,
batch, dtype and LoRA (rank 16 on all projections). A pair's time is its share of a step and of a batch of the reference pass; what the
first ones take longer, compilation above all, is reported apart and counted once in a whole run.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click
from turns import Contender
from workload import as_corpus, fresh_adapter, matrix_product_rate, pairs_from_corpus, tiny_model, write_jsonl

from npc_align.training.launch import ENVIRONMENT

CONTENDERS = ("ours", "trl", "plain")
HERE = Path(__file__).resolve().parent


def measure(
    stage: str, given: dict[str, Any], contenders: tuple[str, ...], rounds: int, steps: int, pairs: int
) -> dict[str, Any]:
    """Figures of each contender, and ratios of this project to the others."""
    running = []
    for name in contenders:
        work = Path(given["work"]) / name
        work.mkdir()
        command = [str(HERE / "train_contender.py"), stage, name, json.dumps({**given, "work": str(work)})]
        running.append(Contender(name, command, ENVIRONMENT if name == "ours" else None))
        click.echo(f"{name}: ready after {running[-1].facts['setup_seconds']:.0f} s", err=True)
    first = {c.name: c.step() for c in running}
    second = {c.name: c.step() for c in running}  # a changed batch shape may compile once more
    timed: dict[str, list[dict[str, float]]] = {c.name: [] for c in running}
    products = []
    for number in range(rounds):
        products.append(matrix_product_rate())
        for contender in running:
            timed[contender.name].append(contender.step())
        said = ", ".join(f"{n} {rows[-1]['seconds']:.1f} s" for n, rows in timed.items())
        click.echo(f"round {number + 1} of {rounds}: {said}", err=True)
    figures: dict[str, Any] = {"stage": stage, "product_tflops": sorted(products), **given}
    for c in running:
        figures[c.name] = _summary(c, [first[c.name], second[c.name]], timed[c.name], given["batch"], steps, pairs)
    for other in set(contenders) - {"ours"}:
        figures[f"ours_over_{other}"] = _ratios(figures["ours"], figures[other], timed["ours"], timed[other])
    return figures


def _summary(
    contender: Contender, early: list[dict[str, float]], timed: list[dict[str, float]], batch: int, steps: int, pairs: int
) -> dict[str, Any]:
    seconds = [row["seconds"] for row in timed]
    step = statistics.median(seconds)
    passes = contender.facts.get("reference_seconds", [0.0])
    reference = statistics.median(passes) * len(passes) / pairs
    start = sum(max(0.0, row["seconds"] - step) for row in early) + sum(
        max(0.0, s - statistics.median(passes)) for s in passes[:2]
    )
    return {
        "samples_per_second": 1 / (step / batch + reference),
        "step_seconds": step,
        "step_seconds_range": [min(seconds), max(seconds)],
        "step_cpu_seconds": statistics.median(row["cpu_seconds"] for row in timed),
        "reference_seconds_per_sample": reference,
        "first_steps_extra_seconds": start,
        "run_seconds": start + steps * (step + batch * reference),
        "setup_seconds": contender.facts["setup_seconds"],
        "peak_mib": contender.finish(),
    }


def _ratios(
    ours: dict[str, Any], other: dict[str, Any], mine: list[dict[str, float]], theirs: list[dict[str, float]]
) -> dict[str, Any]:
    rounds = [b["seconds"] / a["seconds"] for a, b in zip(mine, theirs, strict=True)]
    return {
        "speed": ours["samples_per_second"] / other["samples_per_second"],
        "step": statistics.median(rounds),
        "step_range": [min(rounds), max(rounds)],
        "step_cpu": other["step_cpu_seconds"] / ours["step_cpu_seconds"],
        "run": other["run_seconds"] / ours["run_seconds"],
        "memory": ours["peak_mib"] / other["peak_mib"],
    }


def show(figures: dict[str, Any], steps: int) -> None:
    click.echo(f"matrix products at {figures['product_tflops'][0]:.2f} to {figures['product_tflops'][-1]:.2f} TFLOP/s")
    click.echo(
        f"{'':8}{'samples/s':>11}{'step s':>9}{'CPU s':>9}{'ref s/pair':>12}{'first +s':>10}{f'{steps} steps s':>13}{'peak MiB':>10}"
    )
    for name in CONTENDERS:
        if name in figures:
            f = figures[name]
            click.echo(
                f"{name:8}{f['samples_per_second']:11.2f}{f['step_seconds']:9.2f}{f['step_cpu_seconds']:9.2f}{f['reference_seconds_per_sample']:12.3f}"
                f"{f['first_steps_extra_seconds']:10.1f}{f['run_seconds']:13.0f}{f['peak_mib']:10.0f}"
            )
    for other in CONTENDERS[1:]:
        if r := figures.get(f"ours_over_{other}"):
            click.echo(
                f"against {other}: {r['speed']:.2f}x the samples/s (steps {r['step_range'][0]:.2f} to {r['step_range'][1]:.2f}, by CPU time "
                f"{r['step_cpu']:.2f}), {r['run']:.2f}x over {steps} steps, {r['memory']:.2f} of the memory"
            )


@click.command()
@click.argument("stage", type=click.Choice(["sft", "dpo"]))
@click.option("--model", default="embedded", show_default=True, help="`embedded` or a model folder.")
@click.option(
    "--pairs", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Preferences; built from the corpus otherwise."
)
@click.option("--batch", default=8, show_default=True, help="Examples or pairs per step.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--rounds", default=5, show_default=True, help="Timed steps of each contender, after two that aren't.")
@click.option("--steps", default=500, show_default=True, help="Length of the run that the end-to-end figure is of.")
@click.option("--count", default=64, show_default=True, help="Examples or pairs; the reference pass goes over all of them.")
@click.option("--against", multiple=True, type=click.Choice(CONTENDERS[1:]), default=CONTENDERS[1:], help="Default: both.")
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="For this project's own config.")
@click.option("--tiny", is_flag=True, help="A random two-layer model with --model's tokenizer, two steps: a self-test.")
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
def main(
    stage: str, model: str, pairs: Path | None, batch: int, dtype: str, rounds: int, steps: int, count: int, against: tuple[str, ...],
    overrides: tuple[str, ...], tiny: bool, output: Path | None,
) -> None:  # fmt: skip
    """Time training steps of this project, TRL and a plain loop, in turn."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        if tiny:
            model, batch, rounds, count = str(tiny_model(model, folder / "tiny")), 2, 2, 8
            overrides = ("optim.compile=false", *overrides)
        rows = (
            pairs_from_corpus(count) if pairs is None else [json.loads(x) for x in pairs.read_text("utf-8").splitlines()[:count]]
        )
        given = {
            "model": model, "pairs": str(write_jsonl(rows, folder / "pairs.jsonl")), "batch": batch, "dtype": dtype, "work": work,
            "ours": [*overrides, f"model.dtype={dtype}"],
        }  # fmt: skip
        if stage == "sft":
            given["corpus"] = str(write_jsonl(as_corpus(rows), folder / "corpus.jsonl"))
        else:
            given["adapter"] = str(fresh_adapter(model, folder / "adapter"))
        figures = measure(stage, given, ("ours", *against), rounds, steps, len(rows))
    show(figures, steps)
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
