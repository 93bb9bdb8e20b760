"""Runs side by side: what was set differently, what came of it, and which lines got better or worse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from npc_align.evaluation.runs import Run, SampledLine
from npc_align.evaluation.statistics import paired_difference
from npc_align.evaluation.terminal import figures

_METRICS = ("eval_loss", "eval_violation_rate", "eval_distinct_lines", "eval_unfinished")
_UNINTERESTING = {"started", "output_dir"}  # differ between any two runs
_ABSENT = "-"


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Config and manifest keys in which the runs differ, metrics of the best checkpoints, and each run's lines against the first's.

    Lines are those of the best checkpoints' samples on the prompts that both answered.
    """
    return {
        "runs": [str(run.path) for run in runs],
        "differences": _differences(runs),
        "metrics": {
            "best_step": [run.best_step for run in runs],
            **{name: [_metric(run, name) for run in runs] for name in _METRICS},
        },
        "against_first": [_against(runs[0], other) for other in runs[1:]],
    }


def text(found: dict[str, Any]) -> str:
    """The comparison for a terminal."""
    parts = ["\n".join(f"{_letter(i)}  {path}" for i, path in enumerate(found["runs"])), "\nSet differently:"]
    parts += [f"  {key}: {_columns(values)}" for key, values in found["differences"].items()] or ["  nothing"]
    parts.append("\nBest checkpoints:")
    parts += [f"  {name}: {_columns(values)}" for name, values in found["metrics"].items()]
    for number, pair in enumerate(found["against_first"], 1):
        parts += _against_text(pair, _letter(number))
    return "\n".join(parts)


def _differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    found = {}
    for part in ("config", "manifest"):
        trees = [getattr(run, part) for run in runs]
        for key in dict.fromkeys(key for tree in trees for key in tree):
            values = [tree.get(key, _ABSENT) for tree in trees]
            if key not in _UNINTERESTING and len({json.dumps(value, sort_keys=True) for value in values}) > 1:
                found[key] = values
    return found


def _metric(run: Run, name: str) -> float | None:
    return next((row.get(name) for row in run.evaluations if row["step"] == run.best_step), None)


def _against(first: Run, other: Run) -> dict[str, Any]:
    ours, theirs = _by_prompt(first), _by_prompt(other)
    shared = [prompt for prompt in ours if prompt in theirs]
    bad = [(bool(ours[p].kinds), bool(theirs[p].kinds)) for p in shared]
    return {
        "run": str(other.path),
        "prompts": len(shared),
        "difference": asdict(paired_difference([b for b, _ in bad], [a for _, a in bad])) if shared else None,
        "better": [_change(ours[p], theirs[p]) for p, (before, after) in zip(shared, bad, strict=True) if before and not after],
        "worse": [_change(ours[p], theirs[p]) for p, (before, after) in zip(shared, bad, strict=True) if after and not before],
    }


def _by_prompt(run: Run) -> dict[str, SampledLine]:
    return {json.dumps(sample.attributes, sort_keys=True): sample for sample in run.samples(run.best_step)}


def _change(before: SampledLine, after: SampledLine) -> dict[str, Any]:
    return {
        "attributes": before.attributes,
        "before": {"line": before.line, "violations": list(before.kinds)},
        "after": {"line": after.line, "violations": list(after.kinds)},
    }


def _against_text(pair: dict[str, Any], letter: str) -> list[str]:
    if not pair["prompts"]:
        return [f"\n{letter} against A: they answered no prompt in common"]
    step = figures(pair["difference"], signed=True)
    parts = [f"\n{letter} against A on {pair['prompts']} prompts: violation rate {step}, paired bootstrap"]
    for name in ("better", "worse"):
        parts.append(f"  {name}: {len(pair[name])}")
        for change in pair[name]:
            words = " · ".join(str(value) for value in change["attributes"].values())
            before, after = change["before"], change["after"]
            parts.append(f"    {words}\n      A  {_line(before)}\n      {letter}  {_line(after)}")
    return parts


def _line(side: dict[str, Any]) -> str:
    return side["line"] + (f"  <- {', '.join(side['violations'])}" if side["violations"] else "")


def _columns(values: Sequence[Any]) -> str:
    return "  |  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)


def _letter(index: int) -> str:
    return chr(ord("A") + index)
