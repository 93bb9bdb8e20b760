"""npc-eval compare and curves on run folders made up here: numbers in, numbers out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from npc_align.errors import UserError
from npc_align.evaluation.compare import compare
from npc_align.evaluation.compare import text as compare_text
from npc_align.evaluation.curves import memory, points, report
from npc_align.evaluation.curves import text as curves_text
from npc_align.evaluation.runs import Run

Sample = tuple[dict[str, Any], str, list[str]]
TONE = ["tone_break"]


def make_run(
    folder: Path,
    losses: Sequence[tuple[int, float | None, float]] = ((1, 2.0, 2.1),),
    samples: dict[int, Sequence[Sample]] | None = None,
    config: dict[str, Any] | None = None,
    best: int | None = None,
) -> Run:
    """A run folder with (step, train loss, held-out loss) rows and samples by step."""
    (folder / "samples").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config or {"seed": 1}), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"inputs": {"corpus": "abc"}, "started": folder.name}), encoding="utf-8")
    rows: list[dict[str, Any]] = []
    for step, train, held_out in losses:
        rows += [{"step": step, "loss": train}] if train is not None else []
        rows.append({"step": step, "epoch": float(step), "eval_loss": held_out, "eval_violation_rate": 0.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for step, lines in (samples or {}).items():
        records = [{"attributes": a, "line": line, "finished": True, "violations": kinds} for a, line, kinds in lines]
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (folder / "samples" / f"step-{step:06d}.jsonl").write_text(text, encoding="utf-8")
    if best is not None:
        (folder / "result.json").write_text(json.dumps({"best_checkpoint": f"checkpoint-{best}"}), encoding="utf-8")
    return Run.read(str(folder))


def test_signs_are_those_of_the_strategy_note(tmp_path: Path) -> None:
    note = [(0, None, 4.0), (1, 1.5, 1.6), (2, 1.2, 1.3), (3, 0.8, 1.1), (5, 0.3, 1.5)]
    run = make_run(tmp_path / "run", note)
    assert [point.sign for point in points(run)] == ["ok", "ok", "ok", "watch", "overfitting"]
    assert [point.train_loss for point in points(run)] == [None, 1.5, 1.2, 0.8, 0.3]


def test_train_loss_is_the_mean_since_the_evaluation_before(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = [{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}, {"step": 2, "epoch": 1.0, "eval_loss": 3.0}]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert [point.train_loss for point in points(Run.read(str(run.path)))] == [3.0]


def test_memorisation_counts_lines_and_sentences_word_for_word(tmp_path: Path) -> None:
    training = ["잘 지내셨어요? 오늘은 날이 좋네요.", "문이 무겁네요."]
    lines: list[Sample] = [
        ({}, "잘 지내셨어요?  오늘은 날이 좋네요.", []),  # a training line but for white space
        ({}, "문이 무겁네요. 오늘은 비가 오네요.", []),  # one sentence of two
    ]
    run = make_run(tmp_path / "run", samples={1: lines}, best=1)
    (step,), near = memory(run, training)
    assert (step.lines, step.sentences) == (0.5, 0.75)
    assert [n["training"] for n in near] == ["문이 무겁네요."]
    assert 0 < near[0]["likeness"] < 1


def test_the_report_marks_the_checkpoint_that_became_the_adapter(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(1, 2.0, 2.1), (2, 1.5, 2.0)], {1: [({}, "가요.", [])], 2: [({}, "와요.", [])]}, best=2)
    rows = curves_text(report(run, ["와요."])).splitlines()
    assert [row for row in rows if "<- adapter/" in row] == [row for row in rows if row.split()[:2] == ["2", "2.00"]]


def test_compare_finds_what_was_set_differently_and_which_lines_changed(tmp_path: Path) -> None:
    a, b, c = ({"x": name} for name in "abc")
    first = make_run(
        tmp_path / "a", samples={1: [(a, "가", TONE), (b, "나", []), (c, "다", TONE)]},
        config={"seed": 1, "optim": {"lr": 0.1}, "output_dir": "a"}, best=1,
    )  # fmt: skip
    second = make_run(
        tmp_path / "b", samples={1: [(a, "갸", []), (b, "냐", TONE), (c, "댜", TONE)]},
        config={"seed": 1, "optim": {"lr": 0.2, "new": True}, "output_dir": "b"}, best=1,
    )  # fmt: skip
    found = compare([first, second])
    assert found["differences"] == {"optim.lr": [0.1, 0.2], "optim.new": ["-", True]}
    (pair,) = found["against_first"]
    assert pair["prompts"] == 3
    assert pair["difference"]["value"] == 0
    assert [change["after"]["line"] for change in pair["better"]] == ["갸"]
    assert [change["after"]["line"] for change in pair["worse"]] == ["냐"]
    assert "냐  <- tone_break" in compare_text(found)


def test_runs_without_a_prompt_in_common_say_so(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", samples={1: [({"x": 1}, "가", [])]}, best=1)
    second = make_run(tmp_path / "b", samples={1: [({"x": 2}, "가", [])]}, best=1)
    assert "no prompt in common" in compare_text(compare([first, second]))


def test_before_it_has_finished_the_best_so_far_counts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [(0, None, 1.0), (5, 2.0, 2.2), (10, 1.5, 2.1)])
    assert run.best_step == 10


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.yaml, manifest\.json, metrics\.jsonl in it"):
        Run.read(str(tmp_path))
