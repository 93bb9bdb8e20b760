"""A run folder: resolved config, manifest, metrics, samples, checkpoints, and the best adapter."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.modeling.identity import Identity
from npc_align.training.config import to_yaml

_VERSIONED = ("torch", "trl", "transformers", "peft", "accelerate", "datasets", "deepspeed", "kiwipiepy")


class RunFolder:
    """One run's folder. The same command in the same folder resumes; another config is refused."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def finished(self) -> bool:
        return (self.path / "result.json").is_file() and (self.adapter / "adapter_config.json").is_file()

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that is whole: transformers writes trainer_state.json last."""
        found = [p for p in self.path.glob("checkpoint-*") if _readable(p / "trainer_state.json")]
        return max(found, key=lambda p: int(p.name.rpartition("-")[2]), default=None)

    def open(self, config: Any, inputs: dict[str, str]) -> None:
        """Start or resume: write the config on the first call, compare it on later ones.

        Args:
            config: the resolved config.
            inputs: hashes of what the run reads; they must not change under a run either.

        Raises:
            UserError: the folder holds a run of another config or other inputs.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        stamp = self.path / "inputs.json"
        text, seen = to_yaml(config), self.path / "config.yaml"
        if seen.is_file() and stamp.is_file():
            if seen.read_text(encoding="utf-8") != text:
                raise UserError(f"{self.path}: holds a run of another config; choose another output_dir or remove the folder")
            before = json.loads(stamp.read_text(encoding="utf-8"))
            changed = [key for key in inputs if before.get(key) != inputs[key]]
            if changed:
                raise UserError(
                    f"{self.path}: {', '.join(changed)} changed since this run began; choose another output_dir or remove the folder"
                )
            return
        write_text(seen, text)
        write_text(stamp, json.dumps(inputs, indent=2) + "\n")

    def write_manifest(self, domain: Domain, inputs: dict[str, str], extra: dict[str, Any]) -> None:
        manifest = {
            "inputs": inputs,
            "domain": {"name": domain.name, "hash": domain.content_hash},
            "versions": versions(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "git": git_revision(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **extra,
        }
        write_text(self.path / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")

    def publish(self, checkpoint: Path, identity: Identity) -> None:
        """Make `adapter/` from a checkpoint, checked to hold every tensor.

        Raises:
            UserError: the checkpoint's adapter is empty or damaged (ZeRO-3 can save one without weights).
        """
        check_adapter(checkpoint)
        staging = self.path / ".adapter.tmp"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy2(checkpoint / name, staging / name)
        identity.save(staging)
        old = self.path / ".adapter.old"
        shutil.rmtree(old, ignore_errors=True)
        if self.adapter.exists():
            self.adapter.replace(old)
        try:
            staging.replace(self.adapter)
        except OSError:
            if old.exists():
                old.replace(self.adapter)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def finish(self, result: dict[str, Any]) -> None:
        write_text(self.path / "result.json", json.dumps(result, ensure_ascii=False, indent=2) + "\n")


def _readable(state: Path) -> bool:
    try:
        json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def check_adapter(folder: Path) -> None:
    """Refuse an adapter without readable weights, with empty tensors, or that is still as initialised (every B zero).

    Raises:
        UserError: saying which.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise UserError(
            f"{folder}: no adapter_model.safetensors; with ZeRO-3, set stage3_gather_16bit_weights_on_model_save: true"
        )
    try:
        tensors = safe_open(str(file), framework="pt")
    except SafetensorError as error:
        raise UserError(f"{file}: damaged ({error}); remove this checkpoint and run the same command again") from error
    with tensors:
        names = list(tensors.keys())
        if not names or any(0 in tensors.get_slice(name).get_shape() for name in names):
            raise UserError(f"{file}: holds empty tensors; with ZeRO-3, set stage3_gather_16bit_weights_on_model_save: true")
        updates = [name for name in names if "lora_B" in name]
        if updates and not any(bool(tensors.get_tensor(name).any()) for name in updates):
            raise UserError(
                f"{file}: every lora_B is zero, nothing was learnt; check optim.learning_rate and the number of steps"
            )


def versions() -> dict[str, str]:
    found = {}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """The revision of the checkout that this code runs from, or None outside one."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
