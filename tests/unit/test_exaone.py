"""EXAONE through Llama's classes: the same numbers as a reference written from its description, there and back again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from npc_align.errors import UserError
from npc_align.modeling.exaone import (
    is_exaone,
    llama_config,
    load_exaone,
    to_exaone_name,
    to_llama_name,
    write_adapter_in_exaone_layout,
    write_model_in_exaone_layout,
)
from npc_align.modeling.load import load_base
from tests.unit.exaone_reference import Attention, ExaoneReference, frequencies, turns, unscaled

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LENGTH = 96  # longer than the original context


def _settings(**changes: Any) -> dict[str, Any]:
    """config.json of a tiny EXAONE-3.5."""
    return {
        "model_type": "exaone",
        "architectures": ["ExaoneForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_exaone.ExaoneConfig",
            "AutoModelForCausalLM": "modeling_exaone.ExaoneForCausalLM",
        },
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "activation_function": "silu",
        "layer_norm_epsilon": 1e-5,
        "rope_theta": 100.0,
        "rope_scaling": LLAMA3,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "torch_dtype": "float32",
        **changes,
    }


SMALL = {
    "tied, scaled": _settings(),
    "untied, scaled, wide heads": _settings(
        hidden_size=24, head_dim=16, tie_word_embeddings=False, layer_norm_epsilon=1e-3, rope_scaling={**LLAMA3, "factor": 4.0}
    ),
    "untied, not scaled, one key head": _settings(
        num_key_value_heads=1, num_layers=3, tie_word_embeddings=False, rope_scaling=None, rope_theta=5000.0
    ),
    "tied, default rotary, wide heads": _settings(hidden_size=40, head_dim=20, rope_scaling={"rope_type": "default"}),
}
IN_SHARDS = ("untied, scaled, wide heads", "tied, default rotary, wide heads")
REAL = _settings(
    vocab_size=102400,
    hidden_size=2560,
    intermediate_size=7168,
    num_layers=30,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=80,
    rope_theta=1000000.0,
    rope_scaling={**LLAMA3, "original_max_position_embeddings": 8192},
    max_position_embeddings=32768,
    eos_token_id=361,
)


@dataclass(frozen=True)
class Made:
    """A model folder in EXAONE's layout, and the reference that its weights were taken from."""

    folder: Path
    settings: dict[str, Any]
    reference: ExaoneReference
    shards: int

    @property
    def trace(self) -> Path:
        """Exists if the folder's remote code ran."""
        return self.folder.with_name("remote-code-ran")


def _random_reference(settings: Mapping[str, Any], kind: type[ExaoneReference] = ExaoneReference) -> ExaoneReference:
    torch.manual_seed(0)
    reference = kind(settings)
    for name, parameter in reference.named_parameters():
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        else:
            scale = 0.4 if "wte" in name or "lm_head" in name else 1.0
            torch.nn.init.normal_(parameter, std=scale * parameter.shape[1] ** -0.5)
    return reference


def _make(folder: Path, settings: dict[str, Any], shards: int = 1) -> Made:
    made = Made(folder, settings, _random_reference(settings), shards)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    for module in ("modeling_exaone", "configuration_exaone"):
        code = f"from pathlib import Path\nPath({str(made.trace)!r}).touch()\nraise RuntimeError('remote code ran')\n"
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
    weights = made.reference.state_dict()
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return made
    weight_map = {}
    for number in range(shards):
        part = {name: weights[name] for name in list(weights)[number::shards]}
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": sum(w.nbytes for w in weights.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return made


@pytest.fixture(params=list(SMALL))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return _make(tmp_path / "exaone", SMALL[request.param], shards=3 if request.param in IN_SHARDS else 1)


@pytest.fixture
def tied(tmp_path: Path) -> Made:
    return _make(tmp_path / "exaone", SMALL["tied, scaled"])


def _ids() -> torch.Tensor:
    return torch.randint(3, 96, (2, LENGTH), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def _logits(model: Any) -> torch.Tensor:
    out = model(_ids())
    return out if isinstance(out, torch.Tensor) else out.logits


def _assert_alike(model: Any, reference: Any) -> None:
    torch.testing.assert_close(_logits(model), _logits(reference), atol=1e-5, rtol=0)


def _stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: weight for file in folder.glob("*.safetensors") for name, weight in load_file(file).items()}


def _assert_same_weights(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=0, rtol=0)


def test_logits_are_those_of_the_reference(made: Made) -> None:
    _assert_alike(load_exaone(made.folder, torch.float32), made.reference)


def test_the_greedy_continuation_is_that_of_the_reference(made: Made) -> None:
    model = load_exaone(made.folder, torch.float32)
    for prompt in (_ids()[:1, :70], _ids()[1:, :9]):
        found = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=16)[0].tolist()
        assert found == made.reference.greedy(prompt[0].tolist(), 16)
        assert len(found) == prompt.shape[1] + 16


def test_load_base_takes_such_a_folder_and_no_remote_code_runs(made: Made) -> None:
    model = load_base(made.folder, torch.float32)
    assert isinstance(model, LlamaForCausalLM)
    _assert_alike(model, made.reference)
    assert is_exaone(made.folder)
    assert not made.trace.exists()


def test_only_exaones_model_type_is_exaone(tied: Made, tiny_model: Path) -> None:
    assert is_exaone(tied.folder)
    assert not is_exaone(tiny_model)


def test_weights_come_in_the_asked_dtype_and_rotary_angles_stay_in_float32(made: Made) -> None:
    model = load_exaone(made.folder, torch.bfloat16)
    expected = {to_llama_name(name): weight.bfloat16() for name, weight in made.reference.state_dict().items()}
    _assert_same_weights(dict(model.named_parameters()), expected)
    torch.testing.assert_close(model.model.rotary_emb.inv_freq, frequencies(made.settings), atol=0, rtol=1e-6)


def test_the_head_is_the_embedding_only_where_tied(made: Made) -> None:
    model = load_exaone(made.folder, torch.float32)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == made.settings["tie_word_embeddings"]


def _bands(settings: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Which pairs of a head's values the llama3 scaling slows down, interpolates, and leaves alone."""
    low, high = (settings["rope_scaling"][key] for key in ("low_freq_factor", "high_freq_factor"))
    return {
        "low": turns(settings) < low,
        "middle": (turns(settings) >= low) & (turns(settings) <= high),
        "high": turns(settings) > high,
    }


@pytest.mark.parametrize("band", ["low", "middle", "high"])
@pytest.mark.parametrize("name", [name for name in SMALL if ", scaled" in name])
def test_a_mistake_in_any_band_of_the_scaling_shows_in_the_logits(name: str, band: str) -> None:
    settings = SMALL[name]
    plain, right, inside = unscaled(settings), frequencies(settings), _bands(settings)[band]
    assert inside.any()
    wrong = torch.where(inside, plain / settings["rope_scaling"]["factor"] if band == "high" else plain, right)
    reference = _random_reference(settings)
    before = _logits(reference)
    for module in reference.modules():
        if isinstance(module, Attention):
            module.frequency = wrong
    assert (_logits(reference) - before).abs().max() > 1e-3


def test_the_real_rotary_angles_are_llama_3_1s() -> None:
    assert all(band.any() for band in _bands(REAL).values())
    torch.testing.assert_close(LlamaRotaryEmbedding(llama_config(REAL)).inv_freq, frequencies(REAL), atol=0, rtol=1e-6)


def test_the_real_model_has_its_shapes_and_parameter_count() -> None:
    with torch.device("meta"):
        model, reference = LlamaForCausalLM(llama_config(REAL)), ExaoneReference(REAL)
    attention = 2560 * 32 * 80 + 2 * 2560 * 8 * 80 + 32 * 80 * 2560
    per_layer = attention + 3 * 2560 * 7168 + 2 * 2560
    total = 102400 * 2560 + 30 * per_layer + 2560
    assert total == 2_405_327_360
    assert sum(p.numel() for p in model.parameters()) == total
    shapes = {to_llama_name(name): p.shape for name, p in reference.named_parameters()}
    assert {name: p.shape for name, p in model.named_parameters()} == shapes


def test_llama_config_carries_every_setting() -> None:
    before = json.dumps(REAL)
    config = llama_config(REAL)
    expected = {
        "model_type": "llama",
        "vocab_size": 102400,
        "hidden_size": 2560,
        "intermediate_size": 7168,
        "num_hidden_layers": 30,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 80,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 32768,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 361,
        "pad_token_id": 0,
    }
    assert {key: getattr(config, key) for key in expected} == expected
    assert json.dumps(REAL) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation_function", "gelu"),
        ("activation_function", "gelu_new"),
        ("rope_scaling", {"rope_type": "yarn", "factor": 2.0}),
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0}),
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("attention_bias", True),
        ("mlp_bias", True),
    ],
)
def test_what_llama_would_compute_otherwise_is_refused_by_its_key(key: str, value: Any, tied: Made) -> None:
    changed = {**tied.settings, key: value}
    with pytest.raises(UserError, match=key):
        llama_config(changed)
    (tied.folder / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(UserError, match=key):
        load_exaone(tied.folder, torch.float32)


@pytest.mark.parametrize(
    "changes", [{}, {"attention_bias": False, "mlp_bias": False}, {"rope_scaling": {"rope_type": "default"}}]
)
def test_what_llama_computes_alike_is_taken(changes: dict[str, Any]) -> None:
    config = llama_config({**SMALL["untied, not scaled, one key head"], **changes})
    torch.testing.assert_close(
        LlamaRotaryEmbedding(config).inv_freq, frequencies(SMALL["untied, not scaled, one key head"]), atol=0, rtol=1e-6
    )


def _edit(folder: Path, drop: Iterable[str] = (), add: Iterable[str] = ()) -> None:
    """The folder's only weight file without some weights, and with some that say nothing."""
    weights = {name: weight for name, weight in load_file(folder / "model.safetensors").items() if name not in drop}
    save_file({**weights, **{name: torch.ones(4) for name in add}}, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    "name",
    ["transformer.wte.weight", "transformer.h.1.mlp.c_fc_1.weight", "transformer.h.0.ln_2.weight", "transformer.ln_f.weight"],
)
def test_a_missing_weight_is_an_error_that_names_it(name: str, tied: Made) -> None:
    _edit(tied.folder, drop=[name])
    with pytest.raises(UserError) as caught:
        load_exaone(tied.folder, torch.float32)
    assert name in str(caught.value)
    assert "transformer.h.0.attn.attention.q_proj.weight" not in str(caught.value)


def test_an_untied_model_needs_its_head(tmp_path: Path) -> None:
    made = _make(tmp_path / "exaone", SMALL["untied, not scaled, one key head"])
    _edit(made.folder, drop=["lm_head.weight"])
    with pytest.raises(UserError, match=r"lm_head\.weight"):
        load_exaone(made.folder, torch.float32)


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    made = _make(tmp_path / "exaone", SMALL["untied, scaled, wide heads"], shards=3)
    (made.folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-00002-of-00003|transformer\.h\.0\.ln_1"):
        load_exaone(made.folder, torch.float32)


@pytest.mark.parametrize(
    "name",
    [
        "transformer.h.0.attn.attention.q_proj.bias",
        "transformer.h.0.mlp.c_fc_2.weight",
        "transformer.h.2.ln_1.weight",
        "transformer.wpe.weight",
    ],
)
def test_an_unknown_weight_is_an_error_that_names_it(name: str, tied: Made) -> None:
    _edit(tied.folder, add=[name])
    with pytest.raises(UserError) as caught:
        load_exaone(tied.folder, torch.float32)
    assert name in str(caught.value)
    assert "transformer.h.0.attn.attention.q_proj.weight" not in str(caught.value)


def test_stored_rotary_buffers_are_ignored(tied: Made) -> None:
    _edit(tied.folder, add=["transformer.rotary.inv_freq", "transformer.h.0.attn.attention.rotary.inv_freq"])
    _assert_alike(load_exaone(tied.folder, torch.float32), tied.reference)


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

    _assert_same_weights(_stored(out), {name: -weight for name, weight in made.reference.state_dict().items()})
    settings = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert settings == {key: value for key, value in made.settings.items() if key != "auto_map"}
    assert _files(out) == _files(llama)
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (llama / name).read_bytes()

    reference = ExaoneReference(settings)
    reference.load_state_dict(_stored(out), strict=True)
    _assert_alike(model, reference)
    loaded = load_exaone(out, torch.float32)
    _assert_same_weights(loaded.state_dict(), model.state_dict())
    loaded.save_pretrained(again)
    _assert_same_weights(_stored(again), _stored(llama))
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
    _assert_same_weights(_stored(tmp_path / "out"), expected)


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
    _assert_same_weights(load_file(out / "adapter_model.safetensors"), {to_exaone_name(name): w for name, w in source.items()})
    attached = PeftModel.from_pretrained(_random_reference(made.settings, _Attachable), out)
    _assert_same_weights(load_file(out / "adapter_model.safetensors"), get_peft_model_state_dict(attached))
    _assert_alike(adapted, attached.get_base_model())
    assert (_logits(adapted) - _logits(made.reference)).abs().max() > 1e-2
