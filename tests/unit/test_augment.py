"""Counterfactual copies: another item in line and attributes, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.augment import counterfactuals
from npc_align.checks import check_line
from npc_align.corpus import Example, read_examples
from npc_align.data_cli import main
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.mentions import item_mentions, rename_mentions
from npc_align.splits import group_ids, load_splits

RETURNING = {
    "모험가타입": "전사", "나이": "30대", "성별": "여성", "모험가등급": "B급", "방문횟수": "보통", "이전_아이템": "검", "재방문간격": "보통",
    "최근_의뢰": "성공", "성격": "평범형",
}  # fmt: skip


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("weapon_rental")


def example(line: str, **changes: Any) -> Example:
    return Example({**RETURNING, **changes}, line, "c:1")


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("빌려 간 검을 돌려드려요.", "도끼", "빌려 간 도끼를 돌려드려요."),
        ("도끼로 이겼어요. 도끼가 최고예요!", "활", "활로 이겼어요. 활이 최고예요!"),
        ("이 지팡이예요.", "활", "이 활이에요."),
        ("검은 밤이었죠, 검은 무거웠고요.", "망치", "검은 밤이었죠, 망치는 무거웠고요."),
    ],
)
def test_renaming_fits_the_particles(line: str, name: str, expected: str, domain: Domain) -> None:
    assert rename_mentions(line, item_mentions(line, domain.items, domain), name) == expected


def test_a_copy_differs_in_the_item_alone_in_line_and_attributes(domain: Domain) -> None:
    source = example("빌려 간 검으로 일을 끝냈어요.")
    (copy,) = counterfactuals([source], domain)
    item = copy.attributes["이전_아이템"]
    assert item in set(domain.affinity["전사"]) - {"검"}
    assert copy.attributes == {**RETURNING, "이전_아이템": item}
    assert copy.line == rename_mentions(source.line, [(5, 6)], str(item))
    assert [copy.augmented_from] == group_ids([source], domain)
    assert counterfactuals([source, copy], domain) == [copy]


@pytest.mark.parametrize(
    "source",
    [
        example("일을 끝냈어요."),  # names nothing
        example("칼로 끝냈어요."),  # 검 or 단검
        example("활은 안 맞더라고요.", 이전_아이템="활"),  # not the class's own
    ],
)
def test_what_cannot_be_swapped_safely_is_left_alone(source: Example, domain: Domain) -> None:
    assert counterfactuals([source], domain) == []


def test_copies_of_the_shipped_corpus_pass_the_checks_and_keep_the_cap(domain: Domain) -> None:
    examples = read_examples(default_corpus("weapon_rental"), domain)[:400]
    copies = counterfactuals(examples, domain)
    assert 20 <= len(copies) <= len(examples)
    assert len({c.line for c in copies} | {e.line for e in examples}) == len(copies) + len(examples)
    assert not any(check_line(c.line, c.attributes, domain) or domain.problems(c.attributes) for c in copies)
    assert counterfactuals(examples, domain, limit=7) == copies[:7]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_writes_marked_copies_that_keep_the_splits(tmp_path: Path, domain: Domain) -> None:
    source = tmp_path / "c.jsonl"
    shipped = default_corpus("weapon_rental").read_text(encoding="utf-8").splitlines(keepends=True)
    source.write_text("".join(shipped[:200]), encoding="utf-8")
    assert run("split", source, "--fix").exit_code == 0
    result = run("augment", source, "--output", tmp_path / "more.jsonl", "--limit", 20)
    assert result.exit_code == 0, result.output
    assert "more.jsonl: 200 lines and 20 copies" in result.stdout
    before, after = (load_splits(path, domain, augmented=True) for path in (source, tmp_path / "more.jsonl"))
    for name in ("validation", "test"):
        assert {e.line for e in after[name]} == {e.line for e in before[name]}
    copies = [e for e in after["train"] if e.augmented_from]
    assert 0 < len(copies) <= 20
    again = run("augment", tmp_path / "more.jsonl", "--output", tmp_path / "again.jsonl", "--limit", 20)
    assert "200 lines and 20 copies" in again.stdout
    refused = run("augment", source, "--output", source)
    assert refused.exit_code == 1
    assert "name another file" in refused.stderr
