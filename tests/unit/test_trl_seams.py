"""Every private name of TRL and transformers that this project relies on is there, with the parameters it relies on."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from npc_align.training.trl_seams import SEAMS


@pytest.mark.parametrize(("module", "path", "needed"), SEAMS, ids=[f"{module}.{path}" for module, path, _ in SEAMS])
def test_seam_holds(module: str, path: str, needed: tuple[str, ...]) -> None:
    seam: Any = importlib.import_module(module)
    for name in path.split("."):
        seam = getattr(seam, name)
    fields = [field.name for field in dataclasses.fields(seam)] if dataclasses.is_dataclass(seam) else None
    assert set(needed) <= set(fields or inspect.signature(seam).parameters)


def test_every_private_import_of_trl_and_transformers_is_a_listed_seam(root: Path) -> None:
    listed = {(module, path.split(".")[0]) for module, path, _ in SEAMS}
    for folder in ("npc_align", "sft", "dpo", "preference_data"):
        for file in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("trl", "transformers"):
                    private = {alias.name for alias in node.names if alias.name.startswith("_")}
                    assert all((node.module, name) in listed for name in private), f"{file}: {private} is no listed seam"
