"""A merged model: the adapter folded into the base, shipped so that a plain `generate` gives the same lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from npc_align.errors import UserError
from npc_align.modeling.exaone import is_exaone, write_adapter_in_exaone_layout, write_model_in_exaone_layout
from npc_align.modeling.generation import default_generation_config
from npc_align.modeling.identity import FILE, load_identity
from npc_align.modeling.load import adapter_folder, load_for_generation, model_folder


def merge(run: str, out: Path, dtype: torch.dtype, layout: str = "transformers") -> None:
    """Write the run's merged model to `out`: weights as safetensors, tokenizer, identity, and a generation config that holds
    only stop ids, pad and bos.

    Args:
        run: run folder, checkpoint or adapter folder.
        out: a new or empty folder.
        dtype: dtype of the weights.
        layout: `transformers`; `exaone` for a server that knows EXAONE-3.5 by its own names, where the base came in them.

    Raises:
        UserError: `run` has no adapter, `out` exists and isn't empty, or the base isn't in the layout that is asked for.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: exists and isn't empty; choose another folder")
    identity = load_identity(adapter_folder(run))
    base = model_folder(identity.base)
    _check_layout(layout, base)
    loaded = load_for_generation(run, dtype)
    loaded.model.generation_config = default_generation_config(loaded.codec)
    staging = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        loaded.model.save_pretrained(staging)
        loaded.tokenizer.save_pretrained(staging)
        identity.save(staging)
        finished = staging
        if layout == "exaone":
            finished = staging / "exaone"
            write_model_in_exaone_layout(staging, base / "config.json", finished)
        if out.exists():
            out.rmdir()
        finished.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    assert (out / FILE).is_file()


def export_adapter(run: str, out: Path) -> None:
    """Write the run's adapter to `out` under EXAONE's own names, for a server that runs EXAONE-3.5 by them.

    Raises:
        UserError: `run` has no adapter, `out` exists, or the base isn't in EXAONE's layout.
    """
    if out.exists():
        raise UserError(f"{out}: exists; choose another folder")
    adapter = adapter_folder(run)
    _check_layout("exaone", model_folder(load_identity(adapter).base))
    write_adapter_in_exaone_layout(adapter, out)


def _check_layout(layout: str, base: Path) -> None:
    if layout == "exaone" and not is_exaone(base):
        raise UserError(
            f"{base}: this base isn't in EXAONE's layout, so neither is what was trained on it; use its adapter as it is"
        )
