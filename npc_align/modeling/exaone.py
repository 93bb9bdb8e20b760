"""EXAONE-3.5 without remote code: its mathematics is Llama's, under other names.

transformers has no class for it, and what its folders bring is code to be run unread. A folder in EXAONE's layout loads here
as `LlamaForCausalLM`, and adapters and merged models can be written back in EXAONE's layout for whoever serves them there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from npc_align.errors import UserError

MODEL_TYPE = "exaone"

_TOP = {"transformer.wte": "model.embed_tokens", "transformer.ln_f": "model.norm"}
_LAYER = {
    "ln_1": "input_layernorm",
    "attn.attention.q_proj": "self_attn.q_proj",
    "attn.attention.k_proj": "self_attn.k_proj",
    "attn.attention.v_proj": "self_attn.v_proj",
    "attn.attention.out_proj": "self_attn.o_proj",
    "ln_2": "post_attention_layernorm",
    "mlp.c_fc_0": "mlp.gate_proj",
    "mlp.c_fc_1": "mlp.up_proj",
    "mlp.c_proj": "mlp.down_proj",
}
_SAME_KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", "rope_theta",
    "max_position_embeddings", "tie_word_embeddings", "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip
_RENAMED_KEYS = {"num_layers": "num_hidden_layers", "layer_norm_epsilon": "rms_norm_eps"}
_ROPE_TYPES = (None, "default", "llama3")
_SHARD = "*.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_model.safetensors"
_ADAPTER_CONFIG = "adapter_config.json"


def is_exaone(folder: Path) -> bool:
    """Whether a model folder is in EXAONE's layout."""
    config = folder / "config.json"
    return config.is_file() and json.loads(config.read_text(encoding="utf-8")).get("model_type") == MODEL_TYPE


def llama_config(settings: Mapping[str, Any]) -> LlamaConfig:
    """Llama's config for the settings in EXAONE's config.json.

    Raises:
        UserError: a setting under which the two would not compute the same.
    """
    _refuse_unless(settings.get("activation_function", "silu") == "silu", "activation_function", settings)
    rope = settings.get("rope_scaling") or {}
    _refuse_unless(rope.get("rope_type", rope.get("type")) in _ROPE_TYPES, "rope_scaling", settings)
    for bias in ("attention_bias", "mlp_bias", "bias"):
        _refuse_unless(not settings.get(bias), bias, settings)
    kept = {key: settings[key] for key in _SAME_KEYS if key in settings}
    renamed = {ours: settings[theirs] for theirs, ours in _RENAMED_KEYS.items() if theirs in settings}
    scaling = {"rope_scaling": dict(rope)} if rope else {}
    return LlamaConfig(hidden_act="silu", attention_bias=False, mlp_bias=False, **kept, **renamed, **scaling)


def _refuse_unless(served: bool, key: str, settings: Mapping[str, Any]) -> None:
    if not served:
        raise UserError(
            f"EXAONE config: {key}={settings[key]!r} is not what Llama's layers compute; "
            "served are silu, rope_type llama3 or default, and no biases"
        )


def load_exaone(folder: Path, dtype: torch.dtype) -> LlamaForCausalLM:
    """The model of a folder in EXAONE's layout, shard by shard, as a Llama model.

    Raises:
        UserError: a setting that Llama doesn't serve, or weights that are missing or unknown.
    """
    config = llama_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    try:
        model, info = LlamaForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, key_mapping=_key_mapping(), output_loading_info=True
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder}: a shard that the index names is missing ({error}); download it again") from error
    # transformers keeps the renaming and would undo it in save_pretrained: EXAONE's names under Llama's config.
    model._weight_conversions = []
    missing = sorted(info["missing_keys"])
    unknown = sorted(to_exaone_name(key) for key in info["unexpected_keys"] if not key.endswith("inv_freq"))
    if missing or unknown:
        parts = [f"missing {', '.join(map(to_exaone_name, missing[:5]))}"] if missing else []
        parts += [f"unknown {', '.join(unknown[:5])}"] if unknown else []
        raise UserError(f"{folder}: not a whole EXAONE-3.5 model: {'; '.join(parts)}")
    return model


def _key_mapping() -> dict[str, str]:
    top = {rf"^{re.escape(theirs)}\.": f"{ours}." for theirs, ours in _TOP.items()}
    layers = {rf"^transformer\.h\.(\d+)\.{re.escape(theirs)}\.": rf"model.layers.\1.{ours}." for theirs, ours in _LAYER.items()}
    return {**top, **layers}


def to_llama_name(name: str) -> str:
    """A module's or parameter's name in Llama's layout from EXAONE's; prefixes and endings stay."""
    for theirs, ours in _TOP.items():
        name = _renamed(name, theirs, ours)
    return _renamed_layer(name, r"transformer\.h", "model.layers", _LAYER)


def to_exaone_name(name: str) -> str:
    """A module's or parameter's name in EXAONE's layout from Llama's; prefixes and endings stay."""
    for theirs, ours in _TOP.items():
        name = _renamed(name, ours, theirs)
    return _renamed_layer(name, r"model\.layers", "transformer.h", {ours: theirs for theirs, ours in _LAYER.items()})


def _renamed(name: str, old: str, new: str) -> str:
    return re.sub(rf"(^|\.){re.escape(old)}(?=\.|$)", rf"\g<1>{new}", name)


def _renamed_layer(name: str, old_stack: str, new_stack: str, parts: Mapping[str, str]) -> str:
    pattern = rf"(^|\.){old_stack}\.(\d+)\.({'|'.join(map(re.escape, parts))})(?=\.|$)"
    return re.sub(pattern, lambda m: f"{m[1]}{new_stack}.{m[2]}.{parts[m[3]]}", name)


def write_model_in_exaone_layout(llama_folder: Path, exaone_config: Path, out: Path) -> None:
    """Write a saved Llama model (`save_pretrained`) to `out` in EXAONE's layout, shard by shard; other files are copied.

    Args:
        llama_folder: safetensors, tokenizer and generation config.
        exaone_config: the config.json of the EXAONE folder that the model came from; its remote code is not carried over.
        out: a new folder.
    """
    out.mkdir(parents=True)
    for file in sorted(llama_folder.iterdir()):
        if file.match(_SHARD):
            _rename_tensors(file, out / file.name, to_exaone_name)
        elif file.name == _INDEX:
            index = json.loads(file.read_text(encoding="utf-8"))
            index["weight_map"] = {to_exaone_name(name): shard for name, shard in index["weight_map"].items()}
            _write_json(out / file.name, index)
        elif file.name != "config.json" and file.is_file():
            shutil.copy2(file, out / file.name)
    settings = json.loads(exaone_config.read_text(encoding="utf-8"))
    settings.pop("auto_map", None)
    _write_json(out / "config.json", settings)


def write_adapter_in_exaone_layout(adapter: Path, out: Path) -> None:
    """Write an adapter that was trained on the Llama layout to `out`, named for a model in EXAONE's; other files are copied."""
    out.mkdir(parents=True)
    for file in sorted(adapter.iterdir()):
        if file.is_file() and file.name not in (_ADAPTER, _ADAPTER_CONFIG):
            shutil.copy2(file, out / file.name)
    _rename_tensors(adapter / _ADAPTER, out / _ADAPTER, to_exaone_name)
    config = json.loads((adapter / _ADAPTER_CONFIG).read_text(encoding="utf-8"))
    targets = config["target_modules"]
    config["target_modules"] = targets if isinstance(targets, str) else [_target_name(target) for target in targets]
    _write_json(out / _ADAPTER_CONFIG, config)


def _target_name(target: str) -> str:
    leaves = {ours.rpartition(".")[2]: theirs.rpartition(".")[2] for theirs, ours in _LAYER.items()}
    return to_exaone_name(target) if "." in target else leaves.get(target, target)


def _rename_tensors(source: Path, target: Path, rename: Callable[[str], str]) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as file:
        tensors = {rename(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a safetensors file is no mapping)
        save_file(tensors, target, metadata=file.metadata())


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
