"""Drift of a run from where it began: the figures, the bounds, and the start that a resumed run finds again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState

from npc_align.training.config import DriftSection
from npc_align.training.drift import DriftWatch, crossed, drift

START = {"eval_loss": 1.0, "eval_logps/chosen": -50.0, "eval_mean_length": 20.0, "eval_distinct_lines": 0.8}


def test_each_figure_is_measured_against_the_start() -> None:
    now = {"eval_logps/chosen": -62.0, "eval_mean_length": 15.0, "eval_distinct_lines": 0.6}
    assert drift(START, now) == pytest.approx({"displacement": 12.0, "length_drift": -0.25, "diversity_loss": 0.25})


def test_what_a_stage_does_not_measure_has_no_drift() -> None:
    assert drift({"eval_mean_length": 20.0}, START) == {"length_drift": 0.0}


@pytest.mark.parametrize(
    ("found", "section", "names"),
    [
        ({"displacement": 16.0}, DriftSection(), ["displacement"]),
        ({"displacement": -16.0}, DriftSection(), []),  # the chosen lines became likelier
        ({"displacement": 16.0}, DriftSection(displacement=None), []),
        ({"length_drift": -0.6}, DriftSection(), ["length"]),
        ({"length_drift": 0.6, "diversity_loss": 0.6}, DriftSection(), ["length", "diversity"]),
        ({"diversity_loss": -0.6}, DriftSection(), []),
    ],
)
def test_bounds(found: dict[str, float], section: DriftSection, names: list[str]) -> None:
    assert [f"drift.{name}=" in text for name, text in zip(names, crossed(found, section), strict=True)] == [True] * len(names)


def watch(folder: Path, rows: list[dict[str, float]], start: dict[str, float] | None = None) -> tuple[TrainerControl, list[int]]:
    """Log the rows through a watch; the control, and the rows (by number) at which it wanted to stop."""
    control, stopped = TrainerControl(), []
    callback = DriftWatch(DriftSection(), folder / "metrics.jsonl", start)
    for number, row in enumerate(rows):
        callback.on_log(None, TrainerState(), control, row)
        if control.should_training_stop and not stopped:
            stopped.append(number)
    return control, stopped


def test_the_run_stops_at_a_bound_and_its_figures_are_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [dict(START), {"loss": 9.0}, {**START, "eval_mean_length": 25.0}, {**START, "eval_mean_length": 31.0}]
    _, stopped = watch(tmp_path, rows)
    assert stopped == [3]
    assert [row.get("eval_length_drift") for row in rows] == pytest.approx([0.0, None, 0.25, 0.55])
    assert "length_drift +0.55 is beyond drift.length=0.5" in capsys.readouterr().out


def test_a_resumed_run_is_measured_against_its_own_beginning(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 0, **START}) + "\n", encoding="utf-8")
    rows = [{**START, "eval_mean_length": 40.0}]
    assert watch(tmp_path, rows)[1] == [0]


def test_sft_is_measured_against_what_its_lines_should_be_like(tmp_path: Path) -> None:
    rows = [{"eval_loss": 1.0, "eval_mean_length": 20.0, "eval_distinct_lines": 0.4}]
    assert watch(tmp_path, rows, {"eval_mean_length": 20.0, "eval_distinct_lines": 1.0})[1] == [0]
