"""The evaluation folder: what `npc-eval grid` and `run` write, and judges, readings and report read. No torch here.

result.json                      models, cells (one per model and decoding), differences, headline
lines/<model>/<decoding>.jsonl   a head row with the content key, then one row per prompt, in prompt order
search/<model>/<decoding>.jsonl  the same for the settings tried on validation prompts
losses/<model>.json              the held-out loss with its content key
judges.json, readings.json       written by `npc-eval judge` and `npc-eval read`, where they were run
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npc_align.domain import Attributes
from npc_align.errors import UserError
from npc_align.evaluation.statistics import Interval
from npc_align.files import file_hash, write_text

RESULT, JUDGES, READINGS = "result.json", "judges.json", "readings.json"
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # of models and decodings: they become file names


@dataclass(frozen=True)
class JudgedLine:
    """A generated line and what the checks say of it: `violations` are dicts of kind, start, end (code points) and message."""

    attributes: Attributes
    line: str
    finished: bool
    violations: list[dict[str, Any]]

    @property
    def bad(self) -> bool:
        return bool(self.violations)


@dataclass(frozen=True)
class StoredLines:
    """A file of lines. `key` changes with whatever changes the lines, `rules` with the checks that judged them."""

    key: str
    rules: str
    lines: list[JudgedLine]


@dataclass(frozen=True)
class ModelScore:
    """`held_out_loss`: nats per token over the reference lines; `perplexity` is its exponential."""

    path: str
    held_out_loss: float
    perplexity: float


@dataclass(frozen=True)
class CellName:
    model: str
    decoding: str


@dataclass(frozen=True)
class Cell:
    """One model under one decoding.

    Attributes:
        lines: its file, relative to the folder.
        summary: what `measure.summarise` gives.
        also: other names of the same decoding, which was run once.
    """

    model: str
    decoding: str
    max_new_tokens: int
    knobs: Mapping[str, Any]
    lines: str
    summary: Mapping[str, Any]
    also: Sequence[str] = ()

    @property
    def name(self) -> CellName:
        return CellName(self.model, self.decoding)


@dataclass(frozen=True)
class Difference:
    """Violation rate of `second` minus that of `first` on the same prompts, with a paired bootstrap interval."""

    first: CellName
    second: CellName
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Tried:
    """A decoding that was tried on validation prompts, and its violation rate there."""

    decoding: str
    max_new_tokens: int
    knobs: Mapping[str, Any]
    violations: Interval


@dataclass(frozen=True)
class ChosenOn:
    """How the best tuned decoding was chosen. `violations`: its rate on these prompts; `settings`: everything tried."""

    split: str
    prompts: int
    violations: Interval
    tried: int
    settings: Sequence[Tried]


@dataclass(frozen=True)
class Headline:
    """The decoding gap: rate of `aligned` under default decoding minus that of `tuned` under `tuned_decoding`, on test prompts."""

    aligned: str
    tuned: str
    tuned_decoding: str
    chosen_on: ChosenOn
    decoding_gap: Interval


@dataclass(frozen=True)
class Result:
    """`result.json`. `corpus`: its path, None for the domain's own; `rules`: hash of the checks that judged; `seed`: of sampling."""

    prompts: int
    prompts_hash: str
    split: str
    rules: str
    versions: Mapping[str, str]
    domain: str
    corpus: str | None
    models: Mapping[str, ModelScore]
    cells: Sequence[Cell]
    differences: Sequence[Difference] = ()
    headline: Headline | None = None
    seed: int = 0

    def cell(self, model: str, decoding: str) -> Cell | None:
        """The cell of that model and decoding, also by another name of the decoding; None where it wasn't measured."""
        return next((c for c in self.cells if c.model == model and decoding in (c.decoding, *c.also)), None)


def read_result(folder: Path) -> Result:
    """The folder's result.

    Raises:
        UserError: none there, or of another form.
    """
    path = folder / RESULT
    again = f"run: npc-eval grid --model … --output {folder}"
    if not path.is_file():
        raise UserError(f"{folder}: no {RESULT} there; {again}")
    try:
        return _result(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not of this version's form ({error!r}); {again}") from error


def write_result(folder: Path, result: Result) -> None:
    """Write `result.json`, whole or not at all."""
    write_text(folder / RESULT, json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n")


def forget_result(folder: Path) -> None:
    """Remove `result.json` before lines that it speaks of change: a run that stops on the way leaves no figures of other lines."""
    (folder / RESULT).unlink(missing_ok=True)


def lines_file(model: str, decoding: str) -> str:
    """Where the lines of a cell lie, relative to the folder."""
    return f"lines/{model}/{decoding}.jsonl"


def read_lines(folder: Path, cell: Cell) -> list[JudgedLine]:
    """The lines of a cell, in prompt order.

    Raises:
        UserError: the file is missing or damaged.
    """
    stored = read_stored(folder / cell.lines)
    if stored is None:
        raise UserError(f"{folder / cell.lines}: missing or damaged; run the same npc-eval command again, which makes it anew")
    return stored.lines


def read_stored(path: Path) -> StoredLines | None:
    """A file of lines; None where there is none, or not a whole one."""
    if not path.is_file():
        return None
    try:
        # A line may hold U+2028, where str.splitlines would break its row.
        head, *rows = [json.loads(row) for row in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
        return StoredLines(head["key"], head["rules"], [JudgedLine(**row) for row in rows])
    except (ValueError, KeyError, TypeError):
        return None


def lines_hash(folder: Path, result: Result) -> str:
    """Changes with any of the result's lines or what the checks say of them: what `judges.json` is of."""
    hashes = (file_hash(folder / cell.lines) for cell in result.cells)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


def write_stored(path: Path, stored: StoredLines) -> None:
    """Write a file of lines, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"key": stored.key, "rules": stored.rules}, *(asdict(line) for line in stored.lines)]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_part(folder: Path, name: str) -> dict[str, Any] | None:
    """`judges.json` or `readings.json`; None where it hasn't been made.

    Raises:
        UserError: it can't be read.
    """
    path = folder / name
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: can't be read ({error}); remove it and make it anew") from error


def write_part(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write `judges.json` or `readings.json`, whole or not at all."""
    write_text(folder / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def _result(raw: dict[str, Any]) -> Result:
    built = {
        "models": {label: ModelScore(**score) for label, score in raw["models"].items()},
        "cells": [Cell(**cell) for cell in raw["cells"]],
        "differences": [_difference(entry) for entry in raw["differences"]],
        "headline": _headline(raw["headline"]) if raw["headline"] else None,
    }
    return Result(**{**raw, **built})


def _difference(raw: dict[str, Any]) -> Difference:
    return Difference(**{**raw, "first": CellName(**raw["first"]), "second": CellName(**raw["second"])})


def _headline(raw: dict[str, Any]) -> Headline:
    chosen = raw["chosen_on"]
    settings = [Tried(**{**tried, "violations": Interval(**tried["violations"])}) for tried in chosen["settings"]]
    chosen_on = ChosenOn(**{**chosen, "violations": Interval(**chosen["violations"]), "settings": settings})
    return Headline(**{**raw, "chosen_on": chosen_on, "decoding_gap": Interval(**raw["decoding_gap"])})
