"""Likeness, groups and splits: what hangs together stays together, and a fixed split stays as it is."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npc_align import likeness, splits
from npc_align.corpus import Example, read_examples, to_record, write_jsonl
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.errors import UserError
from tests.unit.made_up import numbered


@pytest.fixture
def v2() -> Domain:
    return load_domain("weapon_rental")


def side_of(parts: dict[str, list[Example]]) -> dict[str, str]:
    return {example.id: name for name, examples in parts.items() for example in examples}


# --- Likeness and groups


def test_trigrams_ignore_white_space_and_short_lines_still_compare() -> None:
    assert likeness.trigrams("가나 다라") == likeness.trigrams("가나다라") == {"가나다", "나다라"}
    assert likeness.jaccard(likeness.trigrams("네."), likeness.trigrams("네.")) == 1.0
    assert likeness.jaccard(likeness.trigrams("네."), likeness.trigrams("응.")) == 0.0
    assert likeness.jaccard(likeness.trigrams("가나다라"), likeness.trigrams("나다라마")) == pytest.approx(1 / 3)


@given(st.lists(st.text("가나다", min_size=1, max_size=12), max_size=25))
def test_groups_are_exactly_the_chains_of_near_lines(lines: list[str]) -> None:
    domain = load_domain("weapon_rental")
    attributes = domain.draw(len(lines), 0) if lines else []
    examples = [Example(a, line, str(i)) for i, (a, line) in enumerate(zip(attributes, lines, strict=True))]
    expected = [{i} for i in range(len(lines))]  # brute force: merge until nothing is near any more
    for i, a in enumerate(lines):
        for j, b in enumerate(lines[:i]):
            if likeness.jaccard(likeness.trigrams(a), likeness.trigrams(b)) > likeness.NEAR:
                merged = expected[i] | expected[j]
                for k in merged:
                    expected[k] = merged
    ids = splits.group_ids(examples, domain)
    assert [{j for j, other in enumerate(ids) if other == own} for own in ids] == expected


def test_group_ids_depend_on_content_alone(v2: Domain) -> None:
    examples = numbered(v2, 30)
    examples.append(Example(examples[0].attributes, "딴말", "c:x"))
    ids = dict(zip([e.id for e in examples], splits.group_ids(examples, v2), strict=True))
    backwards = [Example(e.attributes, e.line, e.id) for e in reversed(examples)]
    assert dict(zip([e.id for e in backwards], splits.group_ids(backwards, v2), strict=True)) == ids
    assert ids["c:x"] == ids["c:0"]
    assert all(len(i) == 12 and int(i, 16) >= 0 for i in ids.values())


# --- Splitting


@pytest.mark.parametrize("seed", range(5))
def test_planted_relatives_never_straddle(v2: Domain, seed: int) -> None:
    base = numbered(v2, 120)
    fresh = v2.draw(60, 99, [v2.combination(e.attributes) for e in base])
    near = [Example(a, e.line + "요", f"near:{e.id}") for a, e in zip(fresh, base[:60], strict=True)]
    same = [Example(e.attributes, f"딴말 {e.line[::-1]}", f"same:{e.id}") for e in base[30:90]]
    side = side_of(splits.split_examples(base + near + same, v2, seed=seed))
    for relative in near + same:
        assert side[relative.id] == side[relative.id.partition(":")[2]]
    assert set(side.values()) == set(splits.SPLITS)


def test_a_split_follows_the_seed_and_not_the_order(v2: Domain) -> None:
    examples = numbered(v2, 100)
    shuffled = random.Random(5).sample(examples, len(examples))
    first = side_of(splits.split_examples(examples, v2, seed=1))
    assert side_of(splits.split_examples(shuffled, v2, seed=1)) == first
    assert side_of(splits.split_examples(examples, v2, seed=2)) != first


def test_personalities_keep_their_share_in_every_split(v2: Domain) -> None:
    examples = numbered(v2, 600)
    for name, share in zip(splits.SPLITS, (0.8, 0.1, 0.1), strict=True):
        part = splits.split_examples(examples, v2)[name]
        counts = Counter(v2.role(e.attributes, "personality") for e in part)
        assert len(counts) == 6
        assert all(abs(count - 100 * share) <= 1 for count in counts.values())


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_no_split_is_empty_however_few_the_groups(v2: Domain, count: int) -> None:
    parts = splits.split_examples(numbered(v2, count), v2)
    assert all(parts.values())
    assert sum(map(len, parts.values())) == count


def test_fewer_groups_than_splits_is_an_error(v2: Domain) -> None:
    with pytest.raises(UserError, match="form 2 groups"):
        splits.split_examples(numbered(v2, 2), v2)


@pytest.mark.parametrize("fractions", [(1.0, 0.0, 0.0), (0.8, 0.3, 0.1), (0.5, 0.5), (1.2, -0.1, -0.1)])
def test_impossible_fractions_are_an_error(v2: Domain, fractions: Any) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        splits.split_examples(numbered(v2, 10), v2, fractions=fractions)


# --- Splits that a corpus ships


def written(folder: Path, examples: list[Example], domain: Domain) -> Path:
    path = folder / "corpus.jsonl"
    write_jsonl(path, (to_record(e.attributes, e.line, domain, e.augmented_from) for e in examples))
    return path


def lines_of(parts: dict[str, list[Example]]) -> dict[str, set[str]]:
    return {name: {e.line for e in part} for name, part in parts.items()}


def test_fixed_splits_stay_whatever_is_added(v2: Domain, tmp_path: Path) -> None:
    everything = numbered(v2, 60)
    path = written(tmp_path, everything[:40], v2)
    drawn = splits.split_examples(read_examples(path, v2), v2, seed=3)
    assert lines_of(splits.load_splits(path, v2)) != lines_of(drawn)
    splits.fix_splits(path, drawn, v2)
    assert lines_of(splits.load_splits(path, v2)) == lines_of(drawn)
    random.Random(1).shuffle(everything)
    written(tmp_path, everything, v2)
    now = lines_of(splits.load_splits(path, v2))
    assert (now["validation"], now["test"]) == (lines_of(drawn)["validation"], lines_of(drawn)["test"])
    assert now["train"] >= lines_of(drawn)["train"]
    assert len(now["train"]) == len(drawn["train"]) + 20


def test_a_splits_file_that_no_longer_fits_is_refused(v2: Domain, tmp_path: Path) -> None:
    examples = numbered(v2, 20)
    path = written(tmp_path, examples, v2)
    parts = splits.load_splits(path, v2)
    file = splits.fix_splits(path, parts, v2)
    gone = parts["test"][0].line
    written(tmp_path, [e for e in examples if e.line != gone], v2)
    with pytest.raises(UserError, match=r"no longer has group .*npc-data split .*corpus.jsonl --fix"):
        splits.load_splits(path, v2)
    for broken in ("{", "[]", '{"validation": []}'):
        file.write_text(broken)
        with pytest.raises(UserError, match="group ids under validation and test are expected"):
            splits.load_splits(path, v2)


def test_copies_train_only_where_their_source_does(v2: Domain, tmp_path: Path) -> None:
    examples = numbered(v2, 40)
    groups = splits.group_ids(examples, v2)
    fresh = v2.draw(40, 5, [v2.combination(e.attributes) for e in examples])
    copies = [Example(a, e.line[::-1], "", g) for a, e, g in zip(fresh, examples, groups, strict=True)]
    path = written(tmp_path, examples + copies, v2)
    plain, more = splits.load_splits(path, v2), splits.load_splits(path, v2, augmented=True)
    assert {e.line for part in plain.values() for e in part} == {e.line for e in examples}
    assert (more["validation"], more["test"]) == (plain["validation"], plain["test"])
    assert {e.line for e in more["train"]} == {e.line for e in plain["train"]} | {e.line[::-1] for e in plain["train"]}


def test_the_shipped_splits_fit_the_shipped_corpus_and_its_test_prompts() -> None:
    domain, path = load_domain("weapon_rental"), default_corpus("weapon_rental")
    parts = splits.load_splits(path, domain)
    assert splits.splits_file(path).is_file()
    assert all(len(part) >= 300 for part in parts.values())
    used = {domain.combination(e.attributes) for part in parts.values() for e in part}
    prompts = [
        json.loads(row)["attributes"] for row in path.with_name("test_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    asked = {domain.combination(attributes) for attributes in prompts}
    assert len(asked) == len(prompts) == 400
    assert not asked & used
    assert not any(domain.problems(attributes) for attributes in prompts)
