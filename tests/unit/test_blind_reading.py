"""Blind reading: the sample tells no model, every cell has an equal share, and what readers said finds its way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_evaluation import made_evaluation

from npc_align.corpus import read_jsonl, write_jsonl
from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.evaluation.folder import CellName, Result
from npc_align.evaluation.read_cli import readable
from npc_align.evaluation.reading import draw, score, usual_cells

PROMPTS = load_domain("weapon_rental").draw(6, 5)
CELLS = [CellName("sft", "default"), CellName("dpo", "default")]
SAID = {"sft": [f"{i}번째 인사입니다." for i in range(6)], "dpo": [f"{i}번째로 왔어." for i in range(5)] + [""]}


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return made_evaluation(tmp_path, PROMPTS, {"base": ["x"] * 6, **SAID})


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)]


def test_the_sample_is_blind_and_equal(tmp_path: Path, result: Result) -> None:
    assert usual_cells(result) == CELLS
    home = draw(tmp_path, result, CELLS, 4, seed=0)
    shown = rows(home / "sample.jsonl")
    assert len(shown) == 8
    assert all(row.keys() == {"attributes", "line", "key"} for row in shown)
    drawn = json.loads((home / "drawn.json").read_text())["lines"]
    assert {model: sum(e["model"] == model for e in drawn) for model in SAID} == {"sft": 4, "dpo": 4}
    assert [row["key"] for row in shown] != [entry["key"] for entry in drawn]
    assert draw(tmp_path, result, CELLS, 4, seed=0) == home
    assert draw(tmp_path, result, CELLS, 4, seed=1) != home
    with pytest.raises(UserError, match="has 6 prompts"):
        draw(tmp_path, result, CELLS, 7, seed=0)


def test_an_empty_line_is_shown_as_such(tmp_path: Path, result: Result) -> None:
    home = draw(tmp_path, result, CELLS, 6, seed=0)
    assert [row["line"] for row in rows(home / "sample.jsonl")].count("(빈 대사)") == 1


def test_the_same_line_of_two_models_is_read_once(tmp_path: Path) -> None:
    result = made_evaluation(tmp_path, PROMPTS, {"sft": ["또 왔어요."] * 6, "dpo": ["또 왔어요."] * 6})
    home = draw(tmp_path, result, CELLS, 6, seed=0)
    shown = rows(home / "sample.jsonl")
    assert len(shown) == 6
    write_jsonl(home / "judged.jsonl", [said(shown[0]["key"], "민지", "good")])
    assert [cell["read"] for cell in score(tmp_path, home)["cells"]] == [1, 1]


def said(key: str, reader: str, verdict: str) -> dict[str, Any]:
    return {"key": key, "reader": reader, "verdict": verdict, "reasons": [], "hints": False}


def test_rates_are_joined_by_key(tmp_path: Path, result: Result) -> None:
    home = draw(tmp_path, result, CELLS, 4, seed=0)
    drawn = json.loads((home / "drawn.json").read_text())["lines"]
    keys = {model: [e["key"] for e in drawn if e["model"] == model] for model in SAID}
    first = [said(key, "민지", "good") for key in keys["dpo"]] + [said(key, "민지", "fix") for key in keys["sft"]]
    second = [said(keys["dpo"][0], "하준", "bad"), said(keys["sft"][0], "하준", "bad"), said(keys["sft"][1], "하준", "skip")]
    write_jsonl(home / "judged.jsonl", first + second)
    found = score(tmp_path, home)
    assert found == json.loads((tmp_path / "readings.json").read_text(encoding="utf-8"))
    assert found["readers"] == ["민지", "하준"]
    sft, dpo = found["cells"]
    assert (sft["read"], sft["good"]["value"]) == (4, 0.0)
    assert (dpo["read"], dpo["good"]["value"]) == (4, 0.875)  # one of four lines is good to one of two readers
    assert dpo["by_reader"]["민지"]["value"] == 1.0
    (step,) = found["differences"]
    assert (step["first"]["model"], step["second"]["model"], step["value"], step["prompts"]) == ("sft", "dpo", 0.875, 4)
    assert (found["agreement"]["lines"], found["agreement"]["same"]["value"]) == (2, 0.5)
    assert {"model": "sft", "decoding": "default", "reader": "하준", "verdict": "bad"}.items() <= found["lines"][1].items()
    assert "dpo/default - sft/default" in readable(found)


def test_nothing_read_is_no_rate(tmp_path: Path, result: Result) -> None:
    found = score(tmp_path, draw(tmp_path, result, CELLS, 2, seed=0))
    assert [cell["good"] for cell in found["cells"]] == [None, None]
    assert found["agreement"] is None
    assert readable(found) == "nothing has been read yet"
    assert not (tmp_path / "readings.json").exists()


def test_an_unread_sample_leaves_anothers_readings(tmp_path: Path, result: Result) -> None:
    home = draw(tmp_path, result, CELLS, 2, seed=0)
    shown = [row for _, row in read_jsonl(home / "sample.jsonl")]
    write_jsonl(home / "judged.jsonl", [said(shown[0]["key"], "민지", "good")])
    score(tmp_path, home)
    score(tmp_path, draw(tmp_path, result, CELLS, 2, seed=1))
    assert json.loads((tmp_path / "readings.json").read_text(encoding="utf-8"))["readers"] == ["민지"]


def test_one_command_draws_shows_and_scores(
    tmp_path: Path, result: Result, clean_environment: dict[str, str], root: Path
) -> None:
    command = [sys.executable, "-m", "npc_align.evaluation.cli", "read", str(tmp_path), "--count", "3", "--annotator", "민지"]
    environment = clean_environment | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [*command, "--plain", "--json"], input="1\n2\nq\n", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "readings.json").read_text(encoding="utf-8"))
    assert [line["verdict"] for line in found["lines"]].count("good") == 1
    assert sum(cell["read"] for cell in found["cells"]) == 2
    shown = done.stdout + done.stderr
    assert f"npc-eval read {tmp_path} --count 3 --seed 0 --annotator 민지" in shown
    assert "npc-pref label" not in shown
    again = subprocess.run([*command, "--score"], env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "민지" in again.stdout
    assert "2 lines read" in again.stdout or again.stdout.count("1 lines read") == 2
