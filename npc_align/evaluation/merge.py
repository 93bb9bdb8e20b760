"""A merged model: the adapter folded into the base, shipped so that a plain `generate` gives the same lines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from npc_align.errors import UserError
from npc_align.modeling.exaone import is_exaone, write_adapter_in_exaone_layout, write_model_in_exaone_layout
from npc_align.modeling.generation import Decoding, Line, default_generation_config, generate_lines
from npc_align.modeling.identity import FILE, domain_of, load_identity
from npc_align.modeling.load import adapter_folder, base_folder, load_base, load_tokenizer
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import render

_DRAWN = 6  # prompts, where the domain names no probes
_SAID = Decoding(max_new_tokens=48)  # what is compared: greetings are 20 to 30 tokens long


def merge(run: str, out: Path, dtype: torch.dtype, layout: str = "transformers") -> None:
    """Write the run's merged model to `out`: weights as safetensors, tokenizer, identity, and a generation config that holds
    only stop ids, pad and bos.

    The adapter is folded in in float32, and counts as folded in when the model says, greedily, to each of the domain's probes
    (or to a few drawn prompts, where it names none) what it said with the adapter beside it. Only then are the weights rounded to `dtype`, once, and written.

    Args:
        run: run folder, checkpoint or adapter folder.
        out: a new or empty folder.
        dtype: dtype of the weights that are written.
        layout: `transformers`; `exaone` for a server that knows EXAONE-3.5 by its own names, where the base came in them.

    Raises:
        UserError: `run` has no adapter, `out` exists and isn't empty, the base isn't in the layout that is asked for, or the
            merged model says something else than the adapter; then nothing is written.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: exists and isn't empty; choose another folder")
    folder = adapter_folder(run)
    identity = load_identity(folder)
    base = base_folder(identity, folder)
    _check_layout(layout, base)
    tokenizer, domain = load_tokenizer(base), domain_of(identity, None)
    identity.check_prompt(domain, tokenizer, folder)
    codec = PromptCodec(tokenizer, identity.renderer, identity.max_length)
    asked = domain.probes or domain.draw(_DRAWN, seed=0)  # a domain may name no probe, and something has to be compared
    prompts = [render(attributes, domain, identity.renderer, tokenizer) for attributes in asked]
    model = _merged(base, folder, codec, prompts).to(dtype)
    model.generation_config = default_generation_config(codec)
    staging = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
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


def _merged(base: Path, adapter: Path, codec: PromptCodec, prompts: list[str]) -> Any:
    """The base with the adapter folded in, in float32, after it has said what the adapter said.

    Raises:
        UserError: with the lines that differ.
    """
    from peft import PeftModel

    policy = PeftModel.from_pretrained(load_base(base, torch.float32), adapter).eval()
    before = generate_lines(policy, codec, prompts, _SAID)
    model = policy.merge_and_unload()
    _check_same(before, generate_lines(model, codec, prompts, _SAID))
    return model


def _check_same(before: list[Line], after: list[Line]) -> None:
    differ = [(i, a.text, b.text) for i, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b]
    if differ:
        shown = "".join(f"\n  prompt {i}: adapter {a!r}, merged {b!r}" for i, a, b in differ)
        raise UserError(
            f"the merged model says something else than the adapter to {len(differ)} of {len(before)} prompts, so nothing was "
            f"written; use the adapter as it is:{shown}"
        )


def export_adapter(run: str, out: Path) -> None:
    """Write the run's adapter to `out` under EXAONE's own names, for a server that runs EXAONE-3.5 by them.

    Raises:
        UserError: `run` has no adapter, `out` exists, or the base isn't in EXAONE's layout.
    """
    if out.exists():
        raise UserError(f"{out}: exists; choose another folder")
    adapter = adapter_folder(run)
    _check_layout("exaone", base_folder(load_identity(adapter), adapter))
    write_adapter_in_exaone_layout(adapter, out)


def _check_layout(layout: str, base: Path) -> None:
    if layout == "exaone" and not is_exaone(base):
        raise UserError(
            f"{base}: this base isn't in EXAONE's layout, so neither is what was trained on it; use its adapter as it is"
        )
