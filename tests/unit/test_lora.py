"""LoRA targets: what roles and names reach on several layouts, and that a name which reaches nothing is an error."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Exaone4Config,
    Exaone4ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from npc_align.errors import UserError
from npc_align.modeling.lora import peft_names, resolve_targets

LAYERS = 2


class _ExaoneBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.Module()
        self.attn.attention = nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.attn.attention.add_module(name, nn.Linear(4, 4, bias=False))
        self.mlp = nn.Module()
        for name in ("c_fc_0", "c_fc_1", "c_proj"):
            self.mlp.add_module(name, nn.Linear(4, 4, bias=False))


class ExaoneLayout(nn.Module):
    """Module names as EXAONE-3.5 ships them."""

    def __init__(self, head: str = "lm_head") -> None:
        super().__init__()
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(8, 4)
        self.transformer.h = nn.ModuleList(_ExaoneBlock() for _ in range(LAYERS))
        self.add_module(head, nn.Linear(4, 8, bias=False))
        self._head = head

    def get_output_embeddings(self) -> Any:
        return getattr(self, self._head)


def _gemma() -> Any:
    torch.manual_seed(1)
    config = Gemma3TextConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, sliding_window=16,
    )  # fmt: skip
    return Gemma3ForCausalLM(config)


SIZES: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16,
}  # fmt: skip
OTHERS = {
    "exaone4": lambda: Exaone4ForCausalLM(Exaone4Config(**SIZES, layer_types=["sliding_attention", "full_attention"])),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
}


def _build(layout: str, tiny_model: Path) -> Any:
    if layout == "exaone":
        return ExaoneLayout()
    if layout in OTHERS:
        return OTHERS[layout]()
    return _gemma() if layout == "gemma" else AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)


ATTENTION = {"llama": {"q_proj", "k_proj", "v_proj", "o_proj"}, "exaone": {"q_proj", "k_proj", "v_proj", "out_proj"}}
MLP = {"llama": {"gate_proj", "up_proj", "down_proj"}, "exaone": {"c_fc_0", "c_fc_1", "c_proj"}}
for table in (ATTENTION, MLP):
    table |= dict.fromkeys(["gemma", *OTHERS], table["llama"])


@pytest.mark.parametrize("layout", ["llama", "gemma", "exaone", *OTHERS])
def test_roles_reach_every_layer_and_never_the_head(layout: str, tiny_model: Path) -> None:
    model = _build(layout, tiny_model)
    expected = {"attention": ATTENTION[layout], "mlp": MLP[layout], "all-linear": ATTENTION[layout] | MLP[layout]}
    for role, names in expected.items():
        coverage = resolve_targets(model, role)
        assert coverage.layers == dict.fromkeys(names, LAYERS)
        assert len(coverage.modules) == len(set(coverage.modules)) == LAYERS * len(names)
        assert not any("head" in name for name in coverage.modules)
    assert resolve_targets(model, ["attention", "mlp"]) == resolve_targets(model, "all-linear")


def test_coverage_counts_each_layer_once_and_says_so() -> None:
    coverage = resolve_targets(ExaoneLayout(), ["q_proj", "transformer.h.1.mlp.c_proj", "q_proj"])
    assert coverage.layers == {"q_proj": LAYERS, "c_proj": 1}
    assert str(coverage) == "LoRA reaches q_proj x2, c_proj x1"


@pytest.mark.parametrize("targets", ["gate_proj", ["q_proj", "gate_proj"], ["all-linear", "gate_proj"]])
def test_a_name_that_matches_nothing_is_an_error_that_lists_what_exists(targets: str | list[str]) -> None:
    with pytest.raises(UserError, match="'gate_proj' matches no linear module") as caught:
        resolve_targets(ExaoneLayout(), targets)
    for name in (*ATTENTION["exaone"], *MLP["exaone"]):
        assert f"{name} x{LAYERS}" in str(caught.value)
    assert "lm_head" not in str(caught.value)


@pytest.mark.parametrize("targets", ["lm_head", "wte", "", []])
def test_the_head_embeddings_and_nothing_at_all_are_no_targets(targets: str | list[str]) -> None:
    with pytest.raises(UserError, match=r"lora\.targets"):
        resolve_targets(ExaoneLayout(), targets)


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ("attention", ["k_proj", "out_proj", "q_proj", "v_proj"]),
        (["q_proj"], ["q_proj"]),
        (["transformer.h.0.mlp.c_proj"], ["transformer.h.0.mlp.c_proj"]),
    ],
)
def test_short_names_only_where_they_mean_the_same(targets: str | list[str], names: list[str]) -> None:
    model = ExaoneLayout()
    assert peft_names(model, resolve_targets(model, targets)) == names


@pytest.mark.parametrize("targets", ["attention", "mlp", "all-linear", ["transformer.h.1.attn.attention.q_proj"]])
@pytest.mark.parametrize("head", ["lm_head", "c_proj", "q_proj"])
def test_peft_adapts_exactly_what_was_resolved(targets: str | list[str], head: str) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    model = ExaoneLayout(head)
    coverage = resolve_targets(model, targets)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=peft_names(model, coverage)), model)
    adapted = [name.removesuffix(".lora_A.default") for name, _ in model.named_modules() if name.endswith("lora_A.default")]
    assert Counter(adapted) == Counter(coverage.modules)
