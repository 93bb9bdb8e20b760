"""Which prompts an evaluation answers: test prompts in the test only, each once, and nothing of validation among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from npc_align.corpus import Example, read_jsonl
from npc_align.domain import Attributes, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.evaluation import run
from npc_align.evaluation.run import Request, load_inputs

DOMAIN = load_domain("weapon_rental")
PROMPTS = DOMAIN.draw(12, 5)
SHIPPED = [row["attributes"] for _, row in read_jsonl(shipped_file("weapon_rental", "test_prompts.jsonl"))]


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Example]]:
    """Four prompts a split, two lines for each."""
    made = {
        name: [Example(a, "활.", f"{name}-{i}-{j}") for i, a in enumerate(PROMPTS[start : start + 4]) for j in range(2)]
        for name, start in (("train", 0), ("validation", 4), ("test", 8))
    }
    monkeypatch.setattr(run, "load_splits", lambda *_: made)
    return made


def asked(split: str, prompts: int, references: int | None = None) -> list[Attributes]:
    return load_inputs(Request((("a", "a"),), Path(), "weapon_rental", None, split, prompts, references)).prompts


def names(prompts: list[Attributes]) -> set[str]:
    return {DOMAIN.combination(p) for p in prompts}


def test_the_domains_test_prompts_are_for_the_test_only(splits: dict[str, list[Example]]) -> None:
    assert asked("test", 3) == SHIPPED[:3]
    assert names(asked("validation", 400)) == names(PROMPTS[4:8])
    assert len(asked("validation", 3)) == 3
    assert names(asked("train", 0)) == names(PROMPTS[:4])


def test_a_prompt_of_several_lines_is_answered_once_and_references_limit_lines_only(splits: dict[str, list[Example]]) -> None:
    found = asked("test", 0, references=1)
    assert len(found) == 4
    assert names(found) == names(PROMPTS[8:])


def test_a_search_has_the_validation_prompts_that_are_not_answered(splits: dict[str, list[Example]]) -> None:
    inputs = load_inputs(Request((("a", "a"),), Path(), "weapon_rental", None, "validation", 3))
    assert len(inputs.validation) == 1
    assert names(inputs.validation) | names(inputs.prompts) == names(PROMPTS[4:8])


def test_an_empty_split_is_said(splits: dict[str, list[Example]]) -> None:
    splits["test"] = []
    with pytest.raises(UserError, match="test split has no line"):
        asked("test", 0)
