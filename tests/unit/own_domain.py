"""A studio's own domain file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from npc_align.domain import shipped_file


def own_domain(folder: Path, name: str = "weapon_rental", **changes: Any) -> Path:
    """The shipped one with some sections changed."""
    raw = yaml.safe_load(shipped_file("weapon_rental", "domain.yaml").read_text(encoding="utf-8"))
    path = folder / "domain.yaml"
    path.write_text(yaml.safe_dump({**raw, "name": name, **changes}, allow_unicode=True), encoding="utf-8")
    return path
