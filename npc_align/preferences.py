"""The manifest that `npc-pref export` writes beside a preference file: the part of it that training and the judges read."""

from __future__ import annotations

import json
from pathlib import Path

from npc_align.files import file_hash


def manifest_file(pairs: Path) -> Path:
    """Where the manifest of a preference file lies."""
    return pairs.with_name(pairs.name + ".manifest.json")


def held_out_kinds(pairs: Path) -> list[str] | None:
    """Kinds of violation that no pair of the file shows; None where no manifest tells, or one of another content."""
    manifest = manifest_file(pairs)
    if not manifest.is_file():
        return None
    told = json.loads(manifest.read_text(encoding="utf-8"))
    whole = told["output"]["sha256"].startswith(file_hash(pairs))
    return list(told["held_out_kinds"]) if whole else None
