"""Pairs: what a bad line is set against, what is dropped, and what the whole is balanced to."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from npc_align.checks import check_line
from npc_align.corpus import Example, read_examples
from npc_align.domain import Domain, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.prompt import render
from npc_align.splits import split_examples
from npc_align.violation import Violation
from preference_data import pairs as module
from preference_data.candidates import check_rows
from preference_data.export import export_rows
from preference_data.pairs import PERSONALITY_RATIO, Pair, build_pairs, pair_of, similarity

Row = dict[str, Any]


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("weapon_rental")


@pytest.fixture(scope="module")
def examples(domain: Domain) -> list[Example]:
    return read_examples(shipped_file("weapon_rental", "corpus.jsonl"), domain)


@pytest.fixture(scope="module")
def splits(examples: list[Example], domain: Domain) -> dict[str, list[Example]]:
    return split_examples(examples, domain)


@pytest.fixture(scope="module")
def train(splits: dict[str, list[Example]], domain: Domain) -> list[Example]:
    """Ninety training lines, fifteen of each personality, in no order."""
    of_each: dict[Any, list[Example]] = defaultdict(list)
    for example in splits["train"]:
        of_each[domain.role(example.attributes, "personality")].append(example)
    return random.Random(0).sample([example for own in of_each.values() for example in own[:15]], 90)


def candidate(example: Example, domain: Domain, line: str, *kinds: str) -> Row:
    return {
        "id": f"{example.id}/{line}",
        "attributes": example.attributes,
        "prompt": render(example.attributes, domain),
        "line": line,
        "violations": [{"kind": kind, "start": 0, "end": 1, "message": ""} for kind in kinds],
        "origin": {"kind": "sampled", "checkpoint": "sft", "seed": 1},
    }


def other(example: Example, tail: str = "") -> str:
    """A line of about the same length that no corpus has."""
    return " ".join(reversed(example.line.split())) + tail


def one_sided(train: list[Example], domain: Domain) -> list[Row]:
    """What sampling brings: three bad lines a prompt, nearly all of one kind."""
    return [candidate(e, domain, other(e, tail), "tone_break") for e in train for tail in (" 가", " 나", " 다")]


def test_both_sides_belong_to_one_combination_of_the_train_split(
    train: list[Example], examples: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    made, _ = build_pairs(one_sided(train, domain), splits, domain)
    lines = {(domain.combination(e.attributes), e.line): e.id for e in split_examples(examples, domain)["train"]}
    for pair in made:
        assert pair.chosen_origin == {"kind": "corpus", "id": lines[domain.combination(pair.attributes), pair.chosen]}
        assert pair.prompt == render(pair.attributes, domain)
        assert pair.judge == "auto"


def test_prompts_outside_the_train_split_are_dropped(
    examples: list[Example], splits: dict[str, list[Example]], train: list[Example], domain: Domain
) -> None:
    held_out = split_examples(examples, domain)["test"][:5]
    rows = [candidate(e, domain, other(e), "tone_break") for e in [*held_out, *train[:10]]]
    made, report = build_pairs(rows, splits, domain)
    assert report["dropped"]["not in the train split"] == 5
    assert not {pair.prompt for pair in made} & {render(e.attributes, domain) for e in held_out}


def test_a_corpus_line_that_breaks_a_rule_is_never_chosen(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = train[0]

    def check(line: str, *args: Any) -> list[Violation]:
        return [Violation("length", 0, 1, "")] if line == bad.line else check_line(line, *args)

    monkeypatch.setattr(module, "check_line", check)
    made, report = build_pairs(one_sided(train[:20], domain), splits, domain)
    assert bad.line not in {pair.chosen for pair in made}
    assert report["dropped"]["only bad corpus lines"] == 3


def test_samples_that_cannot_be_rejected_are_dropped_and_counted(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    e = train[0]
    rows = [
        candidate(e, domain, f" {e.line} ", "tone_break"),
        candidate(e, domain, other(e, " 하하하하"), "tone_break"),
        candidate(e, domain, other(e, " 하하하하"), "tone_break"),
        candidate(e, domain, other(e, " 좋다"), *()),
        candidate(e, domain, "음", "tone_break"),
        candidate(e, domain, e.line.rstrip(".!?~") + ",", "tone_break"),
    ]
    made, report = build_pairs(rows, splits, domain, max_similarity=0.8, per_prompt=1)
    assert [pair.rejected for pair in made] == [other(e, " 하하하하")]
    reasons = ("same as the chosen line", "said before, or empty", "breaks no rule", "length too different", "too similar")
    assert [report["dropped"][reason] for reason in reasons] == [1] * 5


def test_a_violation_worth_learning_from_goes_before_a_mere_cut(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    e = train[0]
    rows = [candidate(e, domain, other(e, " 가나"), "truncated"), candidate(e, domain, other(e, " 다라"), "tone_break")]
    made, _ = build_pairs(rows, splits, domain, per_prompt=1)
    assert [pair.reasons for pair in made] == [("tone_break",)]


def test_a_prompt_without_a_bad_sample_gets_a_corruption_of_its_good_line(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    rows = [candidate(e, domain, e.line) for e in train[:10]]
    made, report = build_pairs(rows, splits, domain, corrupted_share=1.0, kind_cap=1.0)
    assert report["origins"]["sampled"] == 0
    assert len(made) + sum(count for reason, count in report["dropped"].items() if reason.startswith("too many")) >= 9
    for pair in made:
        assert pair.rejected_origin["kind"] == "corrupted"
        assert pair.rejected_origin["of"] == pair.chosen_origin["id"]
        assert pair.rejected_origin["rule"] in pair.reasons
        assert set(pair.reasons) == {v.kind for v in check_line(pair.rejected, pair.attributes, domain)}


@pytest.mark.parametrize("per_prompt", [1, 2, 3])
def test_limits_hold_over_one_sided_samples(
    per_prompt: int, train: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    made, report = build_pairs(one_sided(train, domain), splits, domain, kind_cap=0.4, per_prompt=per_prompt)
    kinds = Counter(kind for pair in made for kind in pair.reasons)
    assert len(made) >= 60 * per_prompt
    assert max(kinds.values()) <= 0.4 * len(made)
    assert max(Counter(pair.prompt for pair in made).values()) <= per_prompt
    assert sum(pair.corrupted for pair in made) <= 0.6 * len(made)
    assert max(report["personalities"].values()) <= PERSONALITY_RATIO * min(report["personalities"].values())


def test_the_cap_holds_where_nothing_can_be_corrupted(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "corrupt", lambda *args: None)
    kinds = ["tone_break"] * 4 + ["josa_error", "broken_form"]
    rows = [candidate(e, domain, other(e), kinds[i % len(kinds)]) for i, e in enumerate(train)]
    made, report = build_pairs(rows, splits, domain)
    assert report["dropped"]["too many tone_break"] > 0
    assert len(made) >= 20
    assert report["kinds"]["tone_break"] <= 0.4 * len(made)


def test_corruptions_keep_to_their_share(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    by_personality = sorted(train, key=lambda e: str(domain.role(e.attributes, "personality")))
    rows = [candidate(e, domain, e.line if i % 2 else other(e), "tone_break") for i, e in enumerate(by_personality)]
    made, report = build_pairs(rows, splits, domain, kind_cap=0.9, corrupted_share=0.2)
    assert 0 < sum(report["origins"]["corrupted"].values()) <= 0.2 * len(made)


def test_personalities_come_in_like_shares(examples: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    everyone = split_examples(examples, domain)["train"]
    favoured = str(domain.role(everyone[0].attributes, "personality"))
    mine = [e for e in everyone if domain.role(e.attributes, "personality") == favoured][:40]
    others = [e for e in everyone if domain.role(e.attributes, "personality") != favoured][:60]
    made, report = build_pairs(one_sided(mine + others, domain), splits, domain, kind_cap=1.0, per_prompt=1)
    counts = report["personalities"]
    assert len(counts) > 1
    assert max(counts.values()) <= PERSONALITY_RATIO * min(counts.values())
    assert report["dropped"][f"too many {favoured}"] > 0
    assert len(made) == report["pairs"]


def test_lengths_and_similarity_are_bounded(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    made, report = build_pairs(one_sided(train, domain), splits, domain, max_similarity=0.7, min_length_ratio=0.6)
    for pair in made:
        assert similarity(pair.chosen, pair.rejected) <= 0.7
        assert 0.6 <= len(pair.rejected) / len(pair.chosen) <= 1 / 0.6
    assert report["median_similarity"] <= 0.7


def test_a_line_said_twice_is_not_the_same_line() -> None:
    assert similarity("다 끝났다.", "다 끝났다.") == 1
    assert similarity("다 끝났다.", "다 끝났다. 다 끝났다.") < 0.6


def test_the_seed_decides_and_nothing_else(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    rows = one_sided(train[:30], domain)
    first = build_pairs(rows, splits, domain, seed=5)
    assert build_pairs(rows, splits, domain, seed=5) == first
    assert build_pairs(rows, splits, domain, seed=6)[0] != first[0]


def test_the_report_counts_what_is_there(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    made, report = build_pairs(one_sided(train[:30], domain), splits, domain)
    assert report["pairs"] == len(made)
    assert report["kinds"] == dict(Counter(kind for pair in made for kind in pair.reasons).most_common())
    assert report["origins"]["sampled"] + sum(report["origins"]["corrupted"].values()) == len(made)
    difference = sum(len(p.chosen) - len(p.rejected) for p in made) / len(made)
    assert report["mean_length_difference"] == pytest.approx(difference, abs=0.01)


def test_unchecked_candidates_are_refused(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    row = candidate(train[0], domain, "아무 말", "tone_break")
    del row["violations"]
    with pytest.raises(UserError, match="npc-pref check"):
        build_pairs([row], splits, domain)


def test_prompts_of_two_renderers_are_refused(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    rows = one_sided(train[:1], domain)
    rows[1]["prompt"] = "another"
    with pytest.raises(UserError, match="different prompts"):
        build_pairs(rows, splits, domain)


def test_a_pair_keeps_the_domain_of_its_candidates(
    train: list[Example], splits: dict[str, list[Example]], domain: Domain
) -> None:
    named = {"name": domain.name, "hash": domain.content_hash}
    rows = [{**row, "domain": named} for row in one_sided(train[:10], domain)]
    made, _ = build_pairs(rows, splits, domain)
    assert {pair.corrupted for pair in made} == {True, False}
    assert all(pair.domain == named for pair in made)
    rows[1]["domain"] = {**named, "hash": "another"}
    with pytest.raises(UserError, match="different domains"):
        build_pairs(rows, splits, domain)


def test_no_pairs_says_why(train: list[Example], splits: dict[str, list[Example]], domain: Domain) -> None:
    rows = [candidate(e, domain, e.line) for e in train[:3]]
    with pytest.raises(UserError, match=r"breaks no rule: 3.*--corrupted-share 1"):
        build_pairs(rows, splits, domain)


@pytest.mark.parametrize(
    "limits", [{"per_prompt": 0}, {"kind_cap": 1.2}, {"kind_cap": 0.3, "corrupted_share": 0.5}, {"max_similarity": -1}]
)
def test_impossible_limits_are_refused(limits: dict[str, Any], splits: dict[str, list[Example]], domain: Domain) -> None:
    with pytest.raises(UserError, match=r"share|at least"):
        build_pairs([], splits, domain, **limits)


def test_checking_keeps_keys_and_order_and_reads_both_forms(train: list[Example], domain: Domain) -> None:
    e = train[0]
    rows: list[Row] = [
        {"id": "b", "attributes": e.attributes, "line": f"{e.line} shop", "note": [1]},
        {"id": "a", **e.attributes, domain.line_key: e.line},
    ]
    bad, good = check_rows(rows, domain)
    assert [bad["id"], bad["note"], good["id"]] == ["b", [1], "a"]
    assert "foreign_text" in {violation["kind"] for violation in bad["violations"]}
    assert set(bad["violations"][0]) == {"kind", "start", "end", "message"}
    assert good["violations"] == []


def test_checking_knows_what_the_length_limit_cut_off(train: list[Example], domain: Domain) -> None:
    e = train[0]
    row = {"attributes": e.attributes, "line": e.line[: len(e.line) // 2].rstrip(), "finished": False}
    assert "truncated" in {violation["kind"] for violation in check_rows([row], domain)[0]["violations"]}


@pytest.mark.parametrize("row", [{}, {"line": "네."}, {"attributes": {"x": 1}, "line": "네."}, {"attributes": {}, "line": "네."}])
def test_checking_refuses_what_is_no_candidate(row: Row, domain: Domain) -> None:
    with pytest.raises(UserError, match="row 1"):
        check_rows([row], domain)


def pair(**changes: Any) -> Pair:
    fields: Row = {
        "prompt": "p",
        "chosen": "좋은 말.",
        "rejected": "나쁜 말.",
        "attributes": {"k": "v"},
        "reasons": ("tone_break",),
        "chosen_origin": {"kind": "corpus", "id": "c:1"},
        "rejected_origin": {"kind": "sampled"},
        "group": "g",
    }
    return Pair(**{**fields, **changes})


def test_a_pair_survives_its_file() -> None:
    assert pair_of(pair().to_row(), 1) == pair()
    of_a_domain = pair(domain={"name": "n", "hash": "h"})
    assert pair_of(of_a_domain.to_row(), 1) == of_a_domain
    with pytest.raises(UserError, match="a name and a hash"):
        pair_of({**pair().to_row(), "domain": "n"}, 1)
    with pytest.raises(UserError, match="chosen missing"):
        pair_of({k: v for k, v in pair().to_row().items() if k != "chosen"}, 1)


def test_export_has_what_trl_reads_and_keeps_the_rest() -> None:
    (row,) = export_rows([pair()])
    assert list(row)[:3] == ["prompt", "chosen", "rejected"]
    assert row["reasons"] == ["tone_break"]
    assert {"attributes", "group", "chosen_origin", "rejected_origin", "judge"} <= set(row)


@pytest.mark.parametrize("changes", [{"rejected": " 좋은  말. "}, {"rejected": " "}, {"chosen": ""}, {"prompt": ""}])
def test_export_refuses_pairs_that_teach_nothing(changes: Row) -> None:
    with pytest.raises(UserError, match="pair 2"):
        export_rows([pair(), pair(**changes)])


def test_export_refuses_an_empty_file() -> None:
    with pytest.raises(UserError, match="npc-pref pair"):
        export_rows([])
