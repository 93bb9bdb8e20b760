"""Preference files for DPO: what is refused, how groups are held out, what the trainer gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo.pairs import PreferencePair, read_pairs, split_by_group, tokenise_pairs
from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from npc_align.modeling.load import load_tokenizer
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import render


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("weapon_rental")


def _row(domain: Domain, number: int = 0, **changed: Any) -> dict[str, Any]:
    attributes = domain.probes[number]
    row = {
        "prompt": render(attributes, domain), "chosen": "어서 오세요.", "rejected": "어서 오시게.", "attributes": attributes,
        "group": str(number), "reasons": ["tone_break"],
    }  # fmt: skip
    return {**row, **changed}


def _write(folder: Path, *rows: Any) -> Path:
    path = folder / "preferences.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_pairs_are_read_as_they_stand(domain: Domain, tmp_path: Path) -> None:
    pairs = read_pairs(_write(tmp_path, _row(domain, 0), _row(domain, 1)), domain, "user_assistant", None)
    assert [pair.id for pair in pairs] == ["preferences.jsonl:1", "preferences.jsonl:2"]
    assert pairs[1] == PreferencePair(pairs[1].id, render(domain.probes[1], domain), "어서 오세요.", "어서 오시게.", "1")


def test_a_missing_file_says_what_makes_it(domain: Domain, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; run: npc-pref export"):
        read_pairs(tmp_path / "none.jsonl", domain, "user_assistant", None)


def test_an_empty_file_is_refused(domain: Domain, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pairs in it"):
        read_pairs(_write(tmp_path), domain, "user_assistant", None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rejected": "어서 오세요."}, "chosen and rejected are the same line"),
        ({"prompt": "### User:\n안녕\n\n### Assistant:\n"}, "its prompt isn't what the adapter's renderer"),
        ({"attributes": {"성격": "없는형"}}, "성격='없는형': not a value of 성격; allowed: "),
        ({"attributes": {"무게": 1}}, "무게=1: no such attribute"),
        ({"attributes": {"방문횟수": "첫방문", "이전_아이템": "검"}}, "contradicts the record"),
        ({"attributes": {"성격": ["존칭형"]}}, "성격"),
        ({"attributes": "성격"}, "attributes"),
        ({"attributes": None}, "attributes"),
        ({"chosen": 3}, "chosen"),
        ({"rejected": None}, "rejected"),
        ({"group": None}, "group"),
        ({"rejected_finished": 0}, "rejected_finished=0: must be true or false"),
    ],
)
def test_a_wrong_record_is_refused_by_its_line(changed: dict[str, Any], message: str, domain: Domain, tmp_path: Path) -> None:
    path = _write(tmp_path, _row(domain, 0), _row(domain, 1, **changed))
    with pytest.raises(UserError, match=f"^preferences.jsonl:2: .*{message}"):
        read_pairs(path, domain, "user_assistant", None)


@pytest.mark.parametrize("field", ["prompt", "chosen", "rejected", "attributes", "group"])
def test_a_missing_field_is_named(field: str, domain: Domain, tmp_path: Path) -> None:
    row = _row(domain)
    del row[field]
    with pytest.raises(UserError, match=rf"preferences\.jsonl:1: {field} missing"):
        read_pairs(_write(tmp_path, row), domain, "user_assistant", None)


def test_prompts_of_another_renderer_are_refused(domain: Domain, tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(UserError, match="renderer 'chat'"):
        read_pairs(_write(tmp_path, _row(domain)), domain, "chat", tokenizer)


def _pairs(groups: list[int]) -> list[PreferencePair]:
    return [PreferencePair(f"f:{i}", "p", "a", "b", str(group)) for i, group in enumerate(groups)]


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=60).filter(lambda groups: len(set(groups)) > 1),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_groups_never_straddle_and_no_side_is_empty(groups: list[int], share: float, seed: int) -> None:
    pairs = _pairs(groups)
    training, held_out = split_by_group(pairs, share, seed)
    assert training
    assert held_out
    assert not {pair.group for pair in training} & {pair.group for pair in held_out}
    assert sorted(training + held_out, key=lambda pair: int(pair.id[2:])) == pairs
    assert split_by_group(pairs, share, seed) == (training, held_out)


def test_the_share_is_of_groups() -> None:
    training, held_out = split_by_group(_pairs([group for group in range(20) for _ in range(group + 1)]), 0.1, 0)
    assert (len({p.group for p in training}), len({p.group for p in held_out})) == (18, 2)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UserError, match="all pairs belong to one prompt group"):
        split_by_group(_pairs([1, 1, 1]), 0.1, 0)


def test_both_sides_are_tokenised_behind_the_same_prompt(domain: Domain, tiny_model: Path, tmp_path: Path) -> None:
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)
    pairs = read_pairs(_write(tmp_path, _row(domain, 0), _row(domain, 1)), domain, "user_assistant", codec.tokenizer)
    rows = list(tokenise_pairs(pairs, codec))
    assert [row["record_index"] for row in rows] == [0, 1]
    for row, pair in zip(rows, pairs, strict=True):
        assert row["prompt_ids"] == codec.prompt_ids(pair.prompt)
        assert codec.tokenizer.decode(row["chosen_ids"]) == pair.chosen + "<eos>"
        assert codec.tokenizer.decode(row["rejected_ids"]) == pair.rejected + "<eos>"


def test_a_rejected_line_that_was_cut_off_gets_no_stop_token(domain: Domain, tiny_model: Path, tmp_path: Path) -> None:
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)
    told = [_row(domain, 0, rejected_finished=True), _row(domain, 1, rejected_finished=False)]
    rows = list(tokenise_pairs(read_pairs(_write(tmp_path, *told), domain, "user_assistant", codec.tokenizer), codec))
    assert [codec.tokenizer.decode(row["chosen_ids"]) for row in rows] == [row["chosen"] + "<eos>" for row in told]
    assert [codec.tokenizer.decode(row["rejected_ids"]) for row in rows] == [told[0]["rejected"] + "<eos>", told[1]["rejected"]]


def test_a_side_that_cannot_be_learnt_is_named(domain: Domain, tiny_model: Path, tmp_path: Path) -> None:
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 512)
    pairs = read_pairs(_write(tmp_path, _row(domain, rejected="")), domain, "user_assistant", codec.tokenizer)
    with pytest.raises(UserError, match=r"preferences\.jsonl:1 rejected: the line is empty"):
        tokenise_pairs(pairs, codec)
