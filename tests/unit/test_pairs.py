"""Pairs: which bad line is set against which good one, what is dropped, and what the whole is balanced to."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from npc_align.domain import load_domain
from npc_align.errors import UserError
from preference_data.balance import PERSONALITY_RATIO
from preference_data.candidates import check_rows
from preference_data.pairs import CORRUPTED, ON_POLICY, Limits, Line, PromptLines, build_pairs, similarity

DOMAIN = load_domain("weapon_rental")
PEOPLE = [str(p) for p in DOMAIN._values("personality")]
SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허"


def words(rng: random.Random, count: int = 5) -> str:
    """A line that is like no other."""
    return " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(count)) + "."


def prompt(number: int, bad: list[Line], good: int = 1) -> PromptLines:
    rng = random.Random(f"good {number}")
    written = tuple(Line(f"good {number}.{i}", words(rng)) for i in range(good))
    return PromptLines(f"prompt {number:04}", PEOPLE[number % len(PEOPLE)], written, tuple(bad))


def bad_lines(number: int, kinds: list[str], corrupted: bool = False) -> list[Line]:
    rng = random.Random(f"{number} {kinds} {corrupted}")
    name = CORRUPTED if corrupted else ON_POLICY
    return [Line(f"{name} {number}.{i}", words(rng), (kind,), name) for i, kind in enumerate(kinds)]


def one_sided(count: int = 90) -> list[PromptLines]:
    """What sampling brings, nearly all of one kind, with corruptions of three others beside it."""
    rows = []
    for number in range(count):
        sampled = bad_lines(number, ["tone_break"] * 3 if number % 9 else ["josa_error"])
        rows.append(prompt(number, sampled + bad_lines(number, ["foreign_text", "repetition", "mixed_speech"], corrupted=True)))
    return rows


def test_both_sides_belong_to_one_prompt_and_the_good_one_is_good() -> None:
    prompts = {p.id: p for p in one_sided()}
    pairs, _ = build_pairs(prompts.values(), Limits())
    for pair in pairs:
        assert pair.chosen in prompts[pair.prompt_id].good
        assert pair.rejected in prompts[pair.prompt_id].bad
        assert pair.reasons == pair.rejected.kinds


def test_the_good_line_is_the_one_nearest_in_length() -> None:
    good = (Line("short", "가나다라."), Line("long", "가나다라 마바사아 자차카타 파하거너."))
    ((pair,), _) = build_pairs(
        [PromptLines("p", "x", good, (Line("bad", "더러머버 서어저처 커터퍼허 라다나가.", ("length",)),))], Limits()
    )
    assert pair.chosen.id == "long"


def test_against_a_line_that_tells_of_the_quest_the_chosen_one_tells_of_it_too() -> None:
    """Else the policy would learn that it is safest to say nothing."""
    silent, telling = (
        Line("silent", "가나다라 마바사아."),
        Line("telling", "자차카타 파하거너 더러머버 서어저처.", tells_result=True),
    )
    texts = {"tells": "커터퍼허 라다나가.", "says nothing": "바마라다 나가하파."}
    bad = tuple(Line(name, text, ("tone_break",), tells_result=name == "tells") for name, text in texts.items())
    pairs, report = build_pairs([PromptLines("p", "x", (silent, telling), bad)], Limits())
    assert {pair.rejected.id: pair.chosen.id for pair in pairs} == {"tells": "telling", "says nothing": "silent"}
    assert report["tells_result"] == {"chosen": 1, "rejected": 1}


def test_a_wrong_result_is_set_against_the_right_one_or_nothing() -> None:
    """Beside another mistake, or where the wrong line is wrong by what it leaves out, silence is no lesson."""
    silent = Line("silent", "가나다라 마바사아.")
    texts = ("커터퍼허 라다나가.", "바마라다 나가하파.", "더러머버 서어저처.")
    wrong, also_rude, between_the_lines = texts
    bad = (
        Line("wrong", wrong, ("result_contradiction",), tells_result=True),
        Line("also rude", also_rude, ("banned_word", "result_contradiction"), tells_result=True),
        Line("between the lines", between_the_lines, ("result_contradiction",)),
    )
    pairs, report = build_pairs([PromptLines("p", "x", (silent,), bad)], Limits(per_prompt=9, kind_cap=1))
    assert {pair.rejected.id for pair in pairs} == {"also rude", "between the lines"}
    assert report["dropped"] == {"no good line tells the result": 1}


def test_what_makes_no_pair_is_dropped_and_counted() -> None:
    good = Line("good", "가나다라 마바사아 자차카타.")
    texts = [
        " 가나다라  마바사아 자차카타. ",
        "더러머버 서어저처 커터퍼허.",
        "더러머버 서어저처 커터퍼허. ",
        "음",
        "가나다라 마바사아 자차카타,",
        " ",
    ]
    bad = tuple(Line(str(i), text, ("tone_break",)) for i, text in enumerate(texts))
    pairs, report = build_pairs([PromptLines("p", "x", (good,), bad)], Limits(per_prompt=9, max_similarity=0.8))
    assert [pair.rejected.id for pair in pairs] == ["1"]
    assert report["dropped"] == {
        "same as the chosen line": 1,
        "said before, or empty": 2,
        "length too different": 1,
        "too similar": 1,
    }


def test_of_a_line_that_was_cut_off_the_length_is_no_objection() -> None:
    good, loop = Line("good", "가나다라 마바사아."), "지팡이로 " + "짚을 " * 30
    for finished, made in ((False, 1), (True, 0)):
        bad = (
            Line("loop", loop, ("repetition", "truncated"), finished=finished),
            Line("other", "더러머버 서어저처.", ("tone_break",)),
        )
        pairs, _ = build_pairs([PromptLines("p", "x", (good,), bad)], Limits(kind_cap=1))
        assert [pair.rejected.id for pair in pairs].count("loop") == made


def test_a_prompt_without_a_good_line_gives_no_pair() -> None:
    with pytest.raises(UserError, match=r"no good line: 3.*npc-pref generate"):
        build_pairs([PromptLines("p", "x", (), tuple(bad_lines(1, ["length"] * 3)))], Limits())


def test_samples_go_before_corruptions_and_mistakes_of_speech_before_mere_cuts() -> None:
    lines = bad_lines(1, ["truncated", "tone_break"]) + bad_lines(1, ["foreign_text"], corrupted=True)
    pairs, _ = build_pairs([prompt(1, lines)], Limits(per_prompt=1, kind_cap=1))
    assert [pair.reasons for pair in pairs] == [("tone_break",)]
    pairs, _ = build_pairs([prompt(1, lines)], Limits(per_prompt=2, kind_cap=1))
    assert {pair.reasons for pair in pairs} == {("tone_break",), ("truncated",)}


def test_a_second_pair_of_a_prompt_is_of_another_kind_where_there_is_one() -> None:
    pairs, _ = build_pairs([prompt(1, bad_lines(1, ["tone_break", "tone_break", "josa_error"]))], Limits(kind_cap=1))
    assert {pair.reasons for pair in pairs} == {("tone_break",), ("josa_error",)}


@pytest.mark.parametrize(
    "limits", [Limits(1), Limits(2), Limits(3), Limits(corrupted_share=0.2, kind_cap=0.8), Limits(kind_cap=0.5)]
)
def test_limits_hold_over_one_sided_samples(limits: Limits) -> None:
    pairs, report = build_pairs(one_sided(), limits)
    kinds = Counter(kind for pair in pairs for kind in pair.reasons)
    assert len(pairs) >= 60
    assert max(kinds.values()) <= limits.kind_cap * len(pairs)
    assert max(Counter(pair.prompt_id for pair in pairs).values()) <= limits.per_prompt
    assert sum(pair.corrupted for pair in pairs) <= limits.corrupted_share * len(pairs)
    assert max(report["personalities"].values()) <= math.ceil(
        PERSONALITY_RATIO * statistics.median(report["personalities"].values())
    )
    for pair in pairs:
        assert similarity(pair.chosen.text, pair.rejected.text) <= limits.max_similarity


def test_corruptions_that_have_to_go_leave_their_kinds_even() -> None:
    pairs, report = build_pairs(one_sided(), Limits(per_prompt=3))
    made = Counter(pair.reasons[0] for pair in pairs if pair.corrupted)
    assert len(made) == 3
    assert max(made.values()) - min(made.values()) <= 1
    assert report["origins"] == {"on policy": len(pairs) - made.total(), "corrupted": made.total()}


def test_personalities_come_in_like_shares() -> None:
    favoured = [prompt(number, bad_lines(number, ["tone_break"])) for number in range(0, 240, 6)]
    others = [prompt(number, bad_lines(number, ["tone_break"])) for number in range(1, 60) if number % 6]
    pairs, report = build_pairs(favoured + others, Limits(kind_cap=1))
    counts = report["personalities"]
    assert len(counts) == len(PEOPLE)
    assert max(counts.values()) <= math.ceil(PERSONALITY_RATIO * statistics.median(counts.values()))
    assert report["dropped"][f"too many {PEOPLE[0]}"] > 0
    assert len(pairs) == report["pairs"]


def test_a_rare_personality_or_few_kinds_do_not_empty_the_set() -> None:
    common = [prompt(number, bad_lines(number, ["tone_break", "josa_error", "length"])) for number in range(300) if number % 6]
    rare = [prompt(0, bad_lines(0, ["tone_break"]))]
    assert len(build_pairs(common + rare, Limits(per_prompt=1))[0]) > 240
    two_kinds = [prompt(number, bad_lines(number, ["tone_break"] if number % 20 else ["josa_error"])) for number in range(600)]
    pairs, _ = build_pairs(two_kinds, Limits(per_prompt=1))
    kinds = Counter(pair.reasons[0] for pair in pairs)
    assert kinds["tone_break"] == kinds["josa_error"] >= 25


def test_a_line_said_twice_is_not_the_same_line() -> None:
    assert similarity("다 끝났다.", "다 끝났다.") == 1
    assert similarity("다 끝났다.", "다 끝났다. 다 끝났다.") < 0.6


def test_the_seed_decides_and_nothing_else() -> None:
    first = build_pairs(one_sided(), Limits(), seed=5)
    assert build_pairs(one_sided(), Limits(), seed=5) == first
    assert build_pairs(one_sided(), Limits(), seed=6)[0] != first[0]


def test_the_report_counts_what_is_there() -> None:
    pairs, report = build_pairs(one_sided(), Limits())
    assert report["pairs"] == len(pairs)
    assert {kind: sum(origins.values()) for kind, origins in report["kinds"].items()} == Counter(
        k for p in pairs for k in p.reasons
    )
    difference = sum(len(p.chosen.text) - len(p.rejected.text) for p in pairs) / len(pairs)
    assert report["mean_length_difference"] == pytest.approx(difference, abs=0.01)


def test_prompts_are_read_one_at_a_time() -> None:
    """A store of any size goes through: nothing asks how many prompts there are."""

    def stream() -> Iterator[PromptLines]:
        yield from one_sided(12)

    assert build_pairs(stream(), Limits())[0] == build_pairs(one_sided(12), Limits())[0]


@pytest.mark.parametrize(
    "limits", [{"per_prompt": 0}, {"kind_cap": 1.2}, {"kind_cap": 0.3, "corrupted_share": 0.5}, {"max_similarity": -1}]
)
def test_impossible_limits_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"share|at least"):
        Limits(**limits)


# --- Checking the rows of a file

CUSTOMER = DOMAIN.probes[0]


def test_checking_keeps_keys_and_order_and_reads_both_forms() -> None:
    rows: list[dict[str, Any]] = [
        {"id": "b", "attributes": CUSTOMER, "line": "처음 왔는데 검 shop 맞나요?", "note": [1]},
        {"id": "a", **CUSTOMER, DOMAIN.line_key: "안녕하세요, 검 하나 보러 왔어요."},
    ]
    bad, good = check_rows(rows, DOMAIN)
    assert [bad["id"], bad["note"], good["id"]] == ["b", [1], "a"]
    assert "foreign_text" in {violation["kind"] for violation in bad["violations"]}
    assert set(bad["violations"][0]) == {"kind", "start", "end", "message"}
    assert good["violations"] == []


def test_checking_knows_what_the_length_limit_cut_off() -> None:
    row = {"attributes": CUSTOMER, "line": "안녕하세요, 검 하나", "finished": False}
    assert "truncated" in {violation["kind"] for violation in next(check_rows([row], DOMAIN))["violations"]}


@pytest.mark.parametrize("row", [{}, {"line": "네."}, {"attributes": {"x": 1}, "line": "네."}, {"attributes": {}, "line": "네."}])
def test_checking_refuses_what_is_no_candidate(row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="row 1"):
        next(check_rows([row], DOMAIN))


def corruptions(count: int = 120) -> list[PromptLines]:
    return [
        prompt(n, bad_lines(n, ["foreign_text", "repetition", "mixed_speech", "josa_error"], corrupted=True))
        for n in range(count)
    ]


def test_a_kind_named_in_the_mix_gets_so_many_times_as_many_pairs() -> None:
    limits = Limits(per_prompt=1, corrupted_share=1, kind_cap=1, mix={"repetition": 3})
    kinds = Counter(pair.reasons[0] for pair in build_pairs(corruptions(), limits)[0])
    assert kinds == {"repetition": 60, "foreign_text": 20, "mixed_speech": 20, "josa_error": 20}


def test_a_total_keeps_samples_before_corruptions_and_the_mix() -> None:
    prompts = [prompt(n, bad_lines(n, ["length"])) for n in range(200, 220)] + corruptions()
    pairs, report = build_pairs(prompts, Limits(per_prompt=1, kind_cap=1, mix={"repetition": 2}, total=70, corrupted_share=1))
    assert len(pairs) == 70
    assert report["origins"] == {ON_POLICY: 20, CORRUPTED: 50}
    kinds = Counter(pair.reasons[0] for pair in pairs if pair.corrupted)
    assert kinds == {"repetition": 20, "foreign_text": 10, "mixed_speech": 10, "josa_error": 10}


@pytest.mark.parametrize(("mix", "message"), [({"tone": 2.0}, "no such kind"), ({"tone_break": 0.0}, "above 0")])
def test_a_mix_that_makes_no_sense_is_refused(mix: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Limits(mix=mix)
