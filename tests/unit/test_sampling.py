"""Drawing tokens: the distribution is softmax's, the knobs do what transformers' own do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from npc_align.modeling.load import load_base
from npc_align.modeling.sampling import draw_tokens, logits_processors


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
    seen: list[torch.Tensor] = []

    def record(_: Any, scores: torch.Tensor) -> torch.Tensor:
        seen.append(scores.clone())
        return scores

    config, _ = model._prepare_generation_config(GenerationConfig(), do_sample=True, **knobs)
    model._prepare_special_tokens(config, device="cpu")
    theirs = model._get_logits_processor(generation_config=config, input_ids_seq_length=2, device="cpu", logits_processor=[])
    ours = logits_processors({"do_sample": True, **knobs})
    ours.insert(len(ours) - 1, record)
    drawn = ours(ids, logits.clone())
    torch.testing.assert_close(seen[0], theirs(ids, logits.clone()))
    assert drawn.isfinite().sum() == 1
    assert seen[0].isfinite()[drawn.isfinite()].all()
