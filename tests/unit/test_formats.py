"""Preference rows in other tools' forms, held against what these tools document."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from npc_align.errors import UserError
from preference_data import formats
from preference_data.formats import write
from preference_data.options import EXPORT_FORMATS

PROMPT = "### User:\n나이: 30대\n\n### Assistant:\n"
ROWS: list[dict[str, Any]] = [
    {
        "prompt": PROMPT,
        "chosen": chosen,
        "rejected": rejected,
        "attributes": {"나이": "30대"} if number else {"나이": "30대", "성별": "여성"},
        "reasons": ["tone_break"],
        "rejected_finished": True,
        "chosen_origin": {"kind": "corpus", "id": f"c:{number}"},
        "rejected_origin": {"kind": "sampled", "seed": number} if number else {"kind": "corrupted", "rule": "cut"},
        "group": "g1",
        "judge": judge,
    }
    for number, (chosen, rejected, judge) in enumerate(
        [
            ("좋은 아침입니다.", "=HYPERLINK()", "auto"),
            ("좋은 아침입니다.", "-라고?", "민지"),
            ("그저 그래요.", "나빠요, 정말\n나빠요.", "민지"),
            ("좋은 아침입니다.", "그저 그래요.", "auto"),
        ]
    )
]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- TRL: https://huggingface.co/docs/trl/dataset_formats


def by_line(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Label by completion; every line once."""
    assert len({row["completion"] for row in rows}) == len(rows)
    assert {row["prompt"] for row in rows} == {PROMPT}
    return {row["completion"]: row["label"] for row in rows}


def alone(line: str, good: bool, **others: Any) -> dict[str, Any]:
    """A line that a person judged by itself."""
    row: dict[str, Any] = {**ROWS[0], "judge": "person", "chosen": None, "rejected": None, "chosen_origin": None}
    side = "chosen" if good else "rejected"
    return {**row, "rejected_origin": None, side: line, f"{side}_origin": {"kind": "imported"}, **others}


def test_kto_has_every_line_once_and_what_people_compared_outweighs_the_rules(tmp_path: Path) -> None:
    assert write(ROWS, tmp_path / "kto.jsonl", "kto") == 5
    assert by_line(rows_of(tmp_path / "kto.jsonl")) == {
        "좋은 아침입니다.": True,
        "=HYPERLINK()": False,
        "-라고?": False,
        "그저 그래요.": True,  # the rules' pairs reject it, a person chose it
        "나빠요, 정말\n나빠요.": False,
    }


def test_kto_is_not_told_that_a_line_ends_where_it_was_cut_off() -> None:
    rows = [{**ROWS[0], "rejected_finished": False}, *ROWS[1:]]
    assert by_line(formats.to_kto(ROWS)).keys() - by_line(formats.to_kto(rows)).keys() == {ROWS[0]["rejected"]}


def test_a_line_that_won_one_comparison_and_lost_another_is_no_kto_line_but_may_be_learnt() -> None:
    rows = [*ROWS[1:3], {**ROWS[2], "chosen": "좋은 아침입니다.", "rejected": "그저 그래요."}]
    assert "그저 그래요." not in by_line(formats.to_kto(rows))
    assert {"prompt": PROMPT, "completion": "그저 그래요.", "group": "g1"} in formats.to_sft(rows)


def test_what_was_said_of_a_line_by_itself_outweighs_every_comparison() -> None:
    rows = [*ROWS, alone("-라고?", True), alone("좋은 아침입니다.", False), alone("새 대사.", True), alone("헌 대사.", False)]
    labels = by_line(formats.to_kto(rows))
    assert (labels["-라고?"], labels["좋은 아침입니다."], labels["새 대사."], labels["헌 대사."]) == (True, False, True, False)
    assert {row["completion"] for row in formats.to_sft(rows)} == {"-라고?", "그저 그래요.", "새 대사."}
    disputed = [*rows, alone("새 대사.", False)]
    assert "새 대사." not in by_line(formats.to_kto(disputed))
    assert "새 대사." not in {row["completion"] for row in formats.to_sft(disputed)}
    other = alone("새 대사.", False, prompt="### User:\n나이: 20대\n\n### Assistant:\n")
    assert {"prompt": PROMPT, "completion": "새 대사.", "label": True, "group": "g1"} in formats.to_kto([*rows, other])


def test_neighbours_in_a_kto_file_seldom_have_the_same_prompt() -> None:
    rows = [{**ROWS[0], "prompt": f"{n}", "chosen": f"좋은 {n}", "rejected": f"나쁜 {n}"} for n in range(200)]
    prompts = [row["prompt"] for row in formats.to_kto(rows)]
    assert sum(a == b for a, b in pairwise(prompts)) < 10
    assert formats.to_kto(rows) == formats.to_kto(rows[::-1])


def test_sft_has_every_chosen_line_once() -> None:
    assert formats.to_sft(ROWS) == [
        {"prompt": PROMPT, "completion": "좋은 아침입니다.", "group": "g1"},
        {"prompt": PROMPT, "completion": "그저 그래요.", "group": "g1"},
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("format", "columns"),
    [
        ("dpo", {"prompt": "string", "chosen": "string", "rejected": "string"}),
        ("kto", {"prompt": "string", "completion": "string", "label": "bool"}),
        ("sft", {"prompt": "string", "completion": "string"}),
    ],
)
def test_datasets_loads_what_trl_trains_on(tmp_path: Path, format: str, columns: dict[str, str], suffix: str) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra [train] is missing: TRL's forms were NOT loaded")
    count = write(ROWS, tmp_path / f"rows.{suffix}", format)
    kind = "json" if suffix == "jsonl" else "parquet"
    loaded = datasets.load_dataset(
        kind, data_files=str(tmp_path / f"rows.{suffix}"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == count
    # Parquet's own reader may say large_string, which is the same text.
    assert {name: loaded.features[name].dtype.removeprefix("large_") for name in columns} == columns
    expected = formats.CONVERTERS[format](ROWS)
    assert [{name: row[name] for name in columns} for row in loaded] == [
        {name: row[name] for name in columns} for row in expected
    ]


# --- Argilla 2.8: https://docs.argilla.io/latest/reference/argilla/records/records/ (Record.from_dict), the settings of
# https://docs.argilla.io/latest/reference/argilla/settings/settings/ (Settings.for_ranking), and the server's limits on names in
# https://github.com/argilla-io/argilla/blob/main/argilla-server/src/argilla_server/api/schemas/v1/suggestions.py


def check_argilla(record: dict[str, Any]) -> None:
    assert set(record) <= {"id", "fields", "metadata", "suggestions", "responses", "vectors"}
    assert isinstance(record["id"], str)
    assert set(record["fields"]) == {"instruction", "response1", "response2"}
    assert all(isinstance(text, str) and text for text in record["fields"].values())
    for name, value in record["metadata"].items():
        assert re.fullmatch(r"(?=.*[a-z0-9])[a-z0-9_-]+", name)
        assert isinstance(value, str | int | float) or all(isinstance(term, str) for term in value)
    (suggestion,) = record["suggestions"].values()
    assert set(record["suggestions"]) == {"ranking"}
    assert set(suggestion) <= {"value", "score", "agent", "type"}
    assert sorted(suggestion["value"]) == ["response1", "response2"]
    assert re.fullmatch(r"(?=.*[a-zA-Z0-9])[a-zA-Z0-9-_:./\s]+", suggestion["agent"])
    assert suggestion["type"] in ("model", "human")


def test_argilla_records_keep_to_its_schema_and_say_who_won(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "pairs.jsonl", "argilla")
    records = rows_of(tmp_path / "pairs.jsonl")
    for record, row in zip(records, ROWS, strict=True):
        check_argilla(record)
        suggestion = record["suggestions"]["ranking"]
        assert [record["fields"][name] for name in suggestion["value"]] == [row["chosen"], row["rejected"]]
        assert suggestion["type"] == ("model" if row["judge"] == "auto" else "human")
        assert record["metadata"]["judge"] == row["judge"]
    assert len({record["id"] for record in records}) == len(ROWS)


# --- Label Studio: https://labelstud.io/templates/pairwise_comparison (names), https://labelstud.io/guide/task_format (tasks),
# https://labelstud.io/guide/predictions. That to_name has to be the first of the two texts is what label_studio_sdk 2.1's
# LabelInterface.validate_prediction asks for.


def check_label_studio(task: dict[str, Any]) -> None:
    assert set(task) <= {"data", "annotations", "predictions"}
    assert {"text1", "text2"} <= set(task["data"])
    results = task.get("annotations", []) + task.get("predictions", [])
    assert len(results) == 1
    assert all(isinstance(prediction["model_version"], str) for prediction in task.get("predictions", []))
    (region,) = results[0]["result"]
    assert isinstance(region.pop("id"), str)
    assert region.pop("value")["selected"] in ("left", "right")
    assert region == {"from_name": "pw", "to_name": "text1", "type": "pairwise"}


def test_label_studio_tasks_keep_to_its_schema_and_say_who_won(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "pairs.json", "label-studio")
    for task, row in zip(json.loads((tmp_path / "pairs.json").read_text(encoding="utf-8")), ROWS, strict=True):
        results = task["predictions"] if row["judge"] == "auto" else task["annotations"]
        selected = results[0]["result"][0]["value"]["selected"]
        sides = ("text1", "text2") if selected == "left" else ("text2", "text1")
        assert [task["data"][side] for side in sides] == [row["chosen"], row["rejected"]]
        check_label_studio(task)


def test_where_a_line_stands_does_not_tell_whether_it_was_chosen() -> None:
    many = [{**ROWS[0], "chosen": f"{number}번", "rejected": f"{number}번?"} for number in range(400)]
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in many]
    lefts = [task["data"]["text1"] for task in formats.to_label_studio(many)]
    assert lefts == [task["data"]["text1"] for task in formats.to_label_studio(turned)]
    assert 150 < sum(left == row["chosen"] for left, row in zip(lefts, many, strict=True)) < 250
    fields = [record["fields"]["response1"] for record in formats.to_argilla(many)]
    assert fields == lefts


# --- Spreadsheets: https://owasp.org/www-community/attacks/CSV_Injection


def test_a_spreadsheet_shows_korean_and_runs_nothing(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "pairs.csv", "csv")
    assert (tmp_path / "pairs.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["나이", "성별", "chosen", "rejected"]
    assert [row["rejected"] for row in rows] == ["'=HYPERLINK()", "'-라고?", "나빠요, 정말\n나빠요.", "그저 그래요."]
    assert [row["성별"] for row in rows] == ["여성", "", "", ""]
    assert rows[0]["rejected_origin"] == "corrupted"
    write([*ROWS, alone("좋다.", True)], tmp_path / "alone.csv", "csv")
    with (tmp_path / "alone.csv").open(encoding="utf-8-sig", newline="") as file:
        (*_, single) = csv.DictReader(file)
    assert (single["chosen"], single["rejected"], single["rejected_origin"]) == ("좋다.", "", "")
    for text in ("+1", "@SUM(A1)", "\t=1", "＝1"):
        assert formats.safe_cell(text) == f"'{text}"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    cases = [
        (ROWS, "pairs.csv", "xml", "there are: dpo, kto"),
        (ROWS, "pairs.jsonl", "csv", r"written to \.csv"),
        ([], "pairs.csv", "csv", "npc-pref pair"),
    ]
    for rows, name, format, message in cases:
        with pytest.raises(UserError, match=message):
            write(rows, tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []
    write(ROWS, tmp_path / "pairs.csv", "csv")
    before = (tmp_path / "pairs.csv").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write([ROWS[0], {**ROWS[1], "chosen": "\ud800"}], tmp_path / "pairs.csv", "csv")
    assert (tmp_path / "pairs.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


def test_every_format_that_help_names_can_be_written() -> None:
    assert set(formats.CONVERTERS) == set(EXPORT_FORMATS)
