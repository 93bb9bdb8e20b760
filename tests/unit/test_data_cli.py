"""npc-data: what each command prints, writes and returns."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from npc_align import corpus
from npc_align.cli import FriendlyGroup, MissingExtra
from npc_align.data_cli import main
from npc_align.domain import load_domain
from npc_align.errors import UserError
from npc_align.splits import SPLITS

V1 = ["--domain", "weapon_rental_v1"]


@dataclass(frozen=True)
class Violation:
    kind: str
    start: int
    end: int
    message: str


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of this test's own: the command is tried here, not the checks."""

    def check_line(line: str, attributes: dict[str, Any], domain: Any) -> Iterator[Violation]:
        if "XX" in line:
            yield Violation("foreign_text", 0, 2, "a foreign word")

    module = ModuleType("npc_align.checks")
    module.__dict__["check_line"] = check_line
    monkeypatch.setitem(sys.modules, "npc_align.checks", module)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A v1 corpus of 40 good records."""
    domain = load_domain("weapon_rental_v1")
    path = tmp_path / "old.jsonl"
    lines = (f"{chr(0xAC00 + 50 * i) * 6} {i}번째 손님" for i in range(40))  # no two of them alike
    corpus.write_jsonl(path, (corpus.to_record(a, line, domain) for a, line in zip(domain.draw(40, 1), lines, strict=True)))
    return path


def append(path: Path, **changes: Any) -> Path:
    _, first = next(corpus.read_jsonl(path))
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**first, **changes}, ensure_ascii=False) + "\n")
    return path


def test_check_passes_a_good_file(old: Path) -> None:
    result = run("check", old, *V1)
    assert result.exit_code == 0
    assert result.stdout == "40 good records, 0 bad ones; 0 lines break a rule\n"


def test_check_names_every_bad_record_and_fails(old: Path) -> None:
    append(append(old, affectionLevel=7), greeting="")
    result = run("check", old, *V1)
    assert result.exit_code == 1
    assert f"{old}:41: affectionLevel=7: not a value of affectionLevel; allowed: 0, 1, 2, 3, 4" in result.stdout
    assert f"{old}:42: greeting=''" in result.stdout
    assert result.stdout.endswith("40 good records, 2 bad ones; 0 lines break a rule\n")


def test_a_line_that_breaks_a_rule_fails_only_under_strict(old: Path) -> None:
    append(old, greeting="XX 왔어요")
    result = run("check", old, *V1)
    assert result.exit_code == 0
    assert f"{old}:41: warning: foreign_text: a foreign word: XX 왔어요" in result.stdout
    assert run("check", old, *V1, "--strict").exit_code == 1


def test_check_gives_json(old: Path) -> None:
    append(append(old, visitCount=9), greeting="XX 왔어요")
    result = run("check", old, *V1, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["good"] == 41
    assert [(p["line"], p["field"], p["value"]) for p in found["problems"]] == [(41, "visitCount", 9)]
    assert [(w["id"], w["kind"]) for w in found["warnings"]] == [("old.jsonl:42", "foreign_text")]


def test_stats_as_text_and_as_json(old: Path) -> None:
    found = json.loads(run("stats", old, *V1, "--json").stdout)
    assert found["examples"] == 40
    assert sum(found["values"]["visitCount"].values()) == 40
    text = run("stats", old, *V1).stdout
    assert "examples: 40\n" in text
    assert "visitCount: 0 " in text


def test_split_writes_three_files_that_hold_everything(old: Path, tmp_path: Path) -> None:
    result = run("split", old, *V1, "--output", tmp_path / "s", "--seed", 3)
    assert result.exit_code == 0, result.output
    rows = [row for name in SPLITS for _, row in corpus.read_jsonl(tmp_path / "s" / f"{name}.jsonl")]
    assert sorted(map(str, rows)) == sorted(str(row) for _, row in corpus.read_jsonl(old))
    assert len(list((tmp_path / "s").iterdir())) == 3
    assert result.stdout.count("\n") == 3


def test_fixed_splits_hold_until_new_ones_are_asked_for(old: Path, tmp_path: Path) -> None:
    assert run("split", old, *V1).exit_code == 2
    assert "old.splits.json: train " in run("split", old, *V1, "--fix", "--seed", 3).stdout
    run("split", old, *V1, "--output", tmp_path / "kept")
    run("split", old, *V1, "--output", tmp_path / "same", "--seed", 3)
    run("split", old, *V1, "--output", tmp_path / "new", "--seed", 4)
    kept, same, new = ((tmp_path / name / "test.jsonl").read_text() for name in ("kept", "same", "new"))
    assert sorted(kept.splitlines()) == sorted(same.splitlines()) != sorted(new.splitlines())


def test_corpus_report_says_what_is_fit_and_what_is_not(old: Path) -> None:
    found = json.loads(run("corpus-report", old, *V1, "--json").stdout)
    assert found["examples"] == 40
    assert {"name": "lines told twice", "value": 0, "limit": 0, "fit": True} in found["figures"]
    cells = next(f for f in found["figures"] if f["name"].startswith("empty cells"))
    assert cells["value"] > 0
    assert not cells["fit"]
    text = run("corpus-report", old, *V1)
    assert text.exit_code == 0
    assert f"NOT FIT empty cells of personality, class, result and visit: {cells['value']} (at most 0)" in text.stdout
    assert run("corpus-report", old, *V1, "--strict").exit_code == 1


def test_stats_names_over_represented_words_on_request(tmp_path: Path) -> None:
    domain = load_domain("weapon_rental")
    rows = [
        corpus.to_record(a, f"{'시위를 당겼어요.' if a['모험가타입'] == '궁수' else '문을 열었어요.'} {i}번 왔어요.", domain)
        for i, a in enumerate(domain.draw(80, 1))
    ]
    corpus.write_jsonl(tmp_path / "c.jsonl", rows)
    assert "keywords" not in json.loads(run("stats", tmp_path / "c.jsonl", "--json").stdout)
    found = json.loads(run("stats", tmp_path / "c.jsonl", "--keywords", "--json").stdout)["keywords"]["class"]
    assert {k["word"] for k in found["궁수"]["strongest"]} == {"시위", "당기다"}
    assert "class 궁수: 2: " in run("stats", tmp_path / "c.jsonl", "--keywords").stdout


def test_a_bad_corpus_is_split_by_nobody(old: Path, tmp_path: Path) -> None:
    append(old, affectionLevel=7)
    result = run("split", old, *V1, "--output", tmp_path / "s")
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert "old.jsonl:41: affectionLevel=7" in result.stderr
    assert not (tmp_path / "s").exists()


def test_convert_brings_v1_to_v2(old: Path, tmp_path: Path) -> None:
    _, first = next(corpus.read_jsonl(old))
    append(old, affectionLevel=(first["affectionLevel"] + 1) % 5)  # the same record, for all that v2 can say
    result = run("convert", old, "--from", "v1", "--output", tmp_path / "new.jsonl")
    assert result.exit_code == 0, result.output
    assert "40 records, 1 duplicates left out" in result.stdout
    target = load_domain("weapon_rental")
    examples = corpus.read_examples(tmp_path / "new.jsonl", target)
    assert [e.line for e in examples] == [row["greeting"] for _, row in list(corpus.read_jsonl(old))[:40]]
    assert all(target.role(e.attributes, "previous_item") is None for e in examples)


def test_convert_refuses_a_target_it_has_no_rules_for(old: Path, tmp_path: Path) -> None:
    result = run("convert", old, "--from", "v1", *V1, "--output", tmp_path / "new.jsonl")
    assert result.exit_code == 1
    assert "no conversion" in result.stderr
    assert not (tmp_path / "new.jsonl").exists()


def test_draw_prints_or_writes_attribute_sets_nobody_used(old: Path, tmp_path: Path) -> None:
    domain = load_domain("weapon_rental_v1")
    used = {domain.combination(e.attributes) for e in corpus.read_examples(old, domain)}
    command = ["draw", *V1, "--count", 40, "--seed", 1]
    plain = [json.loads(line) for line in run(*command).stdout.splitlines()]
    assert {domain.combination(row["attributes"]) for row in plain} == used
    assert run(*command, "--exclude", old, "--output", tmp_path / "d.jsonl").exit_code == 0
    drawn = [row["attributes"] for _, row in corpus.read_jsonl(tmp_path / "d.jsonl")]
    assert len(drawn) == 40
    assert not used & {domain.combination(attributes) for attributes in drawn}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "none.jsonl"], "none.jsonl: no such file"),
        (["check", "none.jsonl", "--domain", "mars"], "no domain 'mars'"),
        (["draw", "--count", "10000000", "--seed", "1", *V1, "--exclude", "none.jsonl"], "no such file"),
    ],
)
def test_a_users_mistake_is_one_line_on_stderr(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_every_command_shows_an_example_that_names_it() -> None:
    for name in main.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert f"npc-data {name} " in result.output


def test_the_commands_need_neither_torch_nor_transformers() -> None:
    code = "import sys, npc_align.data_cli; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


# --- The shared group


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("wrong colour"), 1, "Error: wrong colour"),
        (MissingExtra("torch", "train"), 1, "pip install 'npc-align[train]'"),
        (KeyboardInterrupt(), 130, "Interrupted; nothing half-written"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/c.jsonl"), 1, "Error: disk full while writing /data/c.jsonl"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/c.jsonl"), 1, "Error: /data/c.jsonl: Permission denied"),
    ],
)
def test_a_friendly_group_ends_cleanly(error: BaseException, code: int, message: str) -> None:
    @click.group(cls=FriendlyGroup)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == code
    assert message in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_a_friendly_group_hides_no_bug() -> None:
    @click.group(cls=FriendlyGroup)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise KeyError("bug")

    assert isinstance(CliRunner().invoke(group, ["fail"]).exception, KeyError)
