"""An evaluation folder with figures that are known beforehand, and a run folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from npc_align.domain import load_domain
from npc_align.evaluation.folder import JUDGES as JUDGES_FILE
from npc_align.evaluation.folder import READINGS as READINGS_FILE
from npc_align.evaluation.folder import (
    Cell,
    CellName,
    ChosenOn,
    Difference,
    Headline,
    JudgedLine,
    ModelScore,
    Result,
    Tried,
    lines_file,
    lines_hash,
    read_result,
    write_part,
    write_result,
    write_stored,
)
from npc_align.evaluation.folder import StoredLines as Stored
from npc_align.evaluation.reading import sample_id
from npc_align.evaluation.statistics import Interval, wilson

DOMAIN = load_domain("weapon_rental")
PROMPTS = DOMAIN.draw(24, 3)
# Of each model's 24 lines, so many are bad, all of one kind.
BAD = {"base": (24, "prompt_leak"), "sft": (6, "tone_break"), "dpo": (3, "length")}


def fault(kind: str, start: int = 0, end: int = 2, message: str = "까닭") -> dict[str, Any]:
    return {"kind": kind, "start": start, "end": end, "message": message}


def made_up_lines(model: str) -> list[JudgedLine]:
    bad, kind = BAD[model]
    return [
        JudgedLine(prompt, f"{model}의 {i}번째 대사입니다.", True, [fault(kind)] if i < bad else [])
        for i, prompt in enumerate(PROMPTS)
    ]


def make_evaluation(
    folder: Path,
    cells: Sequence[tuple[str, str]] = (("base", "default"), ("sft", "default"), ("sft", "cool"), ("dpo", "default")),
    gap: Interval | None = None,
    lines: Mapping[str, list[JudgedLine]] | None = None,
    paths: Mapping[str, str] | None = None,
    figures: Mapping[str, Mapping[str, Any]] | None = None,
    also: Sequence[str] = (),
) -> Path:
    """Write result.json and lines. `lines` replaces a model's made-up ones, `paths` where its weights lie, `figures` some of its summaries'
    figures; `also` are other names of every decoding.
    """
    made = []
    for model, decoding in cells:
        spoken = (lines or {}).get(model) or made_up_lines(model)
        write_stored(folder / lines_file(model, decoding), Stored("key", "rules", spoken))
        summary = _summary(spoken) | dict((figures or {}).get(model, {}))
        knobs = {} if decoding == "default" else {"temperature": 0.3}
        made.append(Cell(model, decoding, 64, knobs, lines_file(model, decoding), summary, list(also)))
    models = {model: ModelScore((paths or {}).get(model, "nowhere"), 2.5, 12.18) for model, _ in cells}
    difference = Difference(CellName("sft", "default"), CellName("dpo", "default"), -0.125, -0.25, 0.0)
    differences = [difference] if {"sft", "dpo"} <= set(models) else []
    versions = {"torch": "9.9"}
    write_result(
        folder,
        Result(24, "0123abcd", "test", "feedbeef", versions, "weapon_rental", None, models, made, differences, _headline(gap)),
    )
    return folder


def _summary(lines: Sequence[JudgedLine]) -> dict[str, Any]:
    total = len(lines)
    kinds = Counter(kind for line in lines for kind in {v["kind"] for v in line.violations})
    return {
        "prompts": total,
        "violations": vars(wilson(sum(line.bad for line in lines), total)),
        "by_kind": {kind: vars(wilson(count, total)) for kind, count in kinds.items()},
        "end_of_text": vars(wilson(total, total)),
        "distinct_lines": 0.875,
        "distinct_openings": 0.375,
        "distinct_1": 0.21,
        "distinct_2": 0.63,
        "mean_length": 33.3,
    }


def _headline(gap: Interval | None) -> Headline | None:
    if gap is None:
        return None
    chosen = ChosenOn("validation", 96, wilson(9, 96), 2, [Tried("cool", 64, {"temperature": 0.3}, wilson(9, 96))])
    return Headline("dpo", "sft", "cool", chosen, gap)


def make_run(folder: Path, best: int = 20) -> Path:
    """A finished DPO-like run: two evaluations, the greedy lines of two steps with the probes first."""
    (folder / "samples").mkdir(parents=True)
    rows: list[dict[str, Any]] = [{"step": s, "loss": 3 - s / 20, "epoch": s / 10} for s in range(1, 21)]
    rows += [
        {"step": s, "eval_loss": 2.0, "eval_violation_rate": 2 / s, "eval_distinct_lines": 0.9, "eval_displacement": 0.37}
        for s in (10, 20)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "config.yaml").write_text("optim: {learning_rate: 2.0e-05}\n", encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"seed": 42, "inputs": {"base": "cafe"}}), encoding="utf-8")
    (folder / "result.json").write_text(json.dumps({"best_checkpoint": f"checkpoint-{best}"}), encoding="utf-8")
    for step in (10, 20):
        asked = [*DOMAIN.probes, PROMPTS[0]]
        said = [{"attributes": a, "line": f"스텝 {step} client님", "finished": True, "violations": []} for a in asked]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in said)
        (folder / "samples" / f"step-{step:06d}.jsonl").write_text(text, encoding="utf-8")
    return folder


# judges.json but for what it is of: `write_judges` adds that.
JUDGES: dict[str, Any] = {
    "judges": {
        "unknown_words": {
            "title": "Words unknown to the corpus and to Kiwi",
            "what": "말뭉치에 없는 낱말이 든 대사의 비율",
            "better": "lower",
            "unit": "share",
            "accuracy": {"value": 0.87, "low": 0.81, "high": 0.92, "on": "test split, 420 lines"},
            "reference": {"value": 0.006, "low": 0.002, "high": 0.021, "on": "335 test lines of the corpus"},
            "cells": [{"model": "dpo", "decoding": "default", "rate": {"value": 0.054, "low": 0.03, "high": 0.09}}],
            "differences": [],
        },
        "personality_classifier": {
            "title": "Lines recognised as the prompt's personality",
            "what": "성격을 알아본 대사의 비율",
            "better": "higher",
            "unit": "share",
            "accuracy": {"value": 0.907, "low": 0.872, "high": 0.934, "on": "test split, 335 lines"},
            "reference": None,
            "cells": [{"model": "dpo", "decoding": "default", "rate": {"value": 0.88, "low": 0.84, "high": 0.91}}],
            "differences": [],
        },
        "a_judge_of_tomorrow": {
            "title": "자연스러움",
            "what": "토큰당 로그확률",
            "better": "higher",
            "unit": "mean",
            "accuracy": None,
            "reference": {"value": -3.42, "low": -3.55, "high": -3.29, "on": "60 test lines of the corpus"},
            "cells": [{"model": "dpo", "decoding": "default", "rate": {"value": -3.81, "low": -3.9, "high": -3.7}}],
            "differences": [
                {
                    "first": {"model": "sft", "decoding": "default"},
                    "second": {"model": "dpo", "decoding": "default"},
                    "value": 0.11,
                    "low": -0.02,
                    "high": 0.24,
                }
            ],
        },
    },
    "skipped": {"counterfactual_result": "needs an SFT run of another seed; run: npc-eval judge … --seed-model runs/sft-seed43"},
}


def write_judges(folder: Path, judges: Mapping[str, Any] = JUDGES) -> None:
    """Write judges.json, of the folder's lines as they are now."""
    write_part(folder, JUDGES_FILE, {"of": lines_hash(folder, read_result(folder)), **judges})


READINGS = {
    "seed": 0,
    "count": 1,
    "readers": ["민지"],
    "cells": [{"model": "dpo", "decoding": "default", "read": 60, "good": {"value": 0.75, "low": 0.63, "high": 0.84}}],
    "lines": [
        {"model": "dpo", "decoding": "default", "index": 0, "reader": "민지", "verdict": "bad", "reasons": ["tone_break"]},
        {"model": "dpo", "decoding": "default", "index": 1, "reader": "민지", "verdict": "good", "reasons": []},
    ],
}


def write_readings(folder: Path, readings: Mapping[str, Any] = READINGS) -> None:
    """Write readings.json, of the folder's lines as they are now."""
    names = [CellName(cell["model"], cell["decoding"]) for cell in readings["cells"]]
    sample = sample_id(folder, read_result(folder), names, readings["count"], readings["seed"])
    write_part(folder, READINGS_FILE, {"sample": sample, **readings})
