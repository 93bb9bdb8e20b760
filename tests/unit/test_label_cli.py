"""`npc-pref label` as a command: plain prompts where nothing can be drawn, and what it says of a wrong start."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from label_store import labelled_store

from npc_align.cli import FriendlyGroup
from npc_align.corpus import write_jsonl
from preference_data.judgements import Judgement, Reason, current
from preference_data.label_cli import label
from preference_data.read_cli import read
from preference_data.store import Store
from preference_data.tasks import open_tasks

main = FriendlyGroup("npc-pref", commands={"label": label})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = labelled_store(tmp_path, pairs=6, lines=3)
    yield made
    made.close()


def run(store: Store, typed: str, *arguments: str) -> Result:
    command = ["label", "--store", str(store.path), "--annotator", "min", *arguments]
    return CliRunner().invoke(main, command, input=typed)


def said(store: Store) -> list[Judgement]:
    events = sorted(current(store).values(), key=lambda event: event.at)
    return [event.judgement for event in events if event.judgement is not None]


def test_plain_prompts_make_the_same_judgements(store: Store) -> None:
    result = run(store, "1\n0\nㅠ\ns\nu\nf\n2\n가\nz\n?\nq\n", "--plain")
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"✓ 저장됨 \d", result.output)) == 5
    judgements = said(store)
    assert [judgement.choice for judgement in judgements[1:3]] == ["tie", "both_bad"]
    assert [judgement.flag for judgement in judgements] == [False, False, False, True]
    for text in ("한글이 입력되었습니다", "뜻이 없는 키입니다", "검사기의 힌트", "이번에 판정한 4개가"):
        assert text in result.output


def test_plain_prompts_take_edits_and_reasons(store: Store) -> None:
    shown = run(store, "", "--plain").output
    start = next(row for row in shown.splitlines() if row.startswith("A: "))[3:].index("번째")
    result = run(store, "e\n2\n고친 대사.\nr\n1\n4\n번째\nr\n1\n1\n없는 곳\nr\n2\n2\n\nr\n\nh\n9\n", "--plain")
    assert result.exit_code == 0, result.output
    (judgement,) = said(store)
    assert judgement.edited is not None
    assert store.candidate(judgement.edited, "").line == "고친 대사."
    sides = {"first-left": ("first", "second"), "second-left": ("second", "first")}[judgement.shown]
    assert judgement.reasons == (Reason(sides[0], "josa_error", start, start + 2), Reason(sides[1], "mixed_speech"))
    assert judgement.hints
    assert "대사에 그런 곳이 없습니다." in result.output


def test_plain_single_lines_to_the_end_in_english(store: Store) -> None:
    count = len(open_tasks(store, "min", "line"))
    result = run(store, "e\nBetter.\n" + "1\n" * (count - 1), "--plain", "--mode", "line", "--lang", "en")
    assert result.exit_code == 0, result.output
    assert [judgement.choice for judgement in said(store)] == ["fix", *["good"] * (count - 1)]
    assert "All done. Thank you!" in result.output
    assert f"--store {store.path} --annotator min" in result.output


def test_without_a_terminal_the_prompts_are_plain_and_a_limit_holds(store: Store) -> None:
    result = run(store, "1\n1\n1\n", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert len(said(store)) == 2
    assert "이번에 하기로 한 2개를 마쳤습니다" in result.output
    assert f"이어서 하려면:  npc-pref label --store {store.path} --annotator min" in result.output


def test_an_empty_queue_says_whose_tasks_there_are(store: Store) -> None:
    store.db.execute("INSERT INTO assignment SELECT id, 'lee', 1, 1 FROM task")
    output = run(store, "", "--plain").output
    assert "min 님에게 배정된 것이 없습니다. 배정받은 사람: lee." in output
    assert "--annotator" in output


def test_who_judges_must_have_a_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no name" in run(store, "", "--annotator", "  ").output
    monkeypatch.setattr(getpass, "getuser", lambda: "민")  # as macOS spells it, decomposed
    result = CliRunner().invoke(main, ["label", "--store", str(store.path), "--plain"], input="1\n")
    assert result.exit_code == 0, result.output
    assert {annotator for _, annotator, _ in current(store)} == {"민"}


def test_a_missing_store_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["label", "--store", str(tmp_path / "none.db"), "--annotator", "min"])
    assert (result.exit_code, "npc-pref init" in result.output) == (1, True)


def test_the_end_of_a_reading_speaks_of_its_own_command_only(store: Store, tmp_path: Path) -> None:
    sample, out = tmp_path / "sample.jsonl", tmp_path / "judged.jsonl"
    (attributes,) = store.domain.draw(1, seed=3)
    write_jsonl(sample, [{"attributes": attributes, "line": f"{i}번째 대사.", "key": str(i)} for i in range(2)])
    command = ["read", str(sample), "--output", str(out), "--annotator", "min", "--plain"]
    group = FriendlyGroup("npc-pref", commands={"read": read})
    stopped = CliRunner().invoke(group, command, input="1\nq\n").output
    assert f"npc-pref read {sample} --output {out} --domain weapon_rental --annotator min" in stopped
    finished = CliRunner().invoke(group, command, input="1\n").output
    assert "모두 마쳤습니다" in finished
    assert not [word for word in ("npc-pref label", "npc-pref merge", "npc-pref export") if word in stopped + finished]
