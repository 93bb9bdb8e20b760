"""EXAONE's names and layout: a model or an adapter goes back to them as it came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from npc_align.modeling.exaone import (
    llama_config,
    load_exaone,
    to_exaone_name,
    to_llama_name,
    write_adapter_in_exaone_layout,
    write_model_in_exaone_layout,
)
from tests.unit.exaone_folders import (
    REAL,
    SMALL,
    Made,
    assert_alike,
    assert_same_weights,
    logits,
    made_as,
    random_reference,
    stored,
)
from tests.unit.exaone_reference import ExaoneReference


@pytest.fixture(params=list(SMALL))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return made_as(request.param, tmp_path / "exaone")


@pytest.fixture
def tied(tmp_path: Path) -> Made:
    return made_as("tied, scaled", tmp_path / "exaone")


@pytest.mark.parametrize(
    ("exaone", "llama"),
    [
        ("transformer.wte.weight", "model.embed_tokens.weight"),
        ("transformer.ln_f.weight", "model.norm.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("transformer.h.0.ln_1.weight", "model.layers.0.input_layernorm.weight"),
        ("transformer.h.29.ln_2.weight", "model.layers.29.post_attention_layernorm.weight"),
        ("transformer.h.3.attn.attention.q_proj", "model.layers.3.self_attn.q_proj"),
        ("transformer.h.3.attn.attention.k_proj", "model.layers.3.self_attn.k_proj"),
        ("transformer.h.3.attn.attention.v_proj", "model.layers.3.self_attn.v_proj"),
        ("transformer.h.3.attn.attention.out_proj", "model.layers.3.self_attn.o_proj"),
        ("transformer.h.12.mlp.c_fc_0", "model.layers.12.mlp.gate_proj"),
        ("transformer.h.12.mlp.c_fc_1", "model.layers.12.mlp.up_proj"),
        ("transformer.h.12.mlp.c_proj", "model.layers.12.mlp.down_proj"),
        (
            "base_model.model.transformer.h.0.attn.attention.q_proj.lora_A.weight",
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
        ),
        (
            "base_model.model.transformer.h.10.mlp.c_proj.lora_B.weight",
            "base_model.model.model.layers.10.mlp.down_proj.lora_B.weight",
        ),
    ],
)
def test_names(exaone: str, llama: str) -> None:
    assert to_llama_name(exaone) == llama
    assert to_exaone_name(llama) == exaone


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("base_model.model.", ""), ("base_model.model.", ".lora_A.weight")])
def test_names_are_inverse_of_each_other_for_every_parameter(tie: bool, prefix: str, suffix: str) -> None:
    settings = {**REAL, "tie_word_embeddings": tie}
    with torch.device("meta"):
        model, reference = LlamaForCausalLM(llama_config(settings)), ExaoneReference(settings)

    def spelled(network: torch.nn.Module) -> set[str]:
        names = (name for name, _ in network.named_parameters())
        return {prefix + (name.removesuffix(".weight") + suffix if suffix else name) for name in names}

    ours, theirs = spelled(model), spelled(reference)
    assert {to_llama_name(name) for name in theirs} == ours
    assert {to_exaone_name(name) for name in ours} == theirs
    assert all(to_exaone_name(to_llama_name(name)) == name for name in theirs)
    assert all(to_llama_name(to_exaone_name(name)) == name for name in ours)


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_changed_model_goes_back_to_exaones_layout(made: Made, tmp_path: Path) -> None:
    llama, out, again = (tmp_path / name for name in ("llama", "out", "again"))
    model = load_exaone(made.folder, torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.neg_()  # exact, of the same size, and no copy of the folder that it came from
    model.save_pretrained(llama, max_shard_size="8KB" if made.shards > 1 else "1GB")
    for name in ("tokenizer.json", "chat_template.jinja"):
        (llama / name).write_text(f"한국어 {name}", encoding="utf-8")
    write_model_in_exaone_layout(llama, made.folder / "config.json", out)

    assert_same_weights(stored(out), {name: -weight for name, weight in made.reference.state_dict().items()})
    settings = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert settings == {key: value for key, value in made.settings.items() if key != "auto_map"}
    assert _files(out) == _files(llama)
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (llama / name).read_bytes()

    reference = ExaoneReference(settings)
    reference.load_state_dict(stored(out), strict=True)
    assert_alike(model, reference)
    loaded = load_exaone(out, torch.float32)
    assert_same_weights(loaded.state_dict(), model.state_dict())
    loaded.save_pretrained(again)
    assert_same_weights(stored(again), stored(llama))
    assert not made.trace.exists()


def test_shards_stay_as_they_were_and_the_index_finds_every_weight(tied: Made, tmp_path: Path) -> None:
    llama, out = tmp_path / "llama", tmp_path / "out"
    load_exaone(tied.folder, torch.float32).save_pretrained(llama, max_shard_size="8KB")
    write_model_in_exaone_layout(llama, tied.folder / "config.json", out)
    source, index = (json.loads((f / "model.safetensors.index.json").read_text(encoding="utf-8")) for f in (llama, out))
    assert len(set(index["weight_map"].values())) > 2
    assert {to_llama_name(name): file for name, file in index["weight_map"].items()} == source["weight_map"]
    assert index["metadata"]["total_size"] == sum(weight.nbytes for weight in tied.reference.state_dict().values())
    held = {}
    for file in out.glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            held.update(dict.fromkeys(weights.keys(), file.name))
            assert weights.metadata()["format"] == "pt"  # from_pretrained has refused files without it
    assert held == index["weight_map"]


def test_writing_keeps_the_dtype(tied: Made, tmp_path: Path) -> None:
    load_exaone(tied.folder, torch.bfloat16).save_pretrained(tmp_path / "llama")
    write_model_in_exaone_layout(tmp_path / "llama", tied.folder / "config.json", tmp_path / "out")
    expected = {name: weight.bfloat16() for name, weight in tied.reference.state_dict().items()}
    assert_same_weights(stored(tmp_path / "out"), expected)


class _Attachable(ExaoneReference):
    """With the one method that PEFT asks of a causal language model."""

    def prepare_inputs_for_generation(self, ids: torch.Tensor) -> torch.Tensor:
        return ids


@pytest.mark.parametrize(
    ("targets", "renamed"),
    [
        (
            ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            ["q_proj", "k_proj", "v_proj", "out_proj", "c_fc_0", "c_fc_1", "c_proj"],
        ),
        (["o_proj"], ["out_proj"]),
        (
            ["model.layers.1.self_attn.o_proj", "model.layers.0.mlp.down_proj", "model.layers.1.self_attn.v_proj"],
            ["transformer.h.1.attn.attention.out_proj", "transformer.h.0.mlp.c_proj", "transformer.h.1.attn.attention.v_proj"],
        ),
    ],
)
def test_an_adapter_changes_exaone_as_it_changed_llama(
    targets: list[str], renamed: list[str], made: Made, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    adapted = get_peft_model(
        load_exaone(made.folder, torch.float32),
        LoraConfig(task_type=TaskType.CAUSAL_LM, r=2, lora_alpha=3, target_modules=targets, init_lora_weights=False),
    )
    adapter, out = tmp_path / "adapter", tmp_path / "out"
    adapted.save_pretrained(adapter)
    (adapter / "identity.json").write_text('{"game": "무기 대여점"}', encoding="utf-8")
    before = {path.name: path.read_bytes() for path in adapter.iterdir()}
    write_adapter_in_exaone_layout(adapter, out)

    assert {path.name: path.read_bytes() for path in adapter.iterdir()} == before
    assert _files(out) == before.keys()
    for name in before.keys() - {"adapter_model.safetensors", "adapter_config.json"}:
        assert (out / name).read_bytes() == before[name]
    old, new = (json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")) for folder in (adapter, out))
    assert sorted(new.pop("target_modules")) == sorted(renamed)
    assert sorted(old.pop("target_modules")) == sorted(targets)
    assert new == old

    source = load_file(adapter / "adapter_model.safetensors")
    assert_same_weights(load_file(out / "adapter_model.safetensors"), {to_exaone_name(name): w for name, w in source.items()})
    attached = PeftModel.from_pretrained(random_reference(made.settings, _Attachable), out)
    assert_same_weights(load_file(out / "adapter_model.safetensors"), get_peft_model_state_dict(attached))
    assert_alike(adapted, attached.get_base_model())
    assert (logits(adapted) - logits(made.reference)).abs().max() > 1e-2
