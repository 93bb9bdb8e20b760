"""LoRA targets by role, resolved on the loaded model's own modules.

PEFT ignores a target name that matches nothing while another matches, so a run can adapt less than its author believes.
Here every name must match, and the run reports how many layers each target reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from npc_align.errors import UserError

ROLES = ("attention", "mlp", "all-linear")
_ATTENTION = ("attn", "attention")
_MLP = ("mlp", "feed_forward", "ffn")


@dataclass(frozen=True)
class Coverage:
    """What the targets reached. `layers`: target name -> number of modules; `modules`: their full names."""

    layers: dict[str, int]
    modules: list[str]

    def __str__(self) -> str:
        return "LoRA reaches " + ", ".join(f"{name} x{count}" for name, count in self.layers.items())


def resolve_targets(model: torch.nn.Module, targets: str | Sequence[str]) -> Coverage:
    """The linear modules that roles or exact names stand for.

    Args:
        model: the base model, without adapters.
        targets: roles (`attention`, `mlp`, `all-linear`) and module names (`q_proj`), one or several.

    Raises:
        UserError: a role or name that matches nothing, listing what exists.
    """
    wanted = [targets] if isinstance(targets, str) else list(targets)
    linear = _linear_modules(model)
    available = Counter(name.rsplit(".", 1)[-1] for name in linear)
    chosen: set[str] = set()
    for target in wanted:
        reached = [name for name in linear if _reaches(target, name)]
        if not reached:
            exist = ", ".join(f"{leaf} x{count}" for leaf, count in available.items())
            raise UserError(
                f"lora.targets: {target!r} matches no linear module of {type(model).__name__}. "
                f"Modules: {exist}. Roles: {', '.join(ROLES)}"
            )
        chosen.update(reached)
    if not chosen:
        raise UserError("lora.targets is empty: name roles or modules")
    modules = [name for name in linear if name in chosen]
    return Coverage(dict(Counter(name.rsplit(".", 1)[-1] for name in modules)), modules)


def _linear_modules(model: Any) -> list[str]:
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head]


def _reaches(target: str, name: str) -> bool:
    parents, _, leaf = name.rpartition(".")
    scopes = parents.split(".")
    if target == "all-linear":
        return True
    if target == "attention":
        return any(s.endswith(_ATTENTION) for s in scopes)
    if target == "mlp":
        return any(s in _MLP for s in scopes)
    return leaf == target or name == target


def peft_names(model: torch.nn.Module, coverage: Coverage) -> list[str]:
    """`target_modules` for PEFT: short names where they mean exactly the resolved modules, else the full ones."""
    short = set(coverage.layers)
    # PEFT matches a short name anywhere, so every module counts here, the head too.
    meant = [name for name, _ in model.named_modules() if name.rsplit(".", 1)[-1] in short]
    return sorted(short) if meant == coverage.modules else coverage.modules
