"""Blind reading: an unselected sample of an evaluation's lines, and what readers said of it: `readings.json`.

reading/<id>/sample.jsonl   what readers see: attributes and line in shuffled order, with a key that tells no model
reading/<id>/drawn.json     whose line each key is
reading/<id>/judged.jsonl   what readers said, by key; `npc-pref read` writes it

The id is a hash of what was drawn: the same command goes on with the same sample, other lines or settings make another.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from npc_align.corpus import read_jsonl, write_jsonl
from npc_align.errors import UserError
from npc_align.evaluation.folder import READINGS, CellName, JudgedLine, Result, read_lines, write_part
from npc_align.evaluation.judges.judging import named_cell
from npc_align.evaluation.statistics import Interval, paired_difference, wilson
from npc_align.files import write_text

SAMPLE, DRAWN, JUDGED = "sample.jsonl", "drawn.json", "judged.jsonl"
_NOTHING_SAID = "(빈 대사)"  # what readers see of an empty line
_VERDICTS = {"good": 1.0, "bad": 0.0, "fix": 0.0}  # a line that needs mending isn't good; skipped ones don't count


def usual_cells(result: Result) -> list[CellName]:
    """What is read unless cells are named: the headline's two models, else the last two, under default decoding."""
    labels = [result.headline.tuned, result.headline.aligned] if result.headline else list(result.models)[-2:]
    return [CellName(label, "default") for label in dict.fromkeys(labels)]


def draw(folder: Path, result: Result, names: Sequence[CellName], count: int, seed: int) -> Path:
    """Draw `count` prompts at random, take every cell's line for each, shuffle, and return the sample's folder.

    The same prompts for every cell: the cells have equal shares, and can be compared in pairs. Cells that say the same for the same
    attributes share one entry, read once.

    Raises:
        UserError: no such cell, or fewer prompts than `count`.
    """
    drawn = _drawn(folder, result, names, count, seed)
    lines = {name: read_lines(folder, named_cell(result, name)) for name in names}
    shown = {
        entry["key"]: _shown(lines[CellName(entry["model"], entry["decoding"])][entry["index"]], entry["key"]) for entry in drawn
    }
    order = random.Random(seed + 1).sample(list(shown), len(shown))
    identity = _identity(drawn, seed)
    home = folder / "reading" / identity
    if not (home / DRAWN).is_file():
        write_jsonl(home / SAMPLE, [shown[key] for key in order])
        write_text(home / DRAWN, json.dumps({"seed": seed, "count": count, "domain": result.domain, "lines": drawn}) + "\n")
    return home


def is_of(readings: Mapping[str, Any], folder: Path, result: Result) -> bool:
    """Whether readings are of the lines that the evaluation has today: a cell may have been generated anew since."""
    names = [CellName(cell["model"], cell["decoding"]) for cell in readings["cells"]]
    try:
        today = sample_id(folder, result, names, readings["count"], readings["seed"])
    except UserError:  # no such cell any more, or fewer prompts
        return False
    return bool(readings.get("sample") == today)


def sample_id(folder: Path, result: Result, names: Sequence[CellName], count: int, seed: int) -> str:
    """The id of the sample that `draw` would draw."""
    return _identity(_drawn(folder, result, names, count, seed), seed)


def _drawn(folder: Path, result: Result, names: Sequence[CellName], count: int, seed: int) -> list[dict[str, Any]]:
    lines = {name: read_lines(folder, named_cell(result, name)) for name in names}
    if count > result.prompts:
        raise UserError(f"--count {count}: the evaluation has {result.prompts} prompts; ask for at most so many")
    chosen = random.Random(seed).sample(range(result.prompts), count)
    return [{**asdict(name), "index": i, "key": _key(lines[name][i])} for name in lines for i in chosen]


def _identity(drawn: Sequence[Mapping[str, Any]], seed: int) -> str:
    return hashlib.sha256(json.dumps([seed, drawn]).encode()).hexdigest()[:12]


def _key(line: JudgedLine) -> str:
    content = json.dumps([sorted(line.attributes.items()), line.line], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _shown(line: JudgedLine, key: str) -> dict[str, Any]:
    return {"attributes": line.attributes, "line": line.line.strip() or _NOTHING_SAID, "key": key}


def score(folder: Path, home: Path) -> dict[str, Any]:
    """Join what readers said with whose lines they read, write `readings.json`, and return what it holds.

    A line that several read counts with the share of them who called it good. Where nobody has read of this sample yet, the file stays
    what it was: another sample's readings may be in it.
    """
    drawn = json.loads((home / DRAWN).read_text(encoding="utf-8"))
    said = _said(home / JUDGED)
    rows = [
        {k: v for k, v in {**entry, **verdict}.items() if k != "key"}
        for entry in drawn["lines"]
        for verdict in said[entry["key"]]
    ]
    cells = list(dict.fromkeys(CellName(e["model"], e["decoding"]) for e in drawn["lines"]))
    values = {cell: _values(rows, cell) for cell in cells}
    content = {
        "sample": home.name,
        "seed": drawn["seed"],
        "count": drawn["count"],
        "readers": sorted({row["reader"] for row in rows}),
        "cells": [_cell_row(cell, values[cell], rows) for cell in cells],
        "differences": [d for a, b in itertools.pairwise(cells) if (d := _difference(a, b, values)) is not None],
        "agreement": _agreement(said),
        "lines": rows,
    }
    if rows:
        write_part(folder, READINGS, content)
    return content


def _said(file: Path) -> Mapping[str, list[dict[str, Any]]]:
    """By key, each reader's verdict: `reader`, `verdict`, `reasons`, `hints`."""
    said: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, row in read_jsonl(file) if file.is_file() and file.stat().st_size else ():
        if row["verdict"] in _VERDICTS:
            said[row.pop("key")].append(row)
    return said


def _values(rows: Sequence[Mapping[str, Any]], cell: CellName) -> dict[int, float]:
    """Prompt's index -> share of its readers who called the cell's line good."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if (row["model"], row["decoding"]) == (cell.model, cell.decoding):
            found[row["index"]].append(_VERDICTS[row["verdict"]])
    return {index: sum(verdicts) / len(verdicts) for index, verdicts in sorted(found.items())}


def _cell_row(cell: CellName, values: Mapping[int, float], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if (row["model"], row["decoding"]) == (cell.model, cell.decoding)]
    by_reader = {
        reader: asdict(wilson(sum(v == "good" for v in verdicts), len(verdicts)))
        for reader in sorted({row["reader"] for row in own})
        if (verdicts := [row["verdict"] for row in own if row["reader"] == reader])
    }
    good = asdict(_rate(list(values.values()))) if values else None
    return {**asdict(cell), "read": len(values), "good": good, "by_reader": by_reader}


def _rate(values: Sequence[float]) -> Interval:
    whole = all(value in (0.0, 1.0) for value in values)
    return wilson(int(sum(values)), len(values)) if whole else paired_difference([0.0] * len(values), values)


def _difference(first: CellName, second: CellName, values: Mapping[CellName, Mapping[int, float]]) -> dict[str, Any] | None:
    """Rate of good lines of `second` minus that of `first`, over the prompts of which both lines were read."""
    both = sorted(values[first].keys() & values[second].keys())
    if not both:
        return None
    step = paired_difference([values[first][i] for i in both], [values[second][i] for i in both])
    return {"first": asdict(first), "second": asdict(second), "prompts": len(both), **asdict(step)}


def _agreement(said: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any] | None:
    """How far readers agree on the lines that two or more read: share of pairs of readers who said the same, and Krippendorff's alpha."""
    import krippendorff

    shared = [{v["reader"]: _VERDICTS[v["verdict"]] for v in verdicts} for verdicts in said.values() if len(verdicts) > 1]
    if not shared:
        return None
    pairs = [a == b for own in shared for a, b in itertools.combinations(own.values(), 2)]
    readers = sorted({reader for own in shared for reader in own})
    table = [[own.get(reader, float("nan")) for own in shared] for reader in readers]
    varied = len({value for own in shared for value in own.values()}) > 1  # where all say the same always, alpha isn't defined
    alpha = float(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")) if varied else None
    return {"lines": len(shared), "same": asdict(wilson(sum(pairs), len(pairs))), "alpha": alpha}
