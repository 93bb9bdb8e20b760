"""What a run folder says of its run: config, manifest, metrics, and the greedy lines of every checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from npc_align.corpus import read_jsonl
from npc_align.domain import Attributes
from npc_align.errors import UserError
from npc_align.training.plots import read_metrics


@dataclass(frozen=True)
class SampledLine:
    """A greedy line of a checkpoint; `kinds` are the violations that the run's checks found in it."""

    attributes: Attributes
    line: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One run, finished or not.

    Attributes:
        config: flattened, `section.key` to value.
        manifest: flattened in the same way.
        rows: metrics.jsonl, in the order logged.
    """

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    rows: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: str) -> Run:
        """The run in `folder`.

        Raises:
            UserError: no run folder, or one that has logged nothing yet.
        """
        path = Path(folder)
        wanted = ("config.yaml", "manifest.json", "metrics.jsonl")
        missing = [name for name in wanted if not (path / name).is_file()]
        if missing:
            raise UserError(
                f"{folder}: no {', '.join(missing)} in it; name a run folder, as sft/train.py and dpo/train.py make them (output_dir)"
            )
        config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        rows = read_metrics(path / "metrics.jsonl")
        if not any("eval_loss" in row for row in rows):
            raise UserError(f"{folder}: not evaluated yet; wait for its first evaluation")
        return cls(path, dict(_flat(config)), dict(_flat(manifest)), rows)

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The logged rows that hold a held-out loss, by step."""
        return [row for row in self.rows if "eval_loss" in row]

    @property
    def best_step(self) -> int:
        """The step whose checkpoint is `adapter/`; before the run has finished, the one that would be."""
        result = self.path / "result.json"
        if result.is_file():
            best = json.loads(result.read_text(encoding="utf-8"))["best_checkpoint"]
            return int(best.rpartition("-")[2])
        metric = "eval_selection" if self.config.get("choose_by") == "violations" else "eval_loss"
        saved = [row for row in self.evaluations if row["step"] > 0] or self.evaluations
        return min(saved, key=lambda row: row[metric])["step"]

    def samples(self, step: int) -> list[SampledLine]:
        """The greedy lines of the checkpoint at `step`.

        Raises:
            UserError: the run wrote none at this step.
        """
        file = self.path / "samples" / f"step-{step:06d}.jsonl"
        if not file.is_file():
            raise UserError(f"{file}: no such file; the run wrote no greedy lines at step {step}")
        return [SampledLine(row["attributes"], row["line"], tuple(row["violations"])) for _, row in read_jsonl(file)]

    def sampled_steps(self) -> list[int]:
        """Steps with greedy lines, in order."""
        return sorted(int(file.stem.rpartition("-")[2]) for file in (self.path / "samples").glob("step-*.jsonl"))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
