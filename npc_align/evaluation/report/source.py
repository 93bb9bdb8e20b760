"""What the report is made of: the evaluation folder, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npc_align.errors import UserError
from npc_align.evaluation.folder import JUDGES, READINGS, JudgedLine, lines_hash, read_lines, read_part, read_result
from npc_align.evaluation.reading import is_of
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
    """One model under one decoding, with a line per prompt; `also` are other names of the decoding."""

    model: str
    decoding: str
    also: Sequence[str]
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
        judges: judges.json, or None where `npc-eval judge` hasn't run on these lines.
        readings: readings.json, or None where `npc-eval read` hasn't run.
    """

    result: Mapping[str, Any]
    prompts: tuple[Mapping[str, Any], ...]
    cells: tuple[Cell, ...]
    judges: Mapping[str, Any] | None
    readings: Mapping[str, Any] | None

    def cell(self, model: str, decoding: str) -> Cell | None:
        return next((c for c in self.cells if c.model == model and decoding in (c.decoding, *c.also)), None)

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
    result = read_result(folder)
    read = [(cell, read_lines(folder, cell)) for cell in result.cells]
    prompts = [line.attributes for line in read[0][1]]
    for cell, lines in read:
        if [line.attributes for line in lines] != prompts:
            raise UserError(f"{folder / cell.lines}: answers other prompts than the rest; run npc-eval grid again")
    cells = [
        Cell(c.model, c.decoding, c.also, c.knobs, c.max_new_tokens, c.summary, tuple(map(_line, lines))) for c, lines in read
    ]
    judges = read_part(folder, JUDGES)
    if judges is not None and judges["of"] != lines_hash(folder, result):
        judges = None  # they judged other lines than these
    readings = read_part(folder, READINGS)
    if readings is not None and not is_of(readings, folder, result):
        readings = None  # and these read others
    return Evaluation(asdict(result), tuple(prompts), tuple(cells), judges, readings)


def _line(judged: JudgedLine) -> Line:
    return Line(printable(judged.line), tuple({**v, "message": printable(v["message"])} for v in judged.violations))


def printable(text: str) -> str:
    """The text with what no page can show (lone surrogates, control characters) replaced one for one, so that offsets hold."""
    return _ODD.sub("\N{REPLACEMENT CHARACTER}", text)
