"""The evaluation folder: what was written is read back; what is missing or damaged is said, not guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npc_align.errors import UserError
from npc_align.evaluation.folder import (
    JUDGES,
    NAME,
    RESULT,
    Cell,
    CellName,
    ChosenOn,
    Difference,
    Headline,
    JudgedLine,
    ModelScore,
    Result,
    StoredLines,
    Tried,
    lines_file,
    read_lines,
    read_part,
    read_result,
    read_stored,
    write_part,
    write_result,
    write_stored,
)
from npc_align.evaluation.statistics import Interval

RATE = Interval(0.1, 0.05, 0.2)
CELL = Cell("sft", "ollama", 64, {"do_sample": True}, lines_file("sft", "ollama"), {"prompts": 2}, ["other-name"])
TRIED = Tried("default", 64, {}, RATE)
RESULT_OF_TWO = Result(
    prompts=2, prompts_hash="00", split="test", rules="11", versions={"torch": "2"}, domain="weapon_rental", corpus=None,
    models={"sft": ModelScore("runs/sft", 2.0, 7.389)}, cells=[CELL],
    differences=[Difference(CellName("sft", "default"), CellName("dpo", "default"), -0.1, -0.2, 0.0)],
    headline=Headline("dpo", "sft", "default", ChosenOn("validation", 96, RATE, 1, [TRIED]), Interval(-0.01, -0.02, 0.0)),
)  # fmt: skip


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_result(tmp_path, RESULT_OF_TWO)
    assert read_result(tmp_path) == RESULT_OF_TWO
    assert read_result(tmp_path).cell("sft", "other-name") == CELL
    assert read_result(tmp_path).cell("sft", "vllm") is None


def test_no_result_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="npc-eval grid"):
        read_result(tmp_path)


def test_a_result_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(json.dumps({"models": {"sft": {"violations": {}}}}))
    with pytest.raises(UserError, match="not of this version's form"):
        read_result(tmp_path)


def test_lines_come_back_and_half_a_file_does_not(tmp_path: Path) -> None:
    lines = [
        JudgedLine({"나이": "10대"}, "어서 오세요\u2028", True, [{"kind": "length", "start": 0, "end": 2, "message": "짧음"}])
    ]
    path = tmp_path / CELL.lines
    write_stored(path, StoredLines("k", "r", lines))
    assert read_lines(tmp_path, CELL) == lines
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert read_stored(path) is None
    with pytest.raises(UserError, match=r"ollama\.jsonl"):
        read_lines(tmp_path, CELL)


def test_judges_are_there_or_not(tmp_path: Path) -> None:
    assert read_part(tmp_path, JUDGES) is None
    write_part(tmp_path, JUDGES, {"judges": {}})
    assert read_part(tmp_path, JUDGES) == {"judges": {}}
    (tmp_path / JUDGES).write_text("{")
    with pytest.raises(UserError, match=JUDGES):
        read_part(tmp_path, JUDGES)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "모델", ".hidden"])
def test_names_that_are_no_file_names_are_no_names(name: str) -> None:
    assert not NAME.fullmatch(name)
    assert NAME.fullmatch("llama.cpp")
