"""npc-data checks-report and speech-level, and npc-pref check --explain: figures that can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.checks import check_line, rules_hash
from npc_align.checks_report import checks_report
from npc_align.data_cli import main as npc_data
from npc_align.domain import load_domain, shipped_file
from npc_align.errors import UserError
from preference_data.cli import main as npc_pref

DOMAIN = load_domain("weapon_rental")
CUSTOMER = DOMAIN.probes[1]  # a chatty archer who had a bow
LABELLED: list[dict[str, Any]] = [
    {"line": "사장님, 활 하나 빌려주세요.", "attributes": CUSTOMER, "kinds": []},
    {"line": "사장님, bow 하나 빌려주세요.", "attributes": CUSTOMER, "kinds": ["foreign_text"]},
    {"line": "사장님, 활 하나 빌려주세요!", "attributes": CUSTOMER, "kinds": ["foreign_text"]},  # labelled wrong: a miss
    {"line": "사장님, sword가 좋네요.", "attributes": CUSTOMER, "kinds": []},  # labelled wrong: a false alarm
]
SPOKEN: list[dict[str, Any]] = [
    {"text": "활 주세요. 어서!", "levels": ["해요체", None], "politeness": "존댓말"},
    {"text": "활 주십시오. 빨리 줘.", "levels": ["하십시오체", "해라체"], "politeness": "혼용"},
]


def run(*arguments: Any, **kwargs: Any) -> Result:
    return CliRunner().invoke(npc_data, [str(a) for a in arguments], **kwargs)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_counts_and_shares() -> None:
    report = checks_report([(str(i), row) for i, row in enumerate(LABELLED)], DOMAIN)
    score = report.scores["foreign_text"]
    assert (score.hits, score.false_alarms, score.misses) == (1, 1, 1)
    assert (score.precision, score.recall, score.f1) == (0.5, 0.5, 0.5)
    assert set(report.scores) == {"foreign_text"}
    assert report.macro_f1() == 0.5
    assert (report.good_lines, report.alarmed) == (2, 1)
    assert [entry["where"] for entry in report.disagreements] == ["2", "3"]


def test_confusion_of_levels() -> None:
    report = checks_report([(str(i), row) for i, row in enumerate(SPOKEN)], DOMAIN)
    assert report.levels == {("해요체", "해요체"): 1, ("-", "-"): 1, ("하십시오체", "하십시오체"): 1, ("해라체", "해체"): 1}
    assert report.sides == {("존댓말", "존댓말"): 1, ("혼용", "혼용"): 1}
    assert report.macro_f1() is None
    assert [entry["found"] for entry in report.disagreements] == [["하십시오체", "해체"]]


def test_a_sentence_cut_otherwise_stands_beside_nothing() -> None:
    report = checks_report([("1", {"text": "활 주세요.", "levels": ["해요체", "해요체"]})], DOMAIN)
    assert report.levels == {("해요체", "해요체"): 1, ("해요체", "(none)"): 1}


def test_the_command_prints_every_disagreement(tmp_path: Path) -> None:
    files = write(tmp_path / "lines.jsonl", LABELLED), write(tmp_path / "levels.jsonl", SPOKEN)
    text = run("checks-report", *files).output
    assert "precision  50.0%  recall  50.0%  F1 0.500  (1 found, 1 false alarms, 1 missed)" in text
    assert "good lines accused of anything: 1 of 2" in text
    assert f"{files[0]}:3: labelled foreign_text, found nothing: 사장님, 활 하나 빌려주세요!" in text
    assert "해라체: 해체 1" in text
    data = json.loads(run("checks-report", *files, "--json").stdout)
    assert data["kinds"]["foreign_text"]["f1"] == 0.5
    assert len(data["disagreements"]) == 3


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"line": "활 주세요."}, "a labelled row has"),
        ({"line": "활 주세요.", "kinds": []}, "attributes"),
        ({"line": "활 주세요.", "attributes": CUSTOMER, "kinds": ["rude"]}, "kinds must be a list of tone_break"),
        ({"line": "활 주세요.", "attributes": {"성격": "없는형"}, "kinds": []}, "성격"),
        ({"levels": ["해체"]}, "has a text"),
    ],
)
def test_a_row_that_is_no_label_is_named(row: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match="file:7: ") as raised:
        checks_report([("file:7", row)], DOMAIN)
    assert told in str(raised.value)


def test_speech_level_answers_row_by_row(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes("\ufeff고맙소, 주인장.\r\n\n활 주세요. 빨리 줘.\n활!".encode())
    rows = [json.loads(row) for row in run("speech-level", file, "--json").stdout.splitlines()]
    assert [row["text"] for row in rows] == ["고맙소, 주인장.", "", "활 주세요. 빨리 줘.", "활!"]
    assert [row["politeness"] for row in rows] == ["반말", "판단불가", "혼용", "판단불가"]
    assert rows[2]["sentences"] == [
        {"text": "활 주세요.", "level": "해요체", "start": 0, "end": 6},
        {"text": "빨리 줘.", "level": "해체", "start": 7, "end": 12},
    ]
    assert "해체\t빨리 줘." in run("speech-level", "-", input="빨리 줘.\n").output


def test_speech_level_names_the_row_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes("좋소.\n".encode() + "좋소.\n".encode("cp949"))
    result = run("speech-level", file)
    assert result.exit_code == 1
    assert f"{file}: row 2 is not UTF-8" in result.output
    assert run("speech-level", tmp_path / "none.txt").exit_code == 1


def test_explain_shows_what_the_checks_saw(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl", [{"attributes": CUSTOMER, "line": "bow 빌려주세요."}, {**CUSTOMER, "인사말": "활 주세요."}]
    )
    command = ["check", "--input", str(source), "--output", str(tmp_path / "out.jsonl"), "--explain"]
    text = CliRunner().invoke(npc_pref, command).output
    assert "bow/SL" in text
    assert "bow 빌려주세요. [해요체]" in text
    assert "text: foreign_text 0-3 «bow»" in text
    assert "어긋난 데가 없습니다." in text


def test_a_studio_ignores_a_kind_or_counts_a_level_otherwise_without_code(tmp_path: Path) -> None:
    own = tmp_path / "domain.yaml"
    text = shipped_file("weapon_rental", "domain.yaml").read_text(encoding="utf-8")
    own.write_text(
        text.replace("ignored_kinds: []", "ignored_kinds: [foreign_text]").replace(
            "politeness: {}", "politeness: {하오체: 존댓말}"
        ),
        encoding="utf-8",
    )
    studio = load_domain(str(own))
    unset: dict[str, Any] = {}
    for line, kind in (("bow 하나 빌려주세요.", "foreign_text"), ("반갑소. 활 하나 주세요.", "mixed_speech")):
        assert [v.kind for v in check_line(line, unset, DOMAIN)] == [kind]
        assert check_line(line, unset, studio) == []
    assert rules_hash(studio) != rules_hash(DOMAIN)
