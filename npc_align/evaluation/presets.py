"""Decoding presets: YAML files in npc_align/data/decodings, each a group of named decodings; and the settings of a small search."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

from npc_align.errors import UserError
from npc_align.modeling.generation import Decoding

SEARCH = "search"
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "temperature_last")
_TEMPERATURES, _TOP_PS, _PENALTIES = (0.3, 0.5, 0.7, 0.85, 1.0), (0.7, 0.9, 1.0), (1.0, 1.1, 1.2)
_GREEDY_PENALTIES = (1.1, 1.05, 1.2)
_TRANSFORMERS_TOP_K = 50  # in force wherever somebody tunes by hand with `generate` and doesn't name top_k


@cache
def groups() -> dict[str, tuple[Decoding, ...]]:
    """The shipped decodings by file: `servers`, `seeds`."""
    folder = resources.files("npc_align") / "data" / "decodings"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): _read(f.read_text(encoding="utf-8")) for f in files}


def _read(text: str) -> tuple[Decoding, ...]:
    found = []
    for name, knobs in yaml.safe_load(text).items():
        knobs = dict(knobs)
        found.append(Decoding(name, knobs.pop("max_new_tokens", 64), knobs))
    return tuple(found)


def load_presets() -> dict[str, Decoding]:
    """Every shipped decoding by name, `default` first."""
    return {d.name: d for d in (Decoding(), *itertools.chain(*groups().values()))}


def preset(name: str) -> Decoding:
    """A shipped decoding.

    Raises:
        UserError: no such preset, listing those that exist.
    """
    presets = load_presets()
    if name not in presets:
        raise UserError(f"no decoding {name!r}; there are: {', '.join(presets)}")
    return presets[name]


def named_decodings(names: Iterable[str]) -> list[Decoding]:
    """Presets and whole groups by name, in order; `search` stands for no preset and is left out.

    Raises:
        UserError: no such preset or group.
    """
    presets, chosen = load_presets(), dict[str, Decoding]()
    for name in names:
        if name not in (SEARCH, *groups(), *presets):
            raise UserError(
                f"no decoding {name!r}; there are the groups {', '.join((*groups(), SEARCH))}, and {', '.join(presets)}"
            )
        for decoding in groups().get(name, (presets[name],) if name in presets else ()):
            chosen[decoding.name] = decoding
    return list(chosen.values())


def effective(decoding: Decoding) -> tuple[int, Mapping[str, Any]]:
    """max_new_tokens and the knobs that change anything: two decodings of which this is equal give the same lines."""
    knobs = {k: v for k, v in decoding.knobs.items() if v is not None}
    penalty = {k: v for k, v in knobs.items() if k in ("repetition_penalty", "repetition_window")}
    said: dict[str, Any] = penalty if penalty.get("repetition_penalty", 1.0) != 1.0 else {}
    if not knobs.get("do_sample"):
        return decoding.max_new_tokens, said
    inert = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "temperature_last": False}
    sampling = {"top_k": _TRANSFORMERS_TOP_K} | {k: knobs[k] for k in _SAMPLING if k in knobs}
    if sampling.get("temperature", 1.0) == 1.0:
        sampling.pop("temperature_last", None)
    return decoding.max_new_tokens, said | {"do_sample": True} | {k: v for k, v in sampling.items() if v != inert.get(k)}


def distinct_decodings(decodings: Sequence[Decoding]) -> dict[str, list[str]]:
    """Names of decodings that differ, each with the names of later ones that would give the same lines."""
    first: list[tuple[Any, str]] = []
    same: dict[str, list[str]] = {}
    for decoding in decodings:
        known = next((name for form, name in first if form == effective(decoding)), None)
        if known is None:
            first.append((effective(decoding), decoding.name))
            same[decoding.name] = []
        else:
            same[known].append(decoding.name)
    return same


def search_settings(count: int, seed: int = 0) -> list[Decoding]:
    """The first `count` settings of a shuffled grid over temperature, top_p and repetition_penalty, every fourth one greedy with
    a repetition penalty. Random search covers a grid's dimensions better than its corner does (Bergstra and Bengio 2012).

    Raises:
        UserError: more than the grid has.
    """
    greedy = [Decoding(f"search-greedy-r{r}", knobs={"repetition_penalty": r}) for r in _GREEDY_PENALTIES]
    sampled = [_sampled(t, p, r) for t, p, r in itertools.product(_TEMPERATURES, _TOP_PS, _PENALTIES)]
    random.Random(seed).shuffle(sampled)
    spaced = [d for i, g in enumerate(greedy) for d in (g, *sampled[3 * i : 3 * i + 3])]
    everything = spaced + sampled[3 * len(greedy) :]
    if count > len(everything):
        raise UserError(f"--search {count}: the grid of temperature, top_p and repetition_penalty has {len(everything)} settings")
    return everything[:count]


def _sampled(temperature: float, top_p: float, penalty: float) -> Decoding:
    knobs = {"do_sample": True, "temperature": temperature, "top_p": top_p, "repetition_penalty": penalty}
    return Decoding(f"search-t{temperature}-p{top_p}-r{penalty}", knobs=knobs)
