"""Decoding presets: YAML files in npc_align/data/decodings, each a set of named decodings."""

from __future__ import annotations

from importlib import resources

import yaml

from npc_align.errors import UserError
from npc_align.modeling.generation import Decoding


def load_presets() -> dict[str, Decoding]:
    """Every shipped decoding by name, `default` first."""
    found = {"default": Decoding()}
    folder = resources.files("npc_align") / "data" / "decodings"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        for name, knobs in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            knobs = dict(knobs)
            found[name] = Decoding(name, knobs.pop("max_new_tokens", 64), knobs)
    return found


def preset(name: str) -> Decoding:
    """A shipped decoding.

    Raises:
        UserError: no such preset, listing those that exist.
    """
    presets = load_presets()
    if name not in presets:
        raise UserError(f"no decoding {name!r}; there are: {', '.join(presets)}")
    return presets[name]
