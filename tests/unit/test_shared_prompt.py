"""Lines in one row with their prompt once: what TRL's own forward gives for the two rows, and the plain path where it can't be."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import (
    Exaone4Config,
    Exaone4ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import add_fused_lm_head

from npc_align.modeling.completion_head import use_completion_head
from npc_align.modeling.shared_prompt import MULTIPLE, can_share_prompts, shared_rows

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")
SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
MIXED = {"layer_types": ["sliding_attention", "full_attention"]}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, **MIXED, sliding_window=64, final_logit_softcapping=5.0)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "exaone4": lambda: Exaone4ForCausalLM(Exaone4Config(**SIZES, **MIXED, sliding_window=64)),
    "mistral": lambda: MistralForCausalLM(
        MistralConfig(**SIZES, sliding_window=64)
    ),  # slides in every layer, without naming kinds
}


def _batch(pairs: int = 3, longest: int = 30) -> dict[str, torch.Tensor]:
    """TRL's own batch of pairs: prompts, chosen and rejected of different lengths."""
    generator = torch.Generator().manual_seed(7)

    def ids(low: int, high: int) -> list[int]:
        count = int(torch.randint(low, high, (1,), generator=generator))
        return torch.randint(3, 300, (count,), generator=generator).tolist()

    rows = [{"prompt_ids": ids(2, longest), "chosen_ids": ids(1, 12), "rejected_ids": ids(1, 12)} for _ in range(pairs)]
    return _collated(rows)


def _collated(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    batch = DataCollatorForPreference(pad_token_id=0)(rows)
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}


def _models(family: str, attention: str = "sdpa") -> tuple[Any, Any]:
    """TRL's forward and ours, on equal weights, one matrix of which is trained."""
    torch.manual_seed(1)
    theirs = FAMILIES[family]().eval().requires_grad_(False)
    theirs.set_attn_implementation(attention)
    ours = copy.deepcopy(theirs)
    for model in (theirs, ours):
        add_fused_lm_head(model, outputs=OUTPUTS)
        model.base_model.layers[0].mlp.down_proj.weight.requires_grad_(True)
    assert use_completion_head(ours, share_prompts=True)
    return theirs, ours


def _widths(model: Any) -> list[tuple[int, ...]]:
    """Shapes that the embedding is asked for from now on."""
    seen: list[tuple[int, ...]] = []
    model.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    return seen


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_trls(family: str, attention: str) -> None:
    theirs, ours = _models(family, attention)
    batch, seen = _batch(), _widths(ours)
    expected, found = (model(**batch, use_cache=False, fused_lm_head=True) for model in (theirs, ours))
    assert seen[0][0] == 3, "three pairs are three rows"
    for name in ("loss", "log_probs", "entropy", "mean_logits"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-5, rtol=1e-5)
    assert torch.equal(found.is_top1, expected.is_top1)
    weights = torch.rand(found.log_probs.shape, generator=torch.Generator().manual_seed(3))
    for out in (expected, found):
        (out.log_probs * weights).sum().backward()
    grads = [m.base_model.layers[0].mlp.down_proj.weight.grad for m in (ours, theirs)]
    assert grads[1].abs().max() > 1e-4
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gemma3", "exaone4", "mistral"])
def test_a_sliding_window_cuts_what_it_would_cut_of_separate_rows(family: str, attention: str) -> None:
    theirs, ours = _models(family, attention)
    batch = _batch(longest=150)
    assert batch["attention_mask"].sum(1).max() > 64, "rows longer than the window"
    seen = _widths(ours)
    expected, found = (model(**batch, use_cache=False, fused_lm_head=True) for model in (theirs, ours))
    assert seen[0][0] == 3, "three pairs are three rows"
    torch.testing.assert_close(found.log_probs, expected.log_probs, atol=1e-5, rtol=1e-5)
    ours.config.sliding_window = 1000
    wider = ours(**batch, use_cache=False, fused_lm_head=True).log_probs
    assert not torch.allclose(wider, expected.log_probs, atol=1e-4), "the window matters here"


@pytest.mark.parametrize("spoil", ["no prompt twice", "padded on the left", "a label in the prompt", "no completion"])
def test_what_isnt_lines_of_one_prompt_stays_as_it_is(spoil: str) -> None:
    batch = {name: tensor.clone() for name, tensor in _batch().items()}
    assert shared_rows(**batch) is not None
    if spoil == "no prompt twice":
        batch["input_ids"][:3, 0] += 1
    elif spoil == "padded on the left":
        batch = {name: tensor.flip(1) for name, tensor in batch.items()}
    elif spoil == "a label in the prompt":
        batch["labels"][0, 0] = 5
    else:
        batch["labels"][:] = -100
    assert shared_rows(**batch) is None


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_pairs_of_one_prompt_share_it_and_each_keeps_its_weight(attention: str) -> None:
    """Three rejected lines against one chosen, two pairs that share nothing but the prompt, and a pair alone: three rows for six."""
    theirs, ours = _models("gemma3", attention)
    one, two, three = [5, 6, 7, 8], [9, 10], [11]
    rows = [
        {"prompt_ids": one, "chosen_ids": [20, 21, 22], "rejected_ids": [30]},
        {"prompt_ids": two, "chosen_ids": [23, 2], "rejected_ids": [31, 2]},
        {"prompt_ids": one, "chosen_ids": [20, 21, 22], "rejected_ids": [32, 33]},
        {"prompt_ids": three, "chosen_ids": [24, 2], "rejected_ids": [34, 35, 36]},
        {"prompt_ids": one, "chosen_ids": [20, 21, 22], "rejected_ids": [20, 21]},
        {"prompt_ids": two, "chosen_ids": [25], "rejected_ids": [37, 2]},
    ]
    batch = _collated(rows)
    seen = _widths(ours)
    expected, found = (model(**batch, use_cache=False, fused_lm_head=True) for model in (theirs, ours))
    assert seen[0] == (3, 16), f"{len(one)} + 3 + 1 + 2 + 2 tokens, filled up to a multiple of {MULTIPLE}"
    torch.testing.assert_close(found.log_probs, expected.log_probs, atol=1e-5, rtol=1e-5)
    weights = torch.rand(found.log_probs.shape, generator=torch.Generator().manual_seed(3))
    for out in (expected, found):
        (out.log_probs * weights).sum().backward()
    grads = [m.base_model.layers[0].mlp.down_proj.weight.grad for m in (ours, theirs)]
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-3)


def test_a_model_without_rotary_positions_says_why_it_stays_plain(capsys: pytest.CaptureFixture[str]) -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=2)).requires_grad_(False)
    assert can_share_prompts(model) == "GPT2LMHeadModel has no rotary positions"
    add_fused_lm_head(model, outputs=OUTPUTS)
    assert use_completion_head(model, share_prompts=True)
    assert "has no rotary positions; every row runs with its own prompt" in capsys.readouterr().out
    seen, batch = _widths(model), _batch()
    model(**batch, use_cache=False, fused_lm_head=True)
    assert seen[0] == batch["input_ids"].shape
