"""What an adapter folder says of itself beside its weights: prompt renderer, domain, stop token, base model.

Whoever loads the adapter uses that renderer and that base; a hash of the renderer's output tells whether it moved since.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from npc_align.prompt import fingerprint

FILE = "npc_align.json"
_CONFIGS = ("adapter_config.json", "config.json")


@dataclass(frozen=True)
class Identity:
    """`base` is the base model as the config named it, `base_hash` the digest of its weights."""

    renderer: str
    prompt_hash: str
    domain: str
    base: str
    base_hash: str
    stop_id: int
    max_length: int

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    def check_prompt(self, domain: Domain, tokenizer: Any, folder: Path) -> None:
        """Refuse an adapter whose prompts would no longer be those it was trained on."""
        now = fingerprint(domain, self.renderer, tokenizer)
        if now != self.prompt_hash:
            raise UserError(
                f"{folder}: trained with prompts of hash {self.prompt_hash}, renderer {self.renderer!r} on domain {domain.name!r} now "
                f"gives {now}. Restore the domain file (or chat template) that it was trained with, or train again"
            )


def lasting_name(name_or_path: str) -> str:
    """A shipped name as it is, a path made absolute: the adapter may be loaded from another folder."""
    path = Path(name_or_path)
    return str(path.resolve()) if path.exists() and ("/" in name_or_path or path.is_dir()) else name_or_path


def load_identity(folder: Path) -> Identity:
    """Read an adapter's or merged model's identity.

    Raises:
        UserError: not a folder that npc-align made.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder}: no {FILE} here, so its prompt form is unknown; give a run folder, its adapter/ or a merged model"
        )
    return Identity(**json.loads(path.read_text(encoding="utf-8")))


def trained_domain(path: str) -> str | None:
    """The domain that a run, adapter or merged model was trained on, without loading it; None for what has no identity."""
    found = next((folder for folder in (Path(path) / "adapter", Path(path)) if (folder / FILE).is_file()), None)
    return load_identity(found).domain if found else None


def domain_of(identity: Identity, override: str | None) -> Domain:
    return load_domain(override or identity.domain)


def weights_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a model or adapter and the config that says what they compute, 16 hex digits.

    The same base model made on two machines has one hash: the version of transformers that wrote the config doesn't count, nor do
    the other configs. The tokenizer's even holds whether the hub was to be asked; its template is the prompt's own hash's affair.
    """
    digest = hashlib.sha256()
    for name in _CONFIGS:
        if (folder / name).is_file():
            says = json.loads((folder / name).read_text(encoding="utf-8"))
            says.pop("transformers_version", None)
            digest.update(json.dumps([name, says], sort_keys=True).encode())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.name.encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
