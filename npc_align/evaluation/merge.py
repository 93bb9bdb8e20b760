"""A merged model: the adapter folded into the base, shipped so that a plain `generate` gives the same lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from npc_align.errors import UserError
from npc_align.modeling.generation import default_generation_config
from npc_align.modeling.identity import FILE, load_identity
from npc_align.modeling.load import adapter_folder, load_for_generation


def merge(run: str, out: Path, dtype: torch.dtype) -> None:
    """Write the run's merged model to `out`: weights as safetensors, tokenizer, identity, and a generation config that holds
    only stop ids, pad and bos.

    Raises:
        UserError: `run` has no adapter, or `out` exists and isn't empty.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: exists and isn't empty; choose another folder")
    identity = load_identity(adapter_folder(run))
    loaded = load_for_generation(run, dtype)
    loaded.model.generation_config = default_generation_config(loaded.codec)
    staging = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        loaded.model.save_pretrained(staging)
        loaded.tokenizer.save_pretrained(staging)
        identity.save(staging)
        if out.exists():
            out.rmdir()
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    assert (out / FILE).is_file()
