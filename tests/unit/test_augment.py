"""Counterfactual copies: another item in line and attributes, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.augment import counterfactuals
from npc_align.checks import check_line
from npc_align.corpus import Example, read_examples, to_record
from npc_align.data_cli import main
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.keywords import content_words, over_represented
from npc_align.mentions import item_mentions, rename_mentions
from npc_align.splits import group_ids, load_splits, splits_file
from preference_data.prompts import training_prompts

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
        example("활은 안 맞더라고요."),  # not the class's own
    ],
)
def test_what_cannot_be_swapped_safely_is_left_alone(source: Example, domain: Domain) -> None:
    assert counterfactuals([source], domain) == []


STRANGE = {"이전_아이템": "마법서", "최근_의뢰": "실패"}


def test_a_strange_item_is_as_strange_to_other_classes_which_ask_for_their_own(domain: Domain) -> None:
    source = example("마법서로는 졌어요. 이번에는 도끼를 주세요.", **STRANGE)
    copies = {str(c.attributes["모험가타입"]): c for c in _all(source, domain)}
    assert set(copies) == {"궁수", "도적"}, "마법사 uses a 마법서"
    for name, copy in copies.items():
        assert copy.attributes == {**source.attributes, "모험가타입": name}
        own = [item for item in domain.affinity[name] if item_mentions(copy.line, [item], domain)]
        assert len(own) == 1
        assert copy.line == rename_mentions(source.line, item_mentions(source.line, ["도끼"], domain), own[0])
        assert not check_line(copy.line, copy.attributes, domain)


def _all(source: Example, domain: Domain) -> list[Example]:
    """Copies of a line, one of many: no more copies are made than there are lines."""
    others = [
        replace(source, line=f"{number}층에서 졌어요.", attributes=RETURNING | {"최근_의뢰": "실패"}) for number in range(9)
    ]
    return [c for c in counterfactuals([source, *others], domain) if c.line not in {o.line for o in others}]


def test_a_class_without_items_of_its_own_gets_no_copy(domain: Domain) -> None:
    source = example("마법서로는 졌어요.", **STRANGE)
    with_bare = replace(domain, affinity={**domain.affinity, "궁수": ()})
    assert {c.attributes["모험가타입"] for c in _all(source, domain)} == {"궁수", "도적"}
    assert {c.attributes["모험가타입"] for c in _all(source, with_bare)} == {"도적"}


def test_a_prompt_that_the_corpus_has_gets_no_copy_from_another_class(domain: Domain) -> None:
    source = example("마법서로는 졌어요.", **STRANGE)
    archer, thief = (example(f"{name}. 졌어요.", **STRANGE, 모험가타입=name) for name in ("궁수", "도적"))
    made = counterfactuals([source, archer, thief], domain)
    assert [c for c in made if c.line == source.line] == []


@pytest.mark.parametrize(
    "line",
    [
        "전사라서 마법서로는 졌어요.",  # names the class
        "마법서로는 졌어요. 도끼나 망치를 주세요.",  # two of its own items
    ],
)
def test_what_only_this_class_can_say_is_left_alone(line: str, domain: Domain) -> None:
    assert _all(example(line, **STRANGE), domain) == []


@pytest.mark.parametrize(("item", "line"), [("검", "칼은 안 맞았어요. 졌어요."), ("활", "화살이 다 떨어져서 졌어요.")])
def test_a_word_that_may_mean_the_last_item_is_not_renamed(item: str, line: str, domain: Domain) -> None:
    source = example(line, 모험가타입="도적", 이전_아이템=item, 최근_의뢰="실패")
    assert _all(source, domain) == []


def test_copies_of_the_shipped_corpus_pass_the_checks_and_keep_the_cap(domain: Domain) -> None:
    examples = read_examples(default_corpus("weapon_rental"), domain)[:400]
    by_id, copies = {e.id: e for e in examples}, counterfactuals(examples, domain)
    assert 20 <= len(copies) <= len(examples)
    strange = [c for c in copies if c.attributes["모험가타입"] != by_id[c.id.removesuffix("*")].attributes["모험가타입"]]
    assert len(strange) >= 20
    assert copies[: len(strange)] == strange, "they come first"
    trade = {name: {k.word for k in found} for name, found in over_represented(examples, domain, "class").items()}
    for copy in strange:
        source = by_id[copy.id.removesuffix("*")]
        assert not content_words(source.line, domain) & trade.get(str(source.attributes["모험가타입"]), set()), (
            "a trade's words stay with it"
        )
    assert not {domain.combination(c.attributes) for c in strange} & {domain.combination(e.attributes) for e in examples}
    others = [c.line for c in copies if c not in strange]
    assert len({*others} | {e.line for e in examples}) == len(others) + len(examples)
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


@pytest.fixture
def copied(tmp_path: Path, domain: Domain) -> tuple[Path, list[str]]:
    """A corpus of two lines, the copy of the one at the prompt of the other, and both lines' groups."""
    written = [example("빌려 간 검으로 끝냈어요."), example("도끼날이 무뎌졌어요.", 이전_아이템="도끼")]
    groups = group_ids(written, domain)
    records = [to_record(e.attributes, e.line, domain) for e in written]
    records.insert(0, to_record(written[1].attributes, "빌려 간 도끼로 끝냈어요.", domain, groups[0]))
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return corpus, groups


def _evaluate(corpus: Path, groups: list[str]) -> None:
    splits_file(corpus).write_text(json.dumps({"validation": groups, "test": []}), encoding="utf-8")


def test_a_copy_at_a_prompt_of_evaluation_does_not_train(copied: tuple[Path, list[str]], domain: Domain) -> None:
    corpus, (_, second) = copied
    _evaluate(corpus, [second])
    assert [e.line for e in load_splits(corpus, domain, augmented=True)["train"]] == ["빌려 간 검으로 끝냈어요."]
    _evaluate(corpus, [])
    assert len(load_splits(corpus, domain, augmented=True)["train"]) == 3


def test_a_copy_moves_no_prompt_to_another_group(copied: tuple[Path, list[str]], domain: Domain) -> None:
    corpus, groups = copied
    _evaluate(corpus, [])
    prompts = {str(prompt.attributes["이전_아이템"]): prompt for prompt in training_prompts(corpus, domain)}
    assert [prompts[item].group for item in ("검", "도끼")] == groups
    assert len(prompts["도끼"].examples) == 2
    assert [c.origin.get("augmented_from") for c in prompts["도끼"].corpus_lines()] == [groups[0], None]
