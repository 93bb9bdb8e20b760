"""Every judge over every cell of an evaluation folder, resumable: `judges.json`.

judged/<judge>/about.json                   what the judge says of itself, with the key of its inputs
judged/<judge>/<model>/<decoding>.json      its score of every line of a cell, likewise
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from npc_align.errors import UserError
from npc_align.evaluation.folder import JUDGES, Cell, CellName, Result, lines_hash, read_lines, read_part, write_part
from npc_align.evaluation.judges import base, morphology
from npc_align.evaluation.judges.base import About, Judge, Scores, Setting, Skipped, mean_interval
from npc_align.evaluation.statistics import Interval, paired_difference, wilson
from npc_align.files import file_hash, write_text
from npc_align.progress import counted

_PACKAGE = "npc_align.evaluation.judges"
# Name of a judge -> its module and class, in the order in which they are shown. Those that run a model come last.
ALL = {
    "unknown_words": ("words", "UnknownWords"),
    "unknown_endings": ("words", "UnknownEndings"),
    "new_words": ("words", "NewWords"),
    "personality_classifier": ("classifiers", "PersonalityClassifier"),
    "result_classifier": ("classifiers", "ResultClassifier"),
    "held_out_checks": ("held_out", "HeldOutChecks"),
    "fluency": ("fluency", "Fluency"),
    "counterfactual_personality": ("counterfactual", "CounterfactualPersonality"),
    "counterfactual_result": ("counterfactual", "CounterfactualResult"),
}


def judge_folder(setting: Setting, names: Sequence[str] = (), cells: Sequence[CellName] = ()) -> dict[str, Any]:
    """Let judges judge, write `judges.json`, and return what it holds.

    What was judged before, with the same lines and the same judge, isn't judged again. Entries of other judges stay in the file as
    long as the lines are the same.

    Args:
        setting: the folder and what the judges need.
        names: of judges, in `ALL`; none: all.
        cells: the cells to judge; none: every one, of which the judges that run a model take those of `default` decoding and the
            headline's tuned one.

    Raises:
        UserError: an unknown judge or cell, or damaged lines.
    """
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise UserError(f"no judge {', '.join(unknown)}; there are: {', '.join(ALL)}")
    chosen = [named_cell(setting.result, name) for name in cells]
    of = lines_hash(setting.folder, setting.result)
    before = read_part(setting.folder, JUDGES) or {}
    found = {"of": of, "judges": {}, "skipped": {}} | (before if before.get("of") == of else {})
    for name in names or ALL:
        module, kind = ALL[name]
        judge: Judge = getattr(import_module(f"{_PACKAGE}.{module}"), kind)(setting)
        found["judges"].pop(name, None)
        found["skipped"].pop(name, None)
        try:
            found["judges"][name] = _entry(judge, chosen)
        except Skipped as reason:
            found["skipped"][name] = str(reason)
        write_part(setting.folder, JUDGES, found)  # so that the report shows what is there while the others still judge
    return found


def named_cell(result: Result, name: CellName) -> Cell:
    """The cell of that name.

    Raises:
        UserError: there is none, naming those that there are.
    """
    cell = result.cell(name.model, name.decoding)
    if cell is None:
        there = ", ".join(f"{c.model}/{c.decoding}" for c in result.cells)
        raise UserError(f"no cell {name.model}/{name.decoding}; there are: {there}")
    return cell


def _hash(parts: Any) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _entry(judge: Judge, chosen: Sequence[Cell]) -> dict[str, Any]:
    result = judge.setting.result
    key = _hash([_version(judge), *judge.inputs()])
    home = judge.setting.folder / "judged" / judge.name
    scores: dict[CellName, Scores] = {}
    for cell in chosen or _usual(judge, result):
        file = home / cell.model / f"{cell.decoding}.json"
        own = _hash([key, file_hash(judge.setting.folder / cell.lines)])
        scores[cell.name] = _cached(file, own, partial(_judged, judge, cell))
    about = _cached(home / "about.json", key, lambda: asdict(_about(judge)))
    return {
        "title": judge.title,
        **about,
        "better": judge.better,
        "unit": judge.unit,
        "cells": [_cell_row(judge, name, values) for name, values in scores.items()],
        "differences": [d for pair in _pairs(result) if (d := _difference(pair, scores)) is not None],
    }


def _version(judge: Judge) -> str:
    """Changes with the judge's source."""
    sources = [sys.modules[type(judge).__module__].__file__, base.__file__, morphology.__file__]
    return " ".join(file_hash(Path(str(source))) for source in sources)


def _usual(judge: Judge, result: Result) -> list[Cell]:
    if not judge.costly:
        return list(result.cells)
    tuned = (result.headline.tuned, result.headline.tuned_decoding) if result.headline else None
    return [c for c in result.cells if c.decoding == "default" or (c.model, c.decoding) == tuned]


def _cached(file: Path, key: str, make: Callable[[], Any]) -> Any:
    """What `file` holds under this key, else what `make` gives, kept there."""
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return kept["value"]
    value = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps({"key": key, "value": value}, ensure_ascii=False) + "\n")
    return value


def _judged(judge: Judge, cell: Cell) -> Scores:
    lines = judge.shown(read_lines(judge.setting.folder, cell))
    with counted(len(lines), f"{judge.name} {cell.model}/{cell.decoding}") as advance:
        return judge.scores(lines, advance)


def _about(judge: Judge) -> About:
    lines = judge.shown(judge.setting.references)
    with counted(len(lines), f"{judge.name} itself, on test lines") as advance:
        return judge.about(advance)


def _cell_row(judge: Judge, name: CellName, scores: Scores) -> dict[str, Any]:
    """A cell's figure; `rate` is None where the judge had no verdict on any of its lines."""
    values = [score for score in scores if score is not None]
    return {**asdict(name), "lines": len(values), "rate": asdict(_rate(judge, values)) if values else None}


def _rate(judge: Judge, values: Sequence[float]) -> Interval:
    return wilson(int(sum(values)), len(values)) if judge.unit == "share" else mean_interval(values)


def _pairs(result: Result) -> list[tuple[CellName, CellName]]:
    """What is compared: as in the result, and the headline's aligned model with its tuned one, default to default and gap."""
    pairs = [(d.first, d.second) for d in result.differences]
    if result.headline is not None:
        aligned, tuned = result.headline.aligned, result.headline.tuned
        pairs += [(CellName(tuned, d), CellName(aligned, "default")) for d in ("default", result.headline.tuned_decoding)]
    return list(dict.fromkeys(pairs))


def _difference(pair: tuple[CellName, CellName], scores: dict[CellName, Scores]) -> dict[str, Any] | None:
    """Second minus first over the prompts on which the judge has a verdict in both; None where there are none."""
    first, second = pair
    if first not in scores or second not in scores:
        return None
    both = [(a, b) for a, b in zip(scores[first], scores[second], strict=True) if a is not None and b is not None]
    if not both:
        return None
    step = paired_difference([a for a, _ in both], [b for _, b in both])
    return {"first": asdict(first), "second": asdict(second), **asdict(step)}
