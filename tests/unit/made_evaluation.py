"""An evaluation folder with given lines, for the tests of judges and readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from npc_align.domain import Attributes
from npc_align.evaluation.folder import (
    Cell,
    CellName,
    Difference,
    JudgedLine,
    ModelScore,
    Result,
    StoredLines,
    lines_file,
    read_result,
    write_result,
    write_stored,
)


def made_evaluation(
    folder: Path,
    prompts: Sequence[Attributes],
    lines: Mapping[str, Sequence[str]],
    *,
    paths: Mapping[str, str] | None = None,
    violations: Sequence[dict[str, Any]] = (),
) -> Result:
    """One cell of `default` decoding per model; the last two models are compared. `violations` are those of every first line."""
    cells = []
    for model, said in lines.items():
        cells.append(Cell(model, "default", 64, {}, lines_file(model, "default"), {}))
        stored = [
            JudgedLine(a, line, True, list(violations) if i == 0 else [])
            for i, (a, line) in enumerate(zip(prompts, said, strict=True))
        ]
        write_stored(folder / cells[-1].lines, StoredLines("key", "rules", stored))
    models = {model: ModelScore((paths or {}).get(model, model), 2.0, 7.4) for model in lines}
    first, second = (CellName(model, "default") for model in (list(lines) * 2)[-2:])
    differences = [Difference(first, second, 0.0, 0.0, 0.0)] if len(lines) > 1 else []
    result = Result(len(prompts), "00", "test", "rules", {}, "weapon_rental", None, models, cells, differences)
    write_result(folder, result)
    return read_result(folder)
