"""The generated lines: those of the page's script, and the few that are shown side by side."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npc_align.domain import Domain
from npc_align.evaluation.report.runs import ShownRun
from npc_align.evaluation.report.source import Cell, Evaluation, Line
from npc_align.evaluation.report.spans import Piece, pieces
from npc_align.evaluation.report.words import Text, kind_name

_SHOWN = 12
_UNSAFE = re.compile("[<>&\u2028\u2029]")  # "</script>" ends the script; the separators end a line of JavaScript


@dataclass(frozen=True)
class Said:
    """One line as it is shown: who said it, its pieces, and (kind, message) of each violation."""

    model: str
    note: str
    text: str
    pieces: tuple[Piece, ...]
    why: tuple[tuple[Text, str], ...]

    @property
    def kinds(self) -> list[Text]:
        """Each kind once."""
        return list(dict.fromkeys(kind for kind, _ in self.why))


@dataclass(frozen=True)
class Scene:
    """A prompt's attributes as (name, value), and what each model said."""

    words: tuple[tuple[str, str], ...]
    said: tuple[Said, ...]


def said(model: str, note: str, line: Line) -> Said:
    why = tuple((kind_name(v["kind"]), str(v["message"])) for v in line.violations)
    return Said(model, note, line.text, tuple(pieces(line.text, line.violations)), why)


def sample(evaluation: Evaluation, cells: Sequence[Cell], domain: Domain) -> list[Scene]:
    """Prompts drawn at random, not selected, with the line of each cell. The same folder shows the same prompts."""
    count = len(evaluation.prompts)
    drawn = sorted(random.Random(0).sample(range(count), min(_SHOWN, count)))
    return [
        Scene(words(evaluation.prompts[i], domain), tuple(said(c.model, c.decoding, c.lines[i]) for c in cells)) for i in drawn
    ]


def probe_scenes(runs: Sequence[ShownRun], domain: Domain) -> list[Scene]:
    """The domain's probes with the line of each run's best checkpoint."""
    scenes = []
    for probe in domain.probes:
        lines = [said(run.name, "", line) for run in runs for attributes, line in run.probes if attributes == probe]
        if lines:
            scenes.append(Scene(words(probe, domain), tuple(lines)))
    return scenes


def words(attributes: Mapping[str, Any], domain: Domain) -> tuple[tuple[str, str], ...]:
    """(name, value) of the attributes in domain order, as the prompt says them."""
    return tuple(
        (a.prompt_key, str(a.labels.get(attributes[a.key], attributes[a.key]))) for a in domain.attributes if a.key in attributes
    )


@dataclass(frozen=True)
class Filter:
    """A role that lines are filtered by: its key and the values that it has."""

    role: str
    key: str
    values: tuple[str, ...]


def filters(domain: Domain) -> list[Filter]:
    """Personality and class, where the domain has them."""
    keys = [(role, domain.roles[role]) for role in ("personality", "class") if role in domain.roles]
    return [Filter(role, key, tuple(map(str, domain.by_key[key].labels.values()))) for role, key in keys]


def script_data(evaluation: Evaluation, domain: Domain) -> str:
    """Every line as JSON that may stand in a script element. A line without violations is its text alone."""
    kinds = {v["kind"] for cell in evaluation.cells for line in cell.lines for v in line.violations}
    data = {
        "prompts": [_prompt(p, domain) for p in evaluation.prompts],
        "cells": [
            {"model": c.model, "decoding": c.decoding, "lines": [_script_line(line) for line in c.lines]}
            for c in evaluation.cells
        ],
        "kinds": {kind: kind_name(kind) for kind in sorted(kinds)},
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def _prompt(attributes: Mapping[str, Any], domain: Domain) -> dict[str, Any]:
    roles = {f.role: str(domain.by_key[f.key].labels.get(attributes.get(f.key, ""), "")) for f in filters(domain)}
    return {"words": words(attributes, domain), **roles}


def _script_line(line: Line) -> Any:
    if not line.violations:
        return line.text
    cut = [[p.text, p.found] for p in pieces(line.text, line.violations)]
    return {"text": line.text, "pieces": cut, "why": [[v["kind"], v["message"]] for v in line.violations]}
