"""A folder in EXAONE-3.5's layout through the real command lines: trained, merged and written back, the same lines throughout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from npc_align.domain import load_domain
from npc_align.evaluation.cli import main as npc_eval
from npc_align.modeling.exaone import is_exaone, write_model_in_exaone_layout
from npc_align.modeling.generation import Decoding, generate_lines
from npc_align.modeling.load import LoadedModel, load_for_generation
from npc_align.prompt import render
from tests.integration.conftest import Commands


@pytest.fixture(scope="module")
def exaone_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama in EXAONE's layout, with remote code beside it that must never run."""
    folder = tmp_path_factory.mktemp("exaone")
    llama = json.loads((tiny_model / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    settings: dict[str, Any] = {key: llama[key] for key in kept} | {
        "model_type": "exaone", "architectures": ["ExaoneForCausalLM"], "num_layers": llama["num_hidden_layers"],
        "activation_function": "silu", "layer_norm_epsilon": llama["rms_norm_eps"], "rope_theta": 10000.0,
        "max_position_embeddings": 1024, "tie_word_embeddings": False, "bos_token_id": llama["bos_token_id"],
        "eos_token_id": llama["eos_token_id"], "pad_token_id": llama["pad_token_id"],
        "auto_map": {"AutoModelForCausalLM": "modeling_exaone.ExaoneForCausalLM"},
    }  # fmt: skip
    config = folder / "exaone-config.json"
    config.write_text(json.dumps(settings))
    write_model_in_exaone_layout(tiny_model, config, folder / "model")
    (folder / "model/config.json").write_text(json.dumps(settings))
    (folder / "model/modeling_exaone.py").write_text("raise SystemExit('remote code ran')\n")
    return folder / "model"


@pytest.fixture(scope="module")
def exaone_run(commands: Commands, exaone_model: Path, sft_arguments: Sequence[str]) -> Path:
    arguments = [a for a in sft_arguments if not a.startswith(("model.path", "optim.epochs"))]
    commands.script("sft/train.py", "output_dir=runs/exaone", *arguments, f"model.path={exaone_model}", "optim.epochs=1")
    return commands.work / "runs/exaone"


def _lines(loaded: LoadedModel) -> list[str]:
    prompts = [render(probe, loaded.domain) for probe in load_domain("weapon_rental").probes]
    return [line.text for line in generate_lines(loaded.model, loaded.codec, prompts, Decoding(max_new_tokens=16))]


@pytest.mark.parametrize("layout", ["transformers", "exaone"])
def test_a_merged_model_speaks_the_same_in_either_layout(commands: Commands, exaone_run: Path, layout: str) -> None:
    out = commands.work / f"merged-{layout}"
    commands.inside(npc_eval, "merge", exaone_run, out, "--dtype", "float32", "--layout", layout)
    assert is_exaone(out) == (layout == "exaone")
    assert "auto_map" not in json.loads((out / "config.json").read_text())
    merged, trained = (load_for_generation(str(path), torch.float32) for path in (out, exaone_run))
    assert _lines(merged) == _lines(trained)
    assert {line for line in _lines(trained) if line}


def test_the_adapter_is_written_under_exaones_names(commands: Commands, exaone_run: Path) -> None:
    from safetensors.torch import load_file

    out = commands.work / "exaone-adapter"
    commands.inside(npc_eval, "export-adapter", exaone_run, out)
    theirs, ours = load_file(out / "adapter_model.safetensors"), load_file(exaone_run / "adapter/adapter_model.safetensors")
    name = "base_model.model.transformer.h.1.mlp.c_fc_0.lora_B.weight"
    assert torch.equal(theirs[name], ours["base_model.model.model.layers.1.mlp.gate_proj.lora_B.weight"])
    assert len(theirs) == len(ours)
    targets = json.loads((out / "adapter_config.json").read_text())["target_modules"]
    assert set(targets) == {"q_proj", "k_proj", "v_proj", "out_proj", "c_fc_0", "c_fc_1", "c_proj"}
