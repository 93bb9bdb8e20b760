"""EXAONE through Llama's classes: the same numbers as a reference written from its description."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from npc_align.errors import UserError
from npc_align.modeling.exaone import (
    is_exaone,
    llama_config,
    load_exaone,
    to_llama_name,
)
from npc_align.modeling.load import load_base
from tests.unit.exaone_folders import (
    REAL,
    SMALL,
    Made,
    assert_alike,
    assert_same_weights,
    ids,
    logits,
    made_as,
    make,
    random_reference,
)
from tests.unit.exaone_reference import Attention, ExaoneReference, frequencies, turns, unscaled


@pytest.fixture(params=list(SMALL))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return made_as(request.param, tmp_path / "exaone")


@pytest.fixture
def tied(tmp_path: Path) -> Made:
    return made_as("tied, scaled", tmp_path / "exaone")


def test_logits_are_those_of_the_reference(made: Made) -> None:
    assert_alike(load_exaone(made.folder, torch.float32), made.reference)


def test_the_greedy_continuation_is_that_of_the_reference(made: Made) -> None:
    model = load_exaone(made.folder, torch.float32)
    for prompt in (ids()[:1, :70], ids()[1:, :9]):
        found = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=16)[0].tolist()
        assert found == made.reference.greedy(prompt[0].tolist(), 16)
        assert len(found) == prompt.shape[1] + 16


def test_load_base_takes_such_a_folder_and_no_remote_code_runs(made: Made) -> None:
    model = load_base(made.folder, torch.float32)
    assert isinstance(model, LlamaForCausalLM)
    assert_alike(model, made.reference)
    assert is_exaone(made.folder)
    assert not made.trace.exists()


def test_only_exaones_model_type_is_exaone(tied: Made, tiny_model: Path) -> None:
    assert is_exaone(tied.folder)
    assert not is_exaone(tiny_model)


def test_weights_come_in_the_asked_dtype_and_rotary_angles_stay_in_float32(made: Made) -> None:
    model = load_exaone(made.folder, torch.bfloat16)
    expected = {to_llama_name(name): weight.bfloat16() for name, weight in made.reference.state_dict().items()}
    assert_same_weights(dict(model.named_parameters()), expected)
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
    reference = random_reference(settings)
    before = logits(reference)
    for module in reference.modules():
        if isinstance(module, Attention):
            module.frequency = wrong
    assert (logits(reference) - before).abs().max() > 1e-3


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
    made = make(tmp_path / "exaone", SMALL["untied, not scaled, one key head"])
    _edit(made.folder, drop=["lm_head.weight"])
    with pytest.raises(UserError, match=r"lm_head\.weight"):
        load_exaone(made.folder, torch.float32)


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    made = make(tmp_path / "exaone", SMALL["untied, scaled, wide heads"], shards=3)
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
    assert_alike(load_exaone(tied.folder, torch.float32), tied.reference)
