"""The checks that `npc-pref pair --hold-out` kept out of the pairs: rules that the aligned model was never shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from npc_align import preferences
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.base import About, Judge, Progress, Scores, Skipped
from npc_align.files import file_hash

_ADVICE = (
    "pair anew with e.g. npc-pref pair --hold-out josa_error,broken_form and train on that; or name kinds with --held-out-kinds"
)


class HeldOutChecks(Judge):
    name = "held_out_checks"
    title = "Checks that were kept out of the pairs"
    better = "lower"

    def inputs(self) -> list[str]:
        return [self.setting.result.rules, *self._kinds]

    @cached_property
    def _kinds(self) -> tuple[str, ...]:
        given = self.setting.held_out_kinds
        kinds = given if given is not None else held_out_kinds([m.path for m in self.setting.result.models.values()])
        if not kinds:
            raise Skipped(f"the pairs kept no kind out; {_ADVICE}")
        return tuple(sorted(kinds))

    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        progress(len(lines))
        return [float(any(v["kind"] in self._kinds for v in line.violations)) for line in lines]

    def about(self, progress: Progress) -> About:
        return About(f"Share of lines that break a rule which no pair was built on: {', '.join(self._kinds)}.")


def held_out_kinds(models: Sequence[str]) -> tuple[str, ...]:
    """The kinds that the pairs of every DPO run among these model paths kept out.

    Args:
        models: run folders, or adapters and checkpoints in them; what else is named has seen no pairs that anybody knows of.

    Raises:
        Skipped: no DPO run among them, or one that nobody knows the kinds of.
    """
    runs = {folder: config for path in models if (folder := _run_of(path)) and "pairs" in (config := _data(folder))}
    if not runs:
        raise Skipped(f"none of the models is a DPO run, whose config names its pairs; {_ADVICE}")
    return tuple(sorted(set.intersection(*(_of_run(run, Path(data["pairs"])) for run, data in runs.items()))))


def _of_run(run: Path, pairs: Path) -> set[str]:
    manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    kinds = manifest.get("pairs", {}).get("held_out_kinds")
    if kinds is None and pairs.is_file() and manifest["inputs"]["pairs"] == file_hash(pairs):
        kinds = preferences.held_out_kinds(pairs)  # a run of the days before it recorded them itself
    if kinds is None:
        raise Skipped(
            f"{run}: neither its manifest nor {pairs}'s says what was held out of its pairs; name it with --held-out-kinds"
        )
    return set(kinds)


def _run_of(path: str) -> Path | None:
    """The run folder that a model's path is or lies in (adapter/, checkpoint-*)."""
    folders = (Path(path), Path(path).parent) if Path(path).is_dir() else ()
    return next((p for p in folders if all((p / name).is_file() for name in ("config.yaml", "manifest.json"))), None)


def _data(run: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    return config.get("data") or {}
