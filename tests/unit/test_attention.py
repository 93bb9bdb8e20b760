"""Attention as products computes what sdpa computes, forward and backward, and leaves everything but training to sdpa."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from npc_align.modeling.attention import PRODUCTS, use_products
from npc_align.modeling.shared_prompt import attention_masks_for, can_share_prompts, shared_rows


def _pair() -> tuple[Any, Any]:
    """One model twice, by sdpa and by products: grouped heads, one layer whose window is shorter than the rows."""
    torch.manual_seed(1)
    config = Gemma3TextConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, sliding_window=8, layer_types=["sliding_attention", "full_attention"], attn_implementation="sdpa",
    )  # fmt: skip
    model = Gemma3ForCausalLM(config).eval()
    products = copy.deepcopy(model)
    assert use_products(products)
    assert products.config._attn_implementation == PRODUCTS
    return model, products


def _ids(rows: int = 3, width: int = 20) -> torch.Tensor:
    return torch.randint(3, 300, (rows, width), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("padded", [False, True])
def test_states_and_gradients_are_those_of_sdpa(padded: bool) -> None:
    ids = _ids()
    mask = torch.ones_like(ids)
    if padded:
        mask[0, 15:] = 0
    kept, found = mask.unsqueeze(-1), []
    for model in _pair():
        states = model.model(input_ids=ids, attention_mask=mask).last_hidden_state * kept
        states.pow(2).sum().backward()
        found.append((states.detach(), [p.grad for p in model.model.parameters()]))
    (expected, theirs), (states, ours) = found
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in theirs)
    assert largest > 1
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-5 * largest, rtol=1e-3)


def test_rows_that_share_a_prompt_bring_their_own_mask() -> None:
    ids = torch.cat([_ids(1, 5).expand(2, 5), _ids(2, 2)], dim=1)
    labels = ids.clone()
    labels[:, :5] = -100
    shared = shared_rows(ids, torch.ones_like(ids), labels)
    assert shared is not None
    states = []
    for model in _pair():
        assert can_share_prompts(model) is None
        mask = attention_masks_for(model, shared)
        output = model.model(input_ids=shared.input_ids, attention_mask=mask, position_ids=shared.position_ids)
        states.append(output.last_hidden_state)
    torch.testing.assert_close(states[1], states[0], atol=1e-5, rtol=1e-5)


def test_without_gradients_it_is_sdpa_itself() -> None:
    with torch.no_grad():
        expected, found = (model(input_ids=_ids()).logits for model in _pair())
    assert torch.equal(found, expected)


def test_a_model_that_attends_otherwise_keeps_its_attention() -> None:
    model, _ = _pair()
    model.set_attn_implementation("eager")
    assert not use_products(model)
    assert model.config._attn_implementation == "eager"
