"""Reference log-probabilities, computed once and kept by content.

One number per (prompt, completion), found by the digest of its token ids, in a folder named for what computed it: base weights,
adapter, dtype. A changed byte of any of them is another digest, so it is computed anew and nothing stale is ever read; what is
there from an interrupted pass, from another run or from another process is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from npc_align.files import file_hash
from npc_align.modeling.embedded import cache_folder
from npc_align.training.launch import announce

_DIGEST = 16  # bytes
_FORM = "1"  # of the numbers: raise it when what is summed changes


def completion_digest(prompt_ids: Sequence[int], completion_ids: Sequence[int]) -> bytes:
    """What a log-probability is found by; 16 bytes."""
    text = f"{','.join(map(str, prompt_ids))}|{','.join(map(str, completion_ids))}"
    return hashlib.sha256(text.encode()).digest()[:_DIGEST]


def reference_folder(base_hash: str, adapter: Path, dtype: torch.dtype) -> Path:
    """The folder of one reference policy in the cache: $NPC_ALIGN_CACHE, or npc-align in the user's cache folder."""
    parts = [
        _FORM,
        base_hash,
        *(file_hash(adapter / n) for n in ("adapter_model.safetensors", "adapter_config.json")),
        str(dtype),
    ]
    return cache_folder() / "reference" / hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


class ReferenceCache:
    """Log-probabilities by digest, read from and added to a folder of chunks that appear whole or not at all.

    Args:
        folder: of one reference policy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[bytes, float] = {}
        for chunk in sorted(folder.glob("*.safetensors")):
            self._known.update(_read(chunk))

    def get(self, digest: bytes) -> float | None:
        return self._known.get(digest)

    def add(self, found: Mapping[bytes, float]) -> None:
        """Keep a chunk of log-probabilities, from now on and for later runs."""
        from safetensors.torch import save

        self._known.update(found)
        digests = torch.frombuffer(bytearray(b"".join(found)), dtype=torch.uint8).view(len(found), _DIGEST)
        logps = torch.tensor(list(found.values()), dtype=torch.float32)
        self.folder.mkdir(parents=True, exist_ok=True)
        chunk = self.folder / f"{_checksum(digests, logps)}.safetensors"
        temporary = chunk.with_name(f".{chunk.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(save({"digests": digests, "logps": logps}))
            temporary.replace(chunk)
        finally:
            temporary.unlink(missing_ok=True)


def _checksum(digests: torch.Tensor, logps: torch.Tensor) -> str:
    return hashlib.sha256(digests.numpy().tobytes() + logps.numpy().tobytes()).hexdigest()[:32]


def _read(chunk: Path) -> dict[bytes, float]:
    """A chunk's log-probabilities; none where it isn't what was written, and the file goes."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(chunk.read_bytes())
    except FileNotFoundError:
        return {}  # another process found it damaged
    except SafetensorError:
        tensors = {}
    if set(tensors) != {"digests", "logps"} or _checksum(tensors["digests"], tensors["logps"]) != chunk.stem:
        announce(f"{chunk}: damaged; its reference log-probabilities are computed again")
        chunk.unlink(missing_ok=True)
        return {}
    return dict(zip(map(bytes, tensors["digests"].tolist()), tensors["logps"].tolist(), strict=True))
