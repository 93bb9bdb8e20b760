"""What training runs add to the report: their curves, how they were made, and their lines for the domain's probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npc_align.checks import check_line
from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError
from npc_align.evaluation.report.source import Line, printable
from npc_align.evaluation.runs import Run, SampledLine

Points = tuple[tuple[float, float], ...]
_METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class ShownRun:
    """A run, named after the model that was measured from it, else after its folder.

    Attributes:
        best: the step whose checkpoint is the adapter.
        probes: the domain's probes and the best checkpoint's lines for them, with what today's checks say of those.
    """

    name: str
    run: Run
    best: int
    probes: tuple[tuple[Attributes, Line], ...]

    def curve(self, key: str) -> Points:
        """(step, value) of a metric wherever it was logged."""
        return tuple((row["step"], row[key]) for row in self.run.rows if key in row)


def find_runs(models: Mapping[str, Mapping[str, Any]], named: Iterable[Path]) -> list[tuple[str, Path]]:
    """(name, folder) of the runs that the measured models come from and of those named besides, each once.

    Raises:
        UserError: a named folder is no run.
    """
    found: dict[Path, tuple[str, Path]] = {}
    for label, model in models.items():
        folder = _run_folder(Path(model["path"]))
        # A model's run that was never evaluated has nothing to show; one that is named is an error that says so.
        if folder is not None and '"eval_loss"' in (folder / _METRICS).read_text(encoding="utf-8"):
            found.setdefault(folder.resolve(), (label, folder))
    for path in named:
        folder = _run_folder(path)
        if folder is None:
            raise UserError(f"{path}: no run folder (no {_METRICS} in it); give the output_dir of a training run")
        found.setdefault(folder.resolve(), (folder.name, folder))
    return list(found.values())


def _run_folder(path: Path) -> Path | None:
    """The run folder that a model's path is or lies in (adapter/, checkpoint-*)."""
    return next((p for p in (path, path.parent) if path.exists() and (p / _METRICS).is_file()), None)


def read_run(name: str, folder: Path, domain: Domain) -> ShownRun:
    """Read a run folder, one that is still being written too.

    Raises:
        UserError: it hasn't been evaluated yet.
    """
    run = Run.read(str(folder))
    lines = run.samples(run.best_step) if run.best_step in run.sampled_steps() else []
    probes = tuple((x.attributes, _checked(x, domain)) for x in lines[: len(domain.probes)] if x.attributes in domain.probes)
    return ShownRun(name, run, run.best_step, probes)


def _checked(sampled: SampledLine, domain: Domain) -> Line:
    """The sample's file names kinds only; the checks say where and why, and whether a line was cut off is known by its kind."""
    found = check_line(sampled.line, sampled.attributes, domain, finished="truncated" not in sampled.kinds)
    return Line(printable(sampled.line), tuple(vars(v) for v in found))
