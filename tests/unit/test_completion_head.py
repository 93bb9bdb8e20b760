"""The completion-only head computes what TRL's fused head computes, forward and backward, in float32."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GraniteConfig, GraniteForCausalLM
from trl.trainer.utils import add_fused_lm_head

from npc_align.modeling.completion_head import use_completion_head

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


def _gemma(softcap: float | None) -> Any:
    torch.manual_seed(1)
    config = Gemma3TextConfig(
        vocab_size=500, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, sliding_window=16, final_logit_softcapping=softcap,
    )  # fmt: skip
    return Gemma3ForCausalLM(config).eval()


def _pair(model: Any, **options: bool) -> tuple[Any, Any]:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    theirs, ours = copy.deepcopy(model), copy.deepcopy(model)
    add_fused_lm_head(theirs, outputs=OUTPUTS)
    add_fused_lm_head(ours, outputs=OUTPUTS)
    assert use_completion_head(ours, **options)
    for m in (theirs, ours):
        m.base_model.layers[0].mlp.down_proj.weight.requires_grad_(True)
    return theirs, ours


def _batch(vocabulary: int, rows: int = 3, width: int = 40) -> dict[str, torch.Tensor]:
    ids = torch.randint(3, vocabulary, (rows, width), generator=torch.Generator().manual_seed(2))
    labels = ids.clone()
    labels[:, :25] = -100
    mask = torch.ones_like(ids)
    mask[0, 35:], labels[0, 35:] = 0, -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.mark.parametrize("tile", [2048, 7])
@pytest.mark.parametrize("kind", ["llama", "gemma", "gemma-softcap"])
def test_equals_trl_forward_and_backward(kind: str, tile: int, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npc_align.modeling.completion_head._TILE", tile)  # the vocabulary in one tile, or in many and a rest
    llama = kind == "llama"
    model = (
        AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
        if llama
        else _gemma(5.0 if "softcap" in kind else None)
    )
    theirs, ours = _pair(model)
    batch = _batch(model.config.vocab_size)
    expected, found = (m(**batch, fused_lm_head=True) for m in (theirs, ours))
    for name in ("loss", "log_probs", "entropy", "mean_logits"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-5, rtol=1e-5)
    assert torch.equal(found.is_top1, expected.is_top1)
    assert torch.equal(found.label_mask, expected.label_mask)
    weights = torch.rand(found.log_probs.shape, generator=torch.Generator().manual_seed(3))
    for out in (expected, found):
        (out.log_probs * weights).sum().backward()
    grads = [m.base_model.layers[0].mlp.down_proj.weight.grad for m in (ours, theirs)]
    assert grads[1].abs().max() > 1e-4
    torch.testing.assert_close(*grads, atol=1e-7, rtol=1e-3)


def test_all_masked_batch_gives_a_differentiable_zero() -> None:
    _, ours = _pair(_gemma(None))
    batch = _batch(500)
    batch["labels"][:] = -100
    out = ours(**batch, fused_lm_head=True)
    out.log_probs.sum().backward()
    assert out.loss == 0
    assert ours.base_model.layers[0].mlp.down_proj.weight.grad.abs().max() == 0


def test_plain_forward_is_untouched() -> None:
    model = _gemma(None)
    _, ours = _pair(model)
    batch = _batch(500)
    torch.testing.assert_close(ours(**batch).loss, model(**batch).loss)
    torch.testing.assert_close(ours(**batch).logits, model(**batch).logits)


def test_a_model_that_scales_its_logits_keeps_trls_own() -> None:
    config = GraniteConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        logits_scaling=8.0,
    )  # fmt: skip
    model = GraniteForCausalLM(config).requires_grad_(False)
    add_fused_lm_head(model, outputs=OUTPUTS)
    assert not use_completion_head(model)


def test_a_trained_head_keeps_trls_own() -> None:
    model = _gemma(None)
    add_fused_lm_head(model, outputs=OUTPUTS)
    assert model.get_output_embeddings().weight.requires_grad
    assert not use_completion_head(model)
