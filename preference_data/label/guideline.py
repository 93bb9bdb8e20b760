"""The guideline of a domain: a Markdown file that its writers read while they judge."""

from __future__ import annotations

from pathlib import Path

from npc_align.domain import shipped_domains, shipped_file
from preference_data.store import Store

_NAME = "guideline.md"


def guideline_path(domain: str) -> Path:
    """Where the guideline of a shipped domain (by name) or of a studio's own (by the path of its YAML file or folder) lies."""
    if domain in shipped_domains():
        return shipped_file(domain, _NAME)
    path = Path(domain)
    return (path if path.is_dir() else path.parent) / _NAME


def read_guideline(store: Store) -> tuple[Path, str | None]:
    """The path, and the text: None where there is no such file."""
    path = guideline_path(store.meta("domain") or store.domain.name)
    return path, path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
