"""Corruptions: each makes the mistake it is named after, only that, and only in a good line."""

from __future__ import annotations

import random
import re

import pytest

from npc_align.checks import check_line
from npc_align.corpus import Example, read_examples
from npc_align.domain import Domain, load_domain, shipped_file
from preference_data import corrupt as module
from preference_data.corrupt import CORRUPTIONS, corrupt
from preference_data.flip import flip_ending

# Share of all corpus lines; the item kinds apply only to lines that speak of an item in the right way.
LEAST = {
    "mixed_speech": 0.6,
    "tone_break": 0.7,
    "hallucinated_item": 0.03,
    "class_item_mismatch": 0.05,
    "result_contradiction": 0.03,
    "interval_contradiction": 0.015,  # few lines say when they rented: 2 % of the first 3,365, 1 % of those that came later
    "josa_error": 0.4,
    "foreign_text": 0.4,
    "repetition": 0.8,
    "truncated": 0.5,
}


@pytest.fixture(scope="module")
def domain() -> Domain:
    return load_domain("weapon_rental")


@pytest.fixture(scope="module")
def examples(domain: Domain) -> list[Example]:
    everything = read_examples(shipped_file("weapon_rental", "corpus.jsonl"), domain)
    return random.Random(0).sample(everything, 180)


def results(examples: list[Example], domain: Domain, kind: str) -> list[tuple[Example, str]]:
    made = [(e, corrupt(e.line, e.attributes, domain, kind, random.Random(e.id))) for e in examples]
    return [(example, line) for example, line in made if line is not None]


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_has_the_intended_kind_and_works_often_enough(kind: str, examples: list[Example], domain: Domain) -> None:
    made = results(examples, domain, kind)
    assert len(made) >= LEAST[kind] * len(examples)
    for example, line in made:
        assert line != example.line
        assert check_line(example.line, example.attributes, domain) == []
        assert kind in {violation.kind for violation in check_line(line, example.attributes, domain)}


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_same_seed_same_corruption(kind: str, examples: list[Example], domain: Domain) -> None:
    assert results(examples[:30], domain, kind) == results(examples[:30], domain, kind)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_line_that_is_bad_already_is_left_alone(kind: str, examples: list[Example], domain: Domain) -> None:
    example = examples[0]
    line = f"{example.line} really great"
    assert check_line(line, example.attributes, domain)
    assert corrupt(line, example.attributes, domain, kind, random.Random(0)) is None


def test_a_proposal_that_the_checks_do_not_confirm_is_refused(
    examples: list[Example], domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_line", lambda *args: [])
    assert all(results(examples[:5], domain, kind) == [] for kind in CORRUPTIONS)


def test_a_proposal_that_breaks_more_than_it_meant_to_is_refused(
    examples: list[Example], domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CORRUPTIONS, "foreign_text", lambda line, *rest: iter([f"{line} shop {line} shop {line}"]))
    assert results(examples, domain, "foreign_text") == []


def test_repetition_says_a_sentence_twice(examples: list[Example], domain: Domain) -> None:
    for example, line in results(examples[:40], domain, "repetition"):
        assert len(line) > len(example.line)
        assert set(line.split()) == set(example.line.split())


def test_truncated_is_the_beginning_of_the_line(examples: list[Example], domain: Domain) -> None:
    for example, line in results(examples[:60], domain, "truncated"):
        assert example.line.startswith(line)
        assert line[-1].isalnum()


def test_foreign_text_brings_one_latin_word(examples: list[Example], domain: Domain) -> None:
    for _, line in results(examples, domain, "foreign_text"):
        assert len(re.findall("[a-z]+", line)) == 1


@pytest.mark.parametrize("kind", ["hallucinated_item", "class_item_mismatch"])
def test_swapped_items_get_their_particle(kind: str, examples: list[Example], domain: Domain) -> None:
    after_vowel, after_consonant = ("를", "와", "는", "로"), ("을", "과", "은", "으로")
    for example, line in results(examples, domain, kind):
        (item,) = {i for i in domain.items if line.count(i) > example.line.count(i) and check_word(line, i)} or {None}
        if item is None:
            continue
        final = (ord(item[-1]) - 0xAC00) % 28
        wrong = after_consonant if final == 0 else after_vowel[: 3 if final == 8 else 4]
        assert not any(re.search(rf"(?<![가-힣]){item}{particle}(?![가-힣])", line) for particle in wrong), line


def test_a_result_is_told_as_its_opposite(domain: Domain) -> None:
    won = {"최근_의뢰": "성공", "성격": "평범형", "방문횟수": "보통"}
    told = {corrupt("이번 의뢰는 이겼어요.", won, domain, "result_contradiction", random.Random(seed)) for seed in range(8)}
    assert "이번 의뢰는 졌어요." in told
    lost = {**won, "최근_의뢰": "실패"}
    told = {corrupt("토벌은 실패였어요.", lost, domain, "result_contradiction", random.Random(seed)) for seed in range(12)}
    assert "토벌은 성공이었어요." in told


def test_a_visit_of_long_ago_becomes_one_of_yesterday(domain: Domain) -> None:
    long_ago = {"성격": "평범형", "방문횟수": "보통", "재방문간격": "오래됨", "최근_의뢰": "성공", "이전_아이템": "창"}
    told = {corrupt("오랜만에 왔어요.", long_ago, domain, "interval_contradiction", random.Random(seed)) for seed in range(20)}
    assert {"어제 왔어요.", "며칠 전에 왔어요."} <= told
    told = {corrupt("봄에 빌린 창이에요.", long_ago, domain, "interval_contradiction", random.Random(seed)) for seed in range(20)}
    assert "어제 빌린 창이에요." in told


def test_another_class_item_is_the_last_rental_where_that_is_one(domain: Domain) -> None:
    mage = {
        "성격": "평범형",
        "모험가타입": "마법사",
        "방문횟수": "보통",
        "이전_아이템": "석궁",
        "재방문간격": "보통",
        "최근_의뢰": "성공",
    }
    told = {corrupt("이번엔 지팡이로 주세요.", mage, domain, "class_item_mismatch", random.Random(seed)) for seed in range(8)}
    assert told == {"이번엔 석궁으로 주세요."}


def check_word(line: str, word: str) -> bool:
    return re.search(rf"(?<![가-힣]){word}", line) is not None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("정말 완벽했어요!", {"정말 완벽했어!"}),
        ("어제 다 끝냈습니다.", {"어제 다 끝냈어.", "어제 다 끝냈다."}),
        ("하나 보여 주십시오.", {"하나 보여 줘.", "하나 보여 줘라."}),
        ("얼마나 합니까?", {"얼마나 해?", "얼마나 하나?"}),
        ("이제야 알았죠.", {"이제야 알았지."}),
        ("다들 놀라더라고요.", {"다들 놀라더라고."}),
        ("그게 제 자랑이에요.", {"그게 제 자랑이야."}),
        ("하나만 줘!", {"하나만 줘요!"}),
        ("돈은 받았다.", {"돈은 받았습니다.", "돈은 받았어요."}),
        ("이제 가자.", {"이제 갑시다."}),
        ("얼른 꺼내라.", {"얼른 꺼내세요.", "얼른 꺼내십시오."}),
        ("기억나냐?", {"기억납니까?"}),
        ("이게 다야.", {"이게 다예요.", "이게 답니다.", "이게 다입니다."}),
        ("좋더군, 그 녀석.", {"좋더군요, 그 녀석."}),
    ],
)
def test_endings_go_to_the_other_side(line: str, expected: set[str]) -> None:
    assert {flip_ending(line, 0, len(line), random.Random(seed)) for seed in range(8)} <= expected


@pytest.mark.parametrize("line", ["두꺼비 끝.", "안녕하세요.", "처음 뵙겠습니다.", "크흠.", ""])
def test_what_has_no_other_side_stays(line: str) -> None:
    assert flip_ending(line, 0, len(line), random.Random(0)) is None
