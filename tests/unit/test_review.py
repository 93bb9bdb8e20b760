"""What an editor is shown, in which order, and what their word becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opinions import say, store_with

from npc_align.violation import KINDS
from preference_data import people_cli, tasks
from preference_data.judgements import Judgement, Reason, adjudications, undo_last
from preference_data.outcomes import final_outcomes
from preference_data.people_stats import paces
from preference_data.review import CHECKER, DISAGREEMENT, FLAG, cases
from preference_data.store import NewCandidate, Store, content_id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = store_with(tmp_path / "prefs.db", pairs=8, lines=8)
    yield made
    made.close()


def review(store: Store, *arguments: str, typed: str = "") -> Result:
    result = CliRunner().invoke(people_cli.review, ["--store", str(store.path), *arguments], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def pairs(store: Store) -> list[tasks.Task]:
    """The first line of each is clean, the second one breaks a rule."""
    return tasks.all_tasks(store, "mode = 'pair'")


def lines(store: Store) -> tuple[list[tasks.Task], list[tasks.Task]]:
    """Single lines that break a rule, and clean ones."""
    single = tasks.all_tasks(store, "mode = 'line'")
    return single[::2], single[1::2]


def word(store: Store, task: tasks.Task) -> Judgement:
    found = adjudications(store)[task.id].judgement
    assert found is not None
    return found


def test_disagreements_flags_and_conflicts_most_telling_first(store: Store) -> None:
    agreed, mild, flagged, opposed, against, both, skipped, undone = pairs(store)
    say(store, agreed, {"mina": "first", "junho": "first"})
    say(store, mild, {"mina": "first", "junho": "tie"})
    say(store, flagged, {"mina": Judgement("first", flag=True)})
    say(store, opposed, {"mina": "first", "junho": "first", "sora": "second"})  # sora prefers the broken line, too
    say(store, against, {"mina": "second", "junho": "second"})
    say(store, both, {"mina": Judgement("second", flag=True), "junho": "first", "sora": "second"})
    say(store, skipped, {"mina": "skip", "junho": "first"})
    say(store, undone, {"mina": "second"})
    undo_last(store, "mina")
    say(store, undone, {"mina": "second"}, round=2)
    found = cases(store)
    assert [(c.words.task.id, c.causes, c.weight) for c in found] == [
        (both.id, (DISAGREEMENT, FLAG, CHECKER), 5),
        (opposed.id, (DISAGREEMENT, CHECKER), 3),
        (against.id, (CHECKER,), 2),
        (mild.id, (DISAGREEMENT,), 1),
        (flagged.id, (FLAG,), 1),
    ]
    assert found[1].conflicts == ("sora",)


def test_what_contradicts_the_checks(store: Store) -> None:
    (broken_a, broken_b, broken_c, _), (clean_a, clean_b, clean_c, _) = lines(store)
    tone = (Reason("first", "tone_break"),)
    say(store, broken_a, {"mina": "good"})
    say(store, broken_b, {"mina": "bad"})
    say(store, broken_c, {"mina": Judgement("bad", reasons=tone)})  # another kind, but the rules found a fault as well
    say(store, clean_a, {"mina": "bad"})
    say(store, clean_b, {"mina": Judgement("fix", reasons=tone)})
    say(store, clean_c, {"mina": "good"})
    pair, other, *_ = pairs(store)
    say(store, pair, {"mina": Judgement("both_bad", reasons=(Reason("second", "length"),))})
    say(store, other, {"mina": Judgement("first", reasons=tone)})  # the better one, though not without a fault
    assert {c.words.task.id for c in cases(store)} == {broken_a.id, clean_b.id, other.id}
    store.__dict__["rules"] = "tomorrow's"
    assert cases(store) == []


def test_an_editor_answers_leaves_and_goes_on(store: Store) -> None:
    a, b, c, d, *_ = pairs(store)
    for task in (a, b, c, d):
        say(store, task, {"mina": "first", "junho": "second"})
    shown = review(store, "--annotator", "편집자", typed="1 조사가 맞음\nㅅ\n\nq\n").output
    assert "[1/4]" in shown
    assert "의견이 갈림, 검사와 어긋남" in shown
    assert "1번째 인사를을 합니다." in shown
    assert "판정 2개를 저장했습니다. 남은 과제는 2개" in shown
    assert (word(store, a).choice, word(store, a).note) == ("first", "조사가 맞음")
    assert adjudications(store)[b.id].annotator == "편집자"
    assert word(store, b).choice == "tie"
    shown = review(store, "--annotator", "편집자", typed="9\nx\n").output
    assert "[1/2]" in shown
    assert [final_outcomes(store)[t.id].choice for t in (a, b, c, d)] == ["first", "tie", "both_bad", "skip"]
    assert "다시 볼 과제가 없습니다" in review(store, "--annotator", "편집자").output


def test_going_back_says_it_anew(store: Store) -> None:
    a, b, *_ = pairs(store)
    for task in (a, b):
        say(store, task, {"mina": "first", "junho": "second"})
    shown = review(store, "--annotator", "ed", "--lang", "en", typed="1\nu\n2\n0\n").output
    assert "2 words saved. 0 tasks are left" in shown
    assert (word(store, a).choice, word(store, b).choice) == ("second", "tie")


def test_a_word_is_taken_back_for_good_and_after_a_restart(store: Store) -> None:
    a, b, *_ = pairs(store)
    for task in (a, b):
        say(store, task, {"mina": "first", "junho": "second"})
    shown = review(store, "--annotator", "ed", typed="u\n1\n2\n").output
    assert "되돌릴 판정이 없습니다." in shown
    say(store, lines(store)[0][0], {"mina": "good"})
    shown = review(store, "--annotator", "ed", typed="u\nu\nq\n").output
    assert "되돌렸습니다: 2번이 낫다" in shown
    assert "되돌렸습니다: 1번이 낫다" in shown
    assert adjudications(store) == {}
    assert shown.rstrip().endswith("판정 0개를 저장했습니다. 남은 과제는 3개이고, 같은 명령으로 이어서 합니다.")
    assert store.count("event") == 4 + 1 + 2 + 2
    assert "ed" not in paces(store)
    review(store, "--annotator", "other", typed="u\n0\nq\n")
    assert len(adjudications(store)) == 1
    review(store, "--annotator", "ed", typed="u\nq\n")
    assert len(adjudications(store)) == 1, "another editor's word stays"


def test_an_editor_tags_reasons_as_annotators_do(store: Store) -> None:
    pair, single = pairs(store)[0], lines(store)[0][0]
    say(store, pair, {"mina": "first", "junho": "second"})
    say(store, single, {"mina": "good", "junho": "bad"})
    kinds = {kind: str(number) for number, kind in enumerate(KINDS, start=1)}
    one = f"r2\n{kinds['josa_error']}\n를을\nr1\n{kinds['length']}\n\nr1\n0\nr2\n{kinds['length']}\n없는 자리\n1\n"
    two = f"r\n{kinds['repetition']}\n\nr2\n2 메모\n"
    by_mode = {"pair": one, "line": two}
    shown = review(store, "--annotator", "ed", typed="".join(by_mode[c.words.task.mode] for c in cases(store))).output
    line = store.candidate(str(pair.second_id), "").line
    at = line.index("를을")
    assert word(store, pair) == replace(word(store, pair), choice="first", reasons=(Reason("second", "josa_error", at, at + 2),))
    assert word(store, single).reasons == (Reason("first", "repetition"),)
    assert word(store, single).note == "메모"
    assert "[2: 조사 틀림 (조사" in shown or "[2: 조사 틀림 「를을」]" in shown
    assert "대사에 그런 곳이 없습니다." in shown
    assert final_outcomes(store)[pair.id].reasons == (Reason("second", "josa_error", at, at + 2),)


def test_what_cannot_be_used_is_asked_again_and_the_end_of_input_keeps_what_was_said(store: Store) -> None:
    a, b, *_ = pairs(store)
    for task in (a, b):
        say(store, task, {"mina": "first", "junho": "second"})
    shown = review(store, "--annotator", "ed", typed="7\n가\nquit\n10\n2\n").output
    assert shown.count("모르는 답입니다") == 4
    assert set(adjudications(store)) == {a.id}
    assert "판정 1개를 저장했습니다" in shown


def test_a_better_line_is_written_or_taken_over(store: Store) -> None:
    (first, second, *_), _ = lines(store)
    pair = pairs(store)[0]
    source = store.candidate(first.first_id, "")
    store.add_candidates([NewCandidate(source.attributes, "어서 오세요.", {"kind": "edited", "by": "mina", "of": source.id})])
    taken = content_id(first.prompt_id, "어서 오세요.")
    say(store, first, {"mina": Judgement("fix", edited=taken), "junho": "good"})
    say(store, second, {"mina": "bad", "junho": "good"})
    say(store, pair, {"mina": "first", "junho": "tie"})
    typed = (
        "e\n1\n" + f"e\n{store.candidate(second.first_id, '').line}\ne\n  새로   쓴 대사입니다. \n" + "e2\n둘 다 고친 대사.\n9\n"
    )
    shown = review(store, "--annotator", "ed", typed=typed).output
    assert "1) 어서 오세요. (mina)" in shown
    assert "화면의 대사와 같습니다." in shown
    assert word(store, first).choice == "fix"
    assert word(store, first).edited == taken
    written = store.candidate(str(word(store, second).edited), "")
    assert written.line == "새로 쓴 대사입니다."
    assert written.origin == {"kind": "edited", "by": "ed", "of": second.first_id}
    assert (written.prompt_id, written.split_group) == (second.prompt_id, "g")
    assert word(store, pair).choice == "both_bad"
    assert store.candidate(str(word(store, pair).edited), "").origin["of"] == pair.second_id
    assert [final_outcomes(store)[t.id].choice for t in (first, second, pair)] == ["fix", "fix", "both_bad"]


def test_the_editor_sees_who_said_what(store: Store) -> None:
    task = pairs(store)[0]
    said = Judgement("second", reasons=(Reason("second", "josa_error", 6, 8),), flag=True, note="다시\x1b[2J", hints=True)
    say(store, task, {"mina": said, "junho": "first"})
    shown = review(store, "--annotator", "ed").output
    assert "mina: 2번이 낫다  [2: 조사 틀림 「를을」]  (다시 볼 대사로 표시)  (힌트를 보고 판정)" in shown
    assert "\x1b[2J" not in shown
    assert "검사: 말투 이탈" in shown


def test_the_list_ends_by_itself_and_comes_as_data(store: Store) -> None:
    task = pairs(store)[0]
    say(store, task, {"mina": Judgement("second", reasons=(Reason("first", "length"),)), "junho": "first"})
    assert "의견이 갈림" in review(store, "--list").output
    (row,) = json.loads(review(store, "--list", "--json").output)
    assert (row["task"], row["causes"], row["weight"]) == (task.id, [DISAGREEMENT, CHECKER], 3)
    assert row["lines"][1]["violations"][0]["kind"] == "tone_break"
    assert row["words"]["mina"]["reasons"] == [["first", "length"]]
    assert row["words"]["mina"]["against_the_checks"] is True
    assert adjudications(store) == {}


def test_mistakes_in_the_call_are_told(store: Store) -> None:
    assert "--annotator NAME" in review(store).output
    assert "--json goes with --list" in review(store, "--annotator", "ed", "--json").output
