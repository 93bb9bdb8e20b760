"""Drawing tokens: the distribution is softmax's, the knobs do what transformers' own do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from npc_align.modeling.load import load_base
from npc_align.modeling.sampling import TokenPicker, draw_tokens, likeliest_tokens


def test_draws_follow_softmax() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1300) * 2  # three blocks, the last one not full
    draws = draw_tokens(logits.expand(40_000, -1))
    found = torch.bincount(draws, minlength=1300) / len(draws)
    expected = logits.softmax(0)
    # 40,000 draws: the total variation distance of a right sampler is about 0.06 here; a wrong block alone would add more.
    reference = torch.multinomial(expected, 40_000, replacement=True)
    theirs = torch.bincount(reference, minlength=1300) / len(reference)
    distance = (found - expected).abs().sum() / 2
    assert distance < 1.2 * (theirs - expected).abs().sum() / 2
    blocks = torch.tensor([found[:512].sum(), found[512:1024].sum(), found[1024:].sum()])
    wanted = torch.tensor([expected[:512].sum(), expected[512:1024].sum(), expected[1024:].sum()])
    torch.testing.assert_close(blocks, wanted, atol=0.01, rtol=0)


@pytest.mark.parametrize("allowed", [[0], [511], [512], [1299], [3, 700]])
def test_a_word_of_no_weight_is_never_drawn(allowed: list[int]) -> None:
    torch.manual_seed(0)
    logits = torch.full((500, 1300), -torch.inf)
    logits[:, allowed] = 0.0
    assert set(draw_tokens(logits).tolist()) == set(allowed)


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"repetition_penalty": 1.5},
        {"top_k": 0},
        {"temperature": 0.7, "top_p": 0.9},
        {"top_k": 7, "min_p": 0.05},
        {"temperature": 1.5, "top_k": 0, "top_p": 0.8},
    ],
)
def test_the_knobs_leave_what_transformers_leaves(knobs: dict[str, Any], tiny_model: Path) -> None:
    model = load_base(tiny_model, torch.float32).eval()
    ids, logits = torch.tensor([[3, 4]]), torch.randn(1, model.config.vocab_size, generator=torch.Generator().manual_seed(1))
    config, _ = model._prepare_generation_config(GenerationConfig(), do_sample=True, **knobs)
    model._prepare_special_tokens(config, device="cpu")
    theirs = model._get_logits_processor(generation_config=config, input_ids_seq_length=2, device="cpu", logits_processor=[])
    scores, words = TokenPicker({"do_sample": True, **knobs}).candidates(ids, logits.clone())
    found = scores if words is None else torch.full_like(logits, -torch.inf).scatter_(1, words, scores)
    torch.testing.assert_close(found, theirs(ids, logits.clone()))


def test_what_ties_with_the_last_of_top_k_may_be_drawn_too() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0, 1.0, 1.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    scores, words = TokenPicker({"do_sample": True, "top_k": 2}).candidates(torch.zeros(2, 1, dtype=torch.long), logits)
    assert words is not None
    kept = [set(w[s.isfinite()].tolist()) for w, s in zip(words, scores, strict=True)]
    assert kept == [{1, 2, 3, 4}, {0, 1}]


def test_drawn_columns_become_word_ids() -> None:
    torch.manual_seed(0)
    logits = torch.full((300, 1300), -20.0)
    logits[:, [7, 900]] = 3.0
    picked = TokenPicker({"do_sample": True, "top_k": 2})(torch.zeros(300, 1, dtype=torch.long), logits)
    assert set(picked.tolist()) == {7, 900}


@pytest.mark.parametrize("words", [512, 1300, 3])
def test_the_first_of_the_likeliest_is_taken(words: int) -> None:
    scores = torch.randint(-20, 0, (200, words), generator=torch.Generator().manual_seed(2)).bfloat16()  # full of ties
    first = [row.index(max(row)) for row in scores.tolist()]
    assert likeliest_tokens(scores).tolist() == first
