"""Merging counts as done when the merged model says what the adapter said; otherwise nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.merge import merge
from tests.unit.tiny_trainers import adapter_of


@pytest.mark.parametrize("kind", [{}, {"use_rslora": True}, {"use_dora": True}], ids=["lora", "rslora", "dora"])
def test_every_kind_of_adapter_merges(kind: dict[str, bool], tiny_model: Path, tmp_path: Path) -> None:
    merge(str(adapter_of(tiny_model, tmp_path / "adapter", **kind)), tmp_path / "merged", torch.bfloat16)
    assert json.loads((tmp_path / "merged/config.json").read_text())["dtype"] == "bfloat16"


def test_the_weights_are_added_in_float32_and_rounded_once(tiny_model: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_model, tmp_path / "adapter")
    merge(str(adapter), tmp_path / "merged", torch.bfloat16)
    base, deltas = load_file(tiny_model / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    layer = "model.layers.0.mlp.up_proj"
    a, b = (deltas[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
    expected = (base[f"{layer}.weight"].float() + 8 / 4 * b @ a).to(torch.bfloat16)
    assert torch.equal(load_file(tmp_path / "merged/model.safetensors")[f"{layer}.weight"], expected)


def test_a_merge_that_changes_a_line_writes_nothing(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft import LoraModel

    adapter = adapter_of(tiny_model, tmp_path / "adapter")
    monkeypatch.setattr(LoraModel, "merge_and_unload", LoraModel.unload)  # the adapter is dropped instead
    with pytest.raises(
        UserError, match=r"something else than the adapter to \d+ of 6 prompts, so nothing was written(.|\n)*prompt 1: adapter "
    ):
        merge(str(adapter), tmp_path / "merged", torch.float32)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_where_a_domain_has_no_probes_drawn_prompts_are_compared(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraModel

    adapter = adapter_of(tiny_model, tmp_path / "adapter")
    monkeypatch.setattr("npc_align.evaluation.merge.domain_of", lambda *_: replace(load_domain("weapon_rental"), probes=()))
    monkeypatch.setattr(LoraModel, "merge_and_unload", LoraModel.unload)
    with pytest.raises(UserError, match=r"something else than the adapter to \d+ of 6 prompts"):
        merge(str(adapter), tmp_path / "merged", torch.float32)


def test_a_llama_adapter_has_nothing_to_say_in_exaones_names(tiny_model: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_model, tmp_path / "adapter")
    with pytest.raises(UserError, match="isn't in EXAONE's layout"):
        merge(str(adapter), tmp_path / "no", torch.float32, "exaone")
    assert not (tmp_path / "no").exists()
