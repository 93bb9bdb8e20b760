"""What a training run's folder adds to the report: its curves, how it was made, and its lines for the domain's probes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from npc_align.checks import check_line
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.evaluation.report.source import Line, printable
from npc_align.training.plots import read_metrics

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        name: the label of the model that was measured from it, else the folder's name.
        metrics: rows of metrics.jsonl.
        config: config.yaml.
        manifest: manifest.json.
        best: step of the checkpoint that became the adapter, or None where none is named.
        probes: the domain's probes and the lines that the best checkpoint gave, with what today's checks say of them.
    """

    name: str
    folder: Path
    metrics: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    best: int | None
    probes: tuple[tuple[Mapping[str, Any], Line], ...]

    def curve(self, key: str) -> Points:
        """(step, value) of a metric wherever it was logged."""
        return tuple((row["step"], row[key]) for row in self.metrics if key in row)


def find_runs(models: Mapping[str, Mapping[str, Any]], named: Iterable[Path]) -> list[tuple[str, Path]]:
    """(name, folder) of the runs that the measured models come from and of those named besides, each once.

    Raises:
        UserError: a named folder is no run.
    """
    found: dict[Path, tuple[str, Path]] = {}
    for label, model in models.items():
        folder = run_folder(Path(model["path"]))
        if folder is not None:
            found.setdefault(folder.resolve(), (label, folder))
    for path in named:
        folder = run_folder(path)
        if folder is None:
            raise UserError(f"{path}: no run folder (no metrics.jsonl in it); give the output_dir of a training run")
        found.setdefault(folder.resolve(), (folder.name, folder))
    return list(found.values())


def run_folder(path: Path) -> Path | None:
    """The run folder that a model's path is or lies in (adapter/, checkpoint-*)."""
    return next((p for p in (path, path.parent) if (p / "metrics.jsonl").is_file()), None)


def read_run(name: str, folder: Path, domain: Domain) -> Run:
    """Read a run folder, one that is still being written too.

    Raises:
        UserError: a file in it isn't readable.
    """
    try:
        metrics = tuple(read_metrics(folder / "metrics.jsonl"))
        config = yaml.safe_load(_text(folder / "config.yaml")) or {}
        manifest = json.loads(_text(folder / "manifest.json") or "{}")
        best = _best_step(json.loads(_text(folder / "result.json") or "{}"))
        return Run(name, folder, metrics, config, manifest, best, _probes(folder, best, domain))
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{folder}: a file of this run isn't readable ({error}); run the training command again") from error


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _best_step(result: Mapping[str, Any]) -> int | None:
    step = str(result.get("best_checkpoint", "")).rpartition("-")[2]
    return int(step) if step.isdigit() else None


def _probes(folder: Path, best: int | None, domain: Domain) -> tuple[tuple[Mapping[str, Any], Line], ...]:
    """The gate writes the probes first; samples of the best step, else of the last."""
    written = sorted((folder / "samples").glob("step-*.jsonl"))
    wanted = [file for file in written if best is not None and file.stem == f"step-{best:06d}"] or written[-1:]
    if not wanted:
        return ()
    rows = [json.loads(row) for row in wanted[0].read_text(encoding="utf-8").split("\n")[: len(domain.probes)] if row]
    return tuple((row["attributes"], _checked(row, domain)) for row in rows if row["attributes"] in domain.probes)


def _checked(row: Mapping[str, Any], domain: Domain) -> Line:
    found = check_line(row["line"], row["attributes"], domain, finished=row["finished"])
    return Line(printable(row["line"]), tuple(vars(v) for v in found))
