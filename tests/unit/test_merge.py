"""Merging counts as done when the merged model says what the adapter said; otherwise nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.merge import merge
from npc_align.modeling.identity import Identity, weights_hash
from npc_align.modeling.load import load_base, load_tokenizer
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import fingerprint


def _adapter(tiny_model: Path, folder: Path, **lora: Any) -> Path:
    torch.manual_seed(2)
    settings = LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, lora_alpha=8, target_modules="all-linear", **lora)
    policy = get_peft_model(load_base(tiny_model, torch.float32), settings)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    policy.save_pretrained(folder)
    tokenizer, domain = load_tokenizer(tiny_model), load_domain("weapon_rental")
    Identity(
        renderer="user_assistant", prompt_hash=fingerprint(domain, "user_assistant", tokenizer), domain="weapon_rental",
        base=str(tiny_model), base_hash=weights_hash(tiny_model), stop_id=PromptCodec(tokenizer, "user_assistant", 512).stop_id,
        max_length=512,
    ).save(folder)  # fmt: skip
    return folder


@pytest.mark.parametrize("kind", [{}, {"use_rslora": True}, {"use_dora": True}], ids=["lora", "rslora", "dora"])
def test_every_kind_of_adapter_merges(kind: dict[str, bool], tiny_model: Path, tmp_path: Path) -> None:
    merge(str(_adapter(tiny_model, tmp_path / "adapter", **kind)), tmp_path / "merged", torch.bfloat16)
    assert json.loads((tmp_path / "merged/config.json").read_text())["dtype"] == "bfloat16"


def test_the_weights_are_added_in_float32_and_rounded_once(tiny_model: Path, tmp_path: Path) -> None:
    adapter = _adapter(tiny_model, tmp_path / "adapter")
    merge(str(adapter), tmp_path / "merged", torch.bfloat16)
    base, deltas = load_file(tiny_model / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    layer = "model.layers.0.mlp.up_proj"
    a, b = (deltas[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
    expected = (base[f"{layer}.weight"].float() + 8 / 4 * b @ a).to(torch.bfloat16)
    assert torch.equal(load_file(tmp_path / "merged/model.safetensors")[f"{layer}.weight"], expected)


def test_a_merge_that_changes_a_line_writes_nothing(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraModel

    adapter = _adapter(tiny_model, tmp_path / "adapter")
    monkeypatch.setattr(LoraModel, "merge_and_unload", LoraModel.unload)  # the adapter is dropped instead
    with pytest.raises(
        UserError, match=r"something else than the adapter to \d+ of 6 probes, so nothing was written(.|\n)*probe 1: adapter "
    ):
        merge(str(adapter), tmp_path / "merged", torch.float32)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
