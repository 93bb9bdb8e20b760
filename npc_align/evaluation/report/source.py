"""What the report is made of: the evaluation folder, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npc_align.errors import UserError
from npc_align.evaluation.statistics import wilson

_ODD = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f]")
DEFAULT = "default"


@dataclass(frozen=True)
class Line:
    """A generated line. `violations` are dicts of kind, start, end (code-point offsets) and message."""

    text: str
    violations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Cell:
    """One model under one decoding, with a line per prompt."""

    model: str
    decoding: str
    knobs: Mapping[str, Any]
    max_new_tokens: int
    summary: Mapping[str, Any]
    lines: tuple[Line, ...]

    def rate_of(self, kind: str) -> Mapping[str, float]:
        """Share of lines with a violation of this kind; a kind that didn't occur has an interval, too."""
        found: Mapping[str, float] | None = self.summary["by_kind"].get(kind)
        return found if found is not None else vars(wilson(0, self.summary["prompts"]))


@dataclass(frozen=True)
class Evaluation:
    """An evaluation folder.

    Attributes:
        result: result.json.
        prompts: attributes of each prompt; `cells[i].lines[j]` answers `prompts[j]`.
        judges: judges.json, or None where `npc-eval judge` hasn't run.
        readings: readings.json, or None where `npc-eval read` hasn't run.
    """

    result: Mapping[str, Any]
    prompts: tuple[Mapping[str, Any], ...]
    cells: tuple[Cell, ...]
    judges: Mapping[str, Any] | None
    readings: Mapping[str, Any] | None

    def cell(self, model: str, decoding: str) -> Cell | None:
        return next((c for c in self.cells if (c.model, c.decoding) == (model, decoding)), None)

    @property
    def main_cells(self) -> list[Cell]:
        """One cell per model: default decoding, else the first that was measured."""
        models = dict.fromkeys(c.model for c in self.cells)
        return [self.cell(m, DEFAULT) or next(c for c in self.cells if c.model == m) for m in models]

    @property
    def compared(self) -> list[Cell]:
        """Before and after: the main cells of the headline's tuned and aligned models, else of the last two models."""
        named = self.result["headline"]
        wanted = (named["tuned"], named["aligned"]) if named else ()
        return [c for name in wanted for c in self.main_cells if c.model == name] or self.main_cells[-2:]


def read_evaluation(folder: Path) -> Evaluation:
    """Read what `npc-eval grid` (or run), judge and read left in `folder`.

    Raises:
        UserError: no result there, a file that isn't whole, or lines of other prompts than the rest.
    """
    result = _read_json(folder / "result.json")
    if result is None:
        raise UserError(f"{folder}: no result.json; run: npc-eval grid --output {folder}")
    if not isinstance(result.get("cells"), list) or not result["cells"]:
        raise UserError(f"{folder / 'result.json'}: no cells in it, an older layout; run: npc-eval grid --output {folder}")
    read = [(cell, *_read_lines(folder / cell["lines"])) for cell in result["cells"]]
    prompts = read[0][1]
    for cell, asked, _ in read:
        if asked != prompts:
            raise UserError(
                f"{folder / cell['lines']}: answers other prompts than the rest; run: npc-eval grid --output {folder}"
            )
    cells = [
        Cell(cell["model"], cell["decoding"], cell["knobs"], cell["max_new_tokens"], cell["summary"], lines)
        for cell, _, lines in read
    ]
    judges, readings = _read_json(folder / "judges.json"), _read_json(folder / "readings.json")
    return Evaluation(result, prompts, tuple(cells), judges, readings)


def _read_json(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: not readable as JSON ({error}); run the command that wrote it again") from error
    if not isinstance(read, dict):
        raise UserError(f"{file}: must hold a JSON object; run the command that wrote it again")
    return read


def _read_lines(file: Path) -> tuple[tuple[Mapping[str, Any], ...], tuple[Line, ...]]:
    if not file.is_file():
        raise UserError(f"{file}: missing, though result.json names it; run the same npc-eval grid command again")
    try:
        _, *rows = [json.loads(row) for row in file.read_text(encoding="utf-8").split("\n") if row]
    except ValueError as error:
        raise UserError(f"{file}: not readable as JSON lines ({error}); remove it and run npc-eval grid again") from error
    lines = tuple(Line(printable(row["line"]), tuple(row["violations"])) for row in rows)
    return tuple(row["attributes"] for row in rows), lines


def printable(text: str) -> str:
    """The text with what no page can show (lone surrogates, control characters) replaced one for one, so that offsets hold."""
    return _ODD.sub("\N{REPLACEMENT CHARACTER}", text)
