"""The checks that `npc-pref pair --hold-out` kept out of the pairs: rules that the aligned model was never shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

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

    Raises:
        Skipped: no DPO run among them, or one whose pairs' manifest is gone or is of other pairs.
    """
    runs = [Path(path) for path in models if (_config(Path(path)).get("data") or {}).get("pairs")]
    if not runs:
        raise Skipped(f"none of the models is a DPO run folder, whose config names its pairs; {_ADVICE}")
    return tuple(sorted(set.intersection(*(_of_run(run) for run in runs))))


def _of_run(run: Path) -> set[str]:
    pairs = Path(_config(run)["data"]["pairs"])
    manifest = pairs.with_name(pairs.name + ".manifest.json")
    if not manifest.is_file() or not pairs.is_file():
        raise Skipped(
            f"{run}: {pairs} or its manifest isn't there any more, so nobody knows what was held out; name it with --held-out-kinds"
        )
    inputs: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["inputs"]
    if inputs["pairs"] != file_hash(pairs):
        raise Skipped(
            f"{run}: {pairs} has changed since the run, so its manifest says nothing of it; name the kinds with --held-out-kinds"
        )
    return set(json.loads(manifest.read_text(encoding="utf-8"))["held_out_kinds"])


def _config(run: Path) -> dict[str, Any]:
    file = run / "config.yaml"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))) if file.is_file() else {}
