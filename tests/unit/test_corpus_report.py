"""What the corpus report says, on corpora whose faults are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from npc_align import corpus, corpus_report
from npc_align.corpus import Example
from npc_align.domain import Domain, load_domain
from npc_align.keywords import content_words, over_represented
from tests.unit.made_up import numbered


@pytest.fixture
def v2() -> Domain:
    return load_domain("weapon_rental")


def test_statistics_count_what_is_there(v2: Domain) -> None:
    first, second, third, fourth = numbered(v2, 4)
    examples = [
        Example(first.attributes, "안녕하세요 사장님 오늘도 왔어요", "1"),
        Example(second.attributes, "안녕하세요 사장님 오늘도 왔어요", "2"),
        Example(third.attributes, "안녕하세요 사장님 오늘도 왔네", "3"),
        Example({}, fourth.line, "4"),
    ]
    found = corpus_report.statistics(examples, v2)
    assert found["examples"] == 4
    assert found["cells"] == {"allowed": 312, "filled": 3, "min lines": 0, "max lines": 1}
    assert all(sum(counts.values()) == 4 and counts["(unset)"] == 1 for counts in found["values"].values())
    assert found["characters"] == {"min": 16, "median": 17.0, "max": 20}
    assert (found["duplicate_lines"], found["near_duplicate_lines"]) == (1, 3)
    assert sum(found["distinct_openings"].values()) == len({v2.role(e.attributes, "personality") for e in examples})
    assert found["distinct_1"] == pytest.approx(6 / 13, abs=1e-4)
    assert found["distinct_2"] == pytest.approx(4 / 9, abs=1e-4)


def said_by(domain: Domain, personality: str, *lines: str) -> list[Example]:
    own = [a for a in domain.draw(600, 1) if a["성격"] == personality]
    return [Example(a, line, f"{personality}:{line}") for a, line in zip(own, lines, strict=False)]


def figures(examples: list[Example], domain: Domain) -> dict[str, corpus_report.Figure]:
    return {figure.name: figure for figure in corpus_report.fitness(examples, domain, lambda _: True)}


def test_openings_count_as_shared_only_across_levels_of_speech(v2: Domain) -> None:
    polite = said_by(v2, "평범형", "저기, 사장님 계세요?", "다녀왔어요, 사장님.")
    chatty = said_by(v2, "너스레형", "저기 사장님, 오늘은 깎아 주세요~")
    gruff = said_by(v2, "하대형", "다녀왔어요 사장님 소리는 못 하겠군.", "흥, 별것 아니더군.")
    assert corpus_report.shared_openings(polite + chatty, v2) == 0
    assert corpus_report.shared_openings(polite + chatty + gruff, v2) == pytest.approx(1 / 3)


def test_a_sentence_told_twice_counts_both_times_and_short_ones_never() -> None:
    lines = ["다녀왔어요. 거미를 다 잡았어요!", "거미를 다 잡았어요. 돈도 받았고요.", "또 왔어요.", "또 왔어요!"]
    assert corpus_report.repeated_sentences(lines) == pytest.approx(2 / 4)


def test_faults_are_found_and_a_sound_corpus_is_fit(v2: Domain) -> None:
    sound = numbered(v2, 3000)
    found = figures(sound, v2)
    assert all(figure.fit for figure in found.values()), found
    twice = [*sound, dataclasses.replace(sound[0], attributes=sound[1].attributes)]
    assert not figures(twice, v2)["lines told twice"].fit
    silent = [e for e in sound if e.attributes["나이"] != "10대"]
    assert figures(silent, v2)["values never heard"].value == 1
    missing = [e for e in sound if (e.attributes["성격"], e.attributes["방문횟수"]) != ("야성형", "단골")]
    assert figures(missing, v2)["empty cells of personality, class, result and visit"].value == 12
    assert corpus_report.fitness(sound, v2, lambda e: e is not sound[5])[-1].value == 1


def test_over_represented_words_are_those_of_the_value(v2: Domain) -> None:
    attributes = v2.draw(200, 1)
    examples = [
        Example(a, f"{'시위를 당겼어요.' if a['모험가타입'] == '궁수' else '문을 열었어요.'} 활은 좋네요.", str(i))
        for i, a in enumerate(attributes)
    ]
    found = over_represented(examples, v2, "class")
    assert {k.word for k in found["궁수"]} == {"시위", "당기다"}
    assert not any(found[name] for name in ("전사", "도적", "마법사"))
    assert over_represented(examples, dataclasses.replace(v2, roles={}), "class") == {}


def test_item_names_are_no_keywords(v2: Domain) -> None:
    assert content_words("마법서 펴고 석궁을 빌렸어요", v2) == {"펴다", "빌리다"}


@pytest.mark.parametrize("name", ["weapon_rental", "weapon_rental_v1"])
def test_the_shipped_corpora_repeat_nothing(name: str) -> None:
    domain = load_domain(name)
    examples = corpus.read_examples(Path(corpus.__file__).parent / "data" / name / "corpus.jsonl", domain)
    found = corpus_report.statistics(examples, domain)
    assert (found["duplicate_lines"], found["near_duplicate_lines"]) == (0, 0)


def test_the_shipped_corpus_is_fit(v2: Domain) -> None:
    examples = corpus.read_examples(Path(corpus.__file__).parent / "data" / "weapon_rental" / "corpus.jsonl", v2)
    assert len(examples) >= 3000
    # The rules themselves are asked by test_checks, which is slower.
    assert all(figure.fit for figure in corpus_report.fitness(examples, v2, lambda _: True))
