"""`generate_lines` beside transformers' `generate` on a merged model: lines a second, greedy and sampled, and the same lines.

    python benchmarks/generate_speed.py --model runs/sft [--json FILE]
    python benchmarks/generate_speed.py --tiny          # proves that it runs, in seconds; its figures mean nothing

Both take the same prompts in the same batches of the same model in this process, in turn. `sampled` draws several lines per
prompt at temperature 1 from the whole vocabulary, as `npc-pref generate` does; `tuned` is 0.7 / top_p 0.9, as the training log did.
In float32 greedy lines are compared one by one.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from workload import corpus, matrix_product_rate, tiny_model

MODES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0},
    "tuned": {"do_sample": True, "temperature": 0.7, "top_p": 0.9},
}
SAMPLES = 4  # lines per prompt where lines are sampled


def prompts_of_corpus(loaded: Any, count: int) -> list[str]:
    """Different prompts, spread over the corpus."""
    from npc_align.prompt import render

    _, examples = corpus()
    texts = list(dict.fromkeys(render(e.attributes, loaded.domain, loaded.renderer, loaded.tokenizer) for e in examples))
    return texts[:: max(1, len(texts) // count)][:count]


def ours(loaded: Any, prompts: list[str], knobs: dict[str, Any], batch: int, longest: int) -> list[tuple[str, bool]]:
    from npc_align.modeling.generation import Decoding, generate_lines

    lines = generate_lines(loaded.model, loaded.codec, prompts, Decoding("benchmark", longest, knobs), batch_size=batch)
    return [(line.text, line.finished) for line in lines]


def theirs(loaded: Any, prompts: list[str], knobs: dict[str, Any], batch: int, longest: int) -> list[tuple[str, bool]]:
    """transformers' `generate` on batches padded on the left, under default decoding and the knobs."""
    import torch

    from npc_align.modeling.generation import default_generation_config

    loaded.model.generation_config = default_generation_config(loaded.codec)
    encoded = [loaded.codec.prompt_ids(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    lines: dict[int, tuple[str, bool]] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        width, pad = max(len(encoded[i]) for i in chosen), loaded.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(encoded[i])) + encoded[i] for i in chosen])
        mask = torch.tensor([[0] * (width - len(encoded[i])) + [1] * len(encoded[i]) for i in chosen])
        new = loaded.model.generate(ids, attention_mask=mask, max_new_tokens=longest, **knobs)[:, width:]
        lines |= {i: _line(loaded, row) for i, row in zip(chosen, new.tolist(), strict=True)}
    return [lines[i] for i in range(len(prompts))]


def _line(loaded: Any, ids: list[int]) -> tuple[str, bool]:
    end = next((i for i, token in enumerate(ids) if token in loaded.codec.stop_ids), len(ids))
    return loaded.tokenizer.decode(ids[:end], skip_special_tokens=True).strip(), end < len(ids)


def _timed(work: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    started = time.perf_counter(), time.process_time()
    done = work(*args)
    return done, time.perf_counter() - started[0], time.process_time() - started[1]


def measure(loaded: Any, prompts: list[str], mode: str, batch: int, longest: int, rounds: int) -> dict[str, Any]:
    """Lines a second of both sides, and the ratio round by round."""
    asked = [p for p in prompts for _ in range(SAMPLES)][: len(prompts)] if MODES[mode] else prompts
    rows = []
    for _ in range(rounds):
        mine, seconds, cpu = _timed(ours, loaded, asked, MODES[mode], batch, longest)
        other, their_seconds, their_cpu = _timed(theirs, loaded, asked, MODES[mode], batch, longest)
        rows.append((seconds, their_seconds, their_cpu / cpu))
        click.echo(f"{mode}: ours {seconds:.1f} s, generate {their_seconds:.1f} s", err=True)
    ratios = sorted(theirs_ / ours_ for ours_, theirs_, _ in rows)
    return {
        "ours_lines_per_second": len(asked) / statistics.median(r[0] for r in rows),
        "generate_lines_per_second": len(asked) / statistics.median(r[1] for r in rows),
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "ratio_cpu": statistics.median(r[2] for r in rows),
        "same_lines": sum(a == b for a, b in zip(mine, other, strict=True)) / len(asked),
    }


@click.command()
@click.option(
    "--model", default="embedded", show_default=True, help="Run folder, adapter (merged on loading), model folder or `embedded`."
)
@click.option("--prompts", "count", default=128, show_default=True, help="Lines per round.")
@click.option("--batch", default=32, show_default=True, help="Prompts per batch, on both sides.")
@click.option("--max-new-tokens", "longest", default=64, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--mode", "modes", multiple=True, type=click.Choice(list(MODES)), default=tuple(MODES), help="Default: all.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--check", default=16, show_default=True, help="Prompts whose greedy lines are compared in float32; 0: none.")
@click.option("--tiny", is_flag=True, help="A random two-layer model with --model's tokenizer: a self-test.")
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
def main(
    model: str, count: int, batch: int, longest: int, rounds: int, modes: tuple[str, ...], dtype: str, check: int, tiny: bool,
    output: Path | None,
) -> None:  # fmt: skip
    """Time generate_lines beside transformers' generate."""
    import torch

    from npc_align.modeling.device import choose_device
    from npc_align.modeling.load import load_for_generation

    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            model, count, longest, rounds = str(tiny_model(model, Path(folder))), 8, 6, 1
        device = choose_device(dtype)
        loaded = load_for_generation(model, device.dtype)
        prompts = prompts_of_corpus(loaded, count)
        ours(loaded, prompts[:2], {}, batch, 3)
        figures: dict[str, Any] = {
            "batch": batch,
            "lines": len(prompts),
            "dtype": str(device.dtype),
            "product_tflops": matrix_product_rate(),
        }
        figures |= {mode: measure(loaded, prompts, mode, batch, longest, rounds) for mode in modes}
        if check:
            if device.dtype != torch.float32:
                loaded = load_for_generation(model, torch.float32)
            asked = prompts[:check]
            same = [
                a == b
                for a, b in zip(ours(loaded, asked, {}, batch, longest), theirs(loaded, asked, {}, batch, longest), strict=True)
            ]
            figures["same_lines_in_float32"] = f"{sum(same)} of {len(same)}"
    click.echo(f"{'':10}{'ours lines/s':>14}{'generate lines/s':>18}{'ratio':>8}{'range':>14}{'by CPU time':>13}")
    for mode in modes:
        f = figures[mode]
        span = f"{f['ratio_range'][0]:.2f}-{f['ratio_range'][1]:.2f}"
        click.echo(
            f"{mode:10}{f['ours_lines_per_second']:14.2f}{f['generate_lines_per_second']:18.2f}{f['ratio']:8.2f}{span:>14}{f['ratio_cpu']:13.2f}"
        )
    click.echo(
        f"matrix products at {figures['product_tflops']:.2f} TFLOP/s; same lines in float32: {figures.get('same_lines_in_float32', 'not asked')}"
    )
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
