"""What the benchmarks work on: the corpus as prompts and pairs, and models small enough for a self-test."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npc_align.corpus import Example, read_examples
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.prompt import render

DOMAIN = "weapon_rental"


def corpus() -> tuple[Domain, list[Example]]:
    domain = load_domain(DOMAIN)
    return domain, read_examples(default_corpus(DOMAIN), domain)


def pairs_from_corpus(count: int) -> list[dict[str, Any]]:
    """`count` pairs in the form of `npc-pref export`, going through the corpus as often as it takes.

    Rejected is another line for the same prompt, or the next line of the corpus where a prompt has but one: for timing,
    lengths matter, not who is right.
    """
    domain, examples = corpus()
    same = defaultdict(list)
    for example in examples:
        same[render(example.attributes, domain)].append(example.line)
    rows, stride = [], max(1, len(examples) // count)  # spread over the corpus, which may be sorted
    for i in range(count):
        place = i * stride % len(examples)
        example, following = examples[place], examples[(place + 1) % len(examples)]
        prompt = render(example.attributes, domain)
        others = [line for line in same[prompt] if line != example.line] or [
            following.line + " " * (following.line == example.line)
        ]
        rows.append(
            {
                "prompt": prompt, "chosen": example.line, "rejected": others[i // len(examples) % len(others)],
                "attributes": dict(example.attributes), "group": str(i),
            }
        )  # fmt: skip
    return rows


def as_corpus(pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chosen lines in the corpus's own form."""
    return [{**pair["attributes"], load_domain(DOMAIN).line_key: pair["chosen"]} for pair in pairs]


def write_jsonl(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def fresh_adapter(model: str, folder: Path) -> Path:
    """An adapter of rank 16 on all projections that changes nothing yet, in a folder that dpo/train.py takes as SFT run."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model

    from npc_align.modeling.identity import Identity, lasting_name, weights_hash
    from npc_align.modeling.load import load_base, load_tokenizer, model_folder
    from npc_align.modeling.lora import peft_names, resolve_targets
    from npc_align.modeling.tokens import PromptCodec
    from npc_align.prompt import fingerprint

    base = model_folder(model)
    causal_lm, tokenizer = load_base(base, torch.bfloat16), load_tokenizer(base)
    names = peft_names(causal_lm, resolve_targets(causal_lm, "all-linear"))
    torch.seed()  # an adapter of its own every time: reference log-probabilities of an earlier run must not be found again
    config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=16, lora_alpha=32, target_modules=names)
    get_peft_model(causal_lm, config).save_pretrained(folder)
    codec = PromptCodec(tokenizer, "user_assistant", 512)
    prompt_hash = fingerprint(load_domain(DOMAIN), "user_assistant", tokenizer)
    Identity("user_assistant", prompt_hash, DOMAIN, lasting_name(model), weights_hash(base), codec.stop_id, 512).save(folder)
    return folder


def tiny_model(tokenizer_of: str, folder: Path) -> Path:
    """A random two-layer Llama with another model's tokenizer, for self-tests."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from npc_align.modeling.load import load_tokenizer, model_folder

    tokenizer = load_tokenizer(model_folder(tokenizer_of))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def matrix_product_rate() -> float:
    """Matrix products of this minute, in TFLOP/s: the bound that a step's share is told of.

    In bfloat16 where the CPU has it, as training is, else in float32: emulated, what is timed here takes minutes.
    """
    import time

    import torch

    from npc_align.modeling.device import cpu_has_fast_bf16

    dtype = torch.bfloat16 if cpu_has_fast_bf16() else torch.float32
    a, b = torch.randn(1024, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    a @ b
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2 * 1024 * 2048 * 2048 / (time.perf_counter() - started) / 1e12
