"""Figures of a cell: intervals, paired differences, variety, the loss of reference lines."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from npc_align.corpus import read_examples
from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.measure import distinct, held_out_loss, summarise
from npc_align.evaluation.statistics import paired_difference, wilson
from npc_align.modeling.load import load_for_generation
from npc_align.prompt import render


def test_wilson_agrees_with_the_published_example() -> None:
    found = wilson(15, 148)  # Newcombe 1998, table I
    assert (found.low, found.high) == (pytest.approx(0.0624, abs=5e-4), pytest.approx(0.1605, abs=5e-4))


def test_a_paired_interval_is_that_of_drawing_prompts_again() -> None:
    rng = random.Random(0)
    first = [rng.random() < 0.3 for _ in range(100)]
    second = [rng.random() < 0.2 for _ in range(100)]
    steps = [int(b) - int(a) for a, b in zip(first, second, strict=True)]
    means = sorted(sum(rng.choices(steps, k=100)) / 100 for _ in range(2000))
    found = paired_difference(first, second)
    assert found.value == pytest.approx(sum(steps) / 100)
    assert (found.low, found.high) == (pytest.approx(means[50], abs=0.021), pytest.approx(means[1950], abs=0.021))
    assert paired_difference(first, second) == found


def test_numbers_are_paired_like_truth_values() -> None:
    found = paired_difference([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="same length"):
        paired_difference([True], [True, False])


def test_distinct_counts_ngrams_over_all_words() -> None:
    lines = ["검 한 자루", "검 한 자루", "활 한 자루"]
    assert distinct(lines, 1) == 4 / 9
    assert distinct(lines, 2) == 3 / 9
    assert distinct(["", " "], 1) == 0.0


def test_a_summary_counts_a_kind_once_a_line() -> None:
    fault = {"kind": "length", "start": 0, "end": 1, "message": "짧음"}
    lines = [JudgedLine({}, "어서 오게 자네", True, [fault, fault]), JudgedLine({}, "어서 오게 친구", False, [])]
    found = summarise(lines)
    assert found["violations"]["value"] == found["by_kind"]["length"]["value"] == found["end_of_text"]["value"] == 0.5
    assert (found["distinct_lines"], found["distinct_openings"], found["mean_length"]) == (1.0, 0.5, 8.0)


def test_the_held_out_loss_is_of_the_logits_that_the_model_speaks_by(tiny_model: Path, corpus_file: Path) -> None:
    loaded = load_for_generation(str(tiny_model), torch.float32)
    capping = Gemma2Config(
        vocab_size=len(loaded.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.1, pad_token_id=loaded.tokenizer.pad_token_id,
    )  # fmt: skip
    loaded = replace(loaded, model=Gemma2ForCausalLM(capping).eval())
    examples = read_examples(corpus_file, load_domain("weapon_rental"))[:3]
    losses: list[torch.Tensor] = []
    for example in examples:
        tokens = loaded.codec.encode(render(example.attributes, loaded.domain), example.line)
        with torch.no_grad():
            logits: Any = loaded.model(torch.tensor([tokens.input_ids])).logits[0, len(tokens.prompt_ids) - 1 : -1]
        assert logits.abs().max() <= 0.1
        losses += torch.nn.functional.cross_entropy(logits, torch.tensor(tokens.completion_ids), reduction="none")
    done: list[int] = []
    found = held_out_loss(loaded, examples, batch_size=2, progress=done.append)
    assert found == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)
    assert done == [2, 1]


def test_no_reference_line_is_said(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="no reference lines"):
        held_out_loss(load_for_generation(str(tiny_model), torch.float32), [])
