"""Tiny model folders in EXAONE-3.5's layout, with the reference that their weights were taken from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.unit.exaone_reference import ExaoneReference

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LENGTH = 96  # longer than the original context


def tiny_settings(**changes: Any) -> dict[str, Any]:
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
    "tied, scaled": tiny_settings(),
    "untied, scaled, wide heads": tiny_settings(
        hidden_size=24, head_dim=16, tie_word_embeddings=False, layer_norm_epsilon=1e-3, rope_scaling={**LLAMA3, "factor": 4.0}
    ),
    "untied, not scaled, one key head": tiny_settings(
        num_key_value_heads=1, num_layers=3, tie_word_embeddings=False, rope_scaling=None, rope_theta=5000.0
    ),
    "tied, default rotary, wide heads": tiny_settings(hidden_size=40, head_dim=20, rope_scaling={"rope_type": "default"}),
}
IN_SHARDS = ("untied, scaled, wide heads", "tied, default rotary, wide heads")
REAL = tiny_settings(
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


def random_reference(settings: Mapping[str, Any], kind: type[ExaoneReference] = ExaoneReference) -> ExaoneReference:
    torch.manual_seed(0)
    reference = kind(settings)
    for name, parameter in reference.named_parameters():
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        else:
            scale = 0.4 if "wte" in name or "lm_head" in name else 1.0
            torch.nn.init.normal_(parameter, std=scale * parameter.shape[1] ** -0.5)
    return reference


def make(folder: Path, settings: dict[str, Any], shards: int = 1) -> Made:
    made = Made(folder, settings, random_reference(settings), shards)
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


def made_as(name: str, folder: Path) -> Made:
    """One of SMALL."""
    return make(folder, SMALL[name], shards=3 if name in IN_SHARDS else 1)


def ids() -> torch.Tensor:
    return torch.randint(3, 96, (2, LENGTH), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    out = model(ids())
    return out if isinstance(out, torch.Tensor) else out.logits


def assert_alike(model: Any, reference: Any) -> None:
    torch.testing.assert_close(logits(model), logits(reference), atol=1e-5, rtol=0)


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: weight for file in folder.glob("*.safetensors") for name, weight in load_file(file).items()}


def assert_same_weights(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=0, rtol=0)
