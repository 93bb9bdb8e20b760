"""How the time per preference pair grows: with the prompt, with the rejected lines per prompt, with the number of pairs.

    python benchmarks/scaling.py [--json FILE]
    python benchmarks/scaling.py --tiny                 # proves that it runs, in seconds; its figures mean nothing

The first two run DPO's policy step, forward and backward, on random tokens, beside the same step with every row running its own
prompt. The third runs what the stage does to its pairs before and around the steps: read and check, tokenise, draw and collate a batch.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from workload import corpus, matrix_product_rate, pairs_from_corpus, tiny_model, write_jsonl

COMPLETION = 24  # tokens, stop token included: a greeting's


def policy(model: str, dtype: Any, share_prompts: bool) -> Any:
    """The model as the DPO stage trains it, uncompiled: LoRA on all projections, the completion-only head."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from trl.trainer.utils import add_fused_lm_head

    from npc_align.modeling.completion_head import use_completion_head
    from npc_align.modeling.load import load_base, model_folder
    from npc_align.modeling.lora import peft_names, resolve_targets

    base = load_base(model_folder(model), dtype)
    add_fused_lm_head(base, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    names = peft_names(base, resolve_targets(base, "all-linear"))
    torch.manual_seed(0)
    adapted = get_peft_model(base, LoraConfig(task_type=TaskType.CAUSAL_LM, r=16, target_modules=names)).train()
    assert use_completion_head(base, share_prompts=share_prompts)
    return adapted


def batch_of(vocabulary: int, prompts: int, rejected: int, length: int) -> dict[str, Any]:
    """TRL's preference batch: `prompts` x `rejected` pairs; the pairs of one prompt have one chosen line."""
    import torch

    made = torch.Generator().manual_seed(length)

    def tokens(count: int) -> Any:
        return torch.randint(4, vocabulary, (prompts, count), generator=made)

    question, chosen = tokens(length), tokens(COMPLETION)
    rows = [torch.cat([question, chosen], 1)] * rejected + [torch.cat([question, tokens(COMPLETION)], 1) for _ in range(rejected)]
    ids = torch.cat(rows)
    labels = ids.clone()
    labels[:, :length] = -100
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def step_seconds(model: Any, batch: dict[str, Any], dtype: Any) -> float:
    import torch

    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        scored = model(**batch, fused_lm_head=True).log_probs.sum(1)
    chosen, refused = scored.chunk(2)
    (-torch.nn.functional.logsigmoid(0.1 * (chosen - refused)).mean()).backward()
    model.zero_grad()
    return time.perf_counter() - started


def steps(shared: Any, separate: Any, dtype: Any, sizes: Sequence[tuple[int, int, int]], rounds: int) -> list[dict[str, float]]:
    """Median seconds per pair of both forms, for (prompts, rejected per prompt, prompt tokens)."""
    vocabulary = shared.config.get_text_config().vocab_size
    step_seconds(shared, batch_of(vocabulary, 1, 1, 8), dtype)
    step_seconds(separate, batch_of(vocabulary, 1, 1, 8), dtype)
    found = []
    for prompts, rejected, length in sizes:
        batch = batch_of(vocabulary, prompts, rejected, length)
        timed = [(step_seconds(shared, batch, dtype), step_seconds(separate, batch, dtype)) for _ in range(rounds)]
        mine, other = (statistics.median(row[i] for row in timed) / (prompts * rejected) for i in (0, 1))
        found.append(
            {
                "prompts": prompts, "rejected_per_prompt": rejected, "prompt_tokens": length, "seconds_per_pair": mine,
                "seconds_per_pair_separate": other, "ratio": statistics.median(b / a for a, b in timed),
            }
        )  # fmt: skip
        click.echo(
            f"{prompts} prompts of {length}, {rejected} rejected each: {mine:.3f} s per pair, separate rows {other:.3f}", err=True
        )
    return found


def data(model: str, count: int, batch: int) -> dict[str, float]:
    """Seconds that `count` pairs take before the first step, and what drawing and collating adds to a step."""
    import torch

    from dpo.pairs import read_pairs, split_by_group, tokenise_pairs
    from dpo.trainer import IndexedPreferenceCollator
    from npc_align.modeling.load import load_tokenizer, model_folder
    from npc_align.modeling.tokens import PromptCodec

    tokenizer, (domain, _) = load_tokenizer(model_folder(model)), corpus()
    with tempfile.TemporaryDirectory() as folder:
        path = write_jsonl(pairs_from_corpus(count), Path(folder) / "pairs.jsonl")
        pairs, read = _clocked(lambda: read_pairs(path, domain, "user_assistant", tokenizer))
    training, _ = split_by_group(pairs, 0.1, 0)
    dataset, tokenised = _clocked(lambda: tokenise_pairs(training, PromptCodec(tokenizer, "user_assistant", 1024)))
    # TRL's collator reads the reference from the columns that the trainer adds.
    scored = dataset.add_column("ref_chosen_logps", [0.0] * len(dataset)).add_column("ref_rejected_logps", [0.0] * len(dataset))
    loader = torch.utils.data.DataLoader(
        scored, batch_size=batch, shuffle=True, collate_fn=IndexedPreferenceCollator(pad_token_id=tokenizer.pad_token_id)
    )
    number, drawn = _clocked(lambda: sum(1 for _, _ in zip(range(50), loader, strict=False)))
    return {"pairs": count, "read_seconds": read, "tokenise_seconds": tokenised, "batch_seconds": drawn / number}


def _clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started


@click.command()
@click.option("--model", default="embedded", show_default=True, help="`embedded` or a model folder.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--lengths", default="64,128,256,512", show_default=True, help="Prompt tokens.")
@click.option("--rejected", default="1,2,4", show_default=True, help="Rejected lines per prompt, at prompts of 80 tokens.")
@click.option("--pairs", default="1000,4000,16000", show_default=True, help="Sizes of a preference file.")
@click.option("--batch", default=8, show_default=True, help="Pairs per step.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--tiny", is_flag=True, help="A random two-layer model with --model's tokenizer: a self-test.")
@click.option("--json", "output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
def main(
    model: str, dtype: str, lengths: str, rejected: str, pairs: str, batch: int, rounds: int, tiny: bool, output: Path | None
) -> None:
    """Time DPO's step and its data over prompt lengths, rejected lines per prompt and numbers of pairs."""
    from npc_align.modeling.device import choose_device

    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            model, lengths, rejected, pairs, batch, rounds = str(tiny_model(model, Path(folder))), "8,16", "1,2", "20", 2, 1
        device = choose_device(dtype)
        shared, separate = (policy(model, device.dtype, share) for share in (True, False))
        sizes = [(batch, 1, n) for n in _numbers(lengths)]
        several = [(max(1, batch // n), n, 80) for n in _numbers(rejected)]
        figures = {
            "product_tflops": matrix_product_rate(),
            "by_prompt": steps(shared, separate, device.dtype, sizes, rounds),
            "by_rejected": steps(shared, separate, device.dtype, several, rounds),
            "by_pairs": [data(model, n, batch) for n in _numbers(pairs)],
        }
    click.echo(f"{'tokens':>8}{'rejected':>10}{'s/pair':>9}{'separate':>10}{'ratio':>7}")
    for row in [*figures["by_prompt"], *figures["by_rejected"]]:
        click.echo(
            f"{row['prompt_tokens']:8d}{row['rejected_per_prompt']:10d}{row['seconds_per_pair']:9.3f}"
            f"{row['seconds_per_pair_separate']:10.3f}{row['ratio']:7.2f}"
        )
    click.echo(f"{'pairs':>8}{'read s':>10}{'tokenise s':>12}{'batch ms':>10}")
    for row in figures["by_pairs"]:
        click.echo(
            f"{row['pairs']:8d}{row['read_seconds']:10.2f}{row['tokenise_seconds']:12.2f}{1000 * row['batch_seconds']:10.1f}"
        )
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


if __name__ == "__main__":
    main()
