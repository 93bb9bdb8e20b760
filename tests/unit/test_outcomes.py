"""The word that holds: the editor's, the majority's, or nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opinions import say, store_with

from preference_data.judgements import Judgement, Reason, judge, undo_last
from preference_data.outcomes import CLEAN, DISPUTED, UNCHECKED, Outcome, all_words, final_outcomes, kinds_of, verdicts_of_tasks
from preference_data.store import NewCandidate, Store, content_id
from preference_data.tasks import Task, all_tasks


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = store_with(tmp_path / "prefs.db", pairs=3, lines=2)
    yield made
    made.close()


def better(store: Store, task: Task, text: str) -> str:
    source = store.candidate(task.first_id, "")
    store.add_candidates([NewCandidate(source.attributes, text, {"kind": "edited"})])
    return content_id(task.prompt_id, text)


def test_more_than_half_decides_and_skips_have_no_vote(store: Store) -> None:
    task = all_tasks(store)[0]
    say(store, task, {"mina": "second", "junho": "first", "sora": "second", "yuri": "skip"})
    assert final_outcomes(store) == {task.id: Outcome("second", ("mina", "sora"))}


@pytest.mark.parametrize(
    "said", [("first", "second"), ("first", "first", "second", "tie"), ("first", "second", "tie"), ("first", "both_bad", "skip")]
)
def test_half_or_less_is_disputed(store: Store, said: tuple[str, ...]) -> None:
    task = all_tasks(store)[0]
    words = {str(number): word for number, word in enumerate(said)}
    say(store, task, words)
    assert final_outcomes(store)[task.id] == Outcome(DISPUTED, tuple(a for a, w in words.items() if w != "skip"))


def test_nobodys_opinion_is_no_outcome(store: Store) -> None:
    first, second, *_ = all_tasks(store)
    say(store, first, {"mina": Judgement("skip", flag=True)})
    say(store, second, {"mina": "first"})
    undo_last(store, "mina")
    assert final_outcomes(store) == {}


def test_the_second_round_never_counts(store: Store) -> None:
    first, second, *_ = all_tasks(store)
    say(store, first, {"mina": "first"})
    say(store, first, {"mina": "second", "junho": "second", "sora": "second"}, round=2)
    say(store, second, {"mina": Judgement("second", flag=True)}, round=2)
    assert final_outcomes(store) == {first.id: Outcome("first", ("mina",))}


def test_what_was_said_anew_or_taken_back_is_what_counts(store: Store) -> None:
    task = all_tasks(store)[0]
    say(store, task, {"mina": "first", "junho": "second"})
    say(store, task, {"mina": "second"})
    assert final_outcomes(store)[task.id].choice == "second"
    undo_last(store, "mina")
    assert final_outcomes(store)[task.id].choice == DISPUTED


def test_the_winners_bring_their_tags_and_their_latest_better_line(store: Store) -> None:
    task = all_tasks(store)[0]
    tone, josa, length = Reason("first", "tone_break", 0, 2), Reason("first", "josa_error"), Reason("second", "length")
    old, new, losing = (better(store, task, text) for text in ("어서 오세요.", "어서 오십시오.", "왔어?"))
    say(store, task, {"sora": Judgement("second", reasons=(tone, josa), edited=old)})
    say(store, task, {"mina": Judgement("second", reasons=(tone,), edited=new)})
    say(store, task, {"junho": Judgement("first", reasons=(length,), edited=losing, flag=True)})
    assert final_outcomes(store)[task.id] == Outcome("second", ("mina", "sora"), new, (josa, tone), flagged=True)


def test_mending_a_line_is_finding_it_bad(store: Store) -> None:
    *_, first, second = all_tasks(store)
    line = better(store, first, "어서 오세요.")
    say(store, first, {"mina": Judgement("fix", edited=line), "junho": "bad", "sora": "good"})
    say(store, second, {"mina": "bad", "junho": "good"})
    outcomes = final_outcomes(store)
    assert outcomes[first.id] == Outcome("fix", ("junho", "mina"), line)
    assert outcomes[second.id].choice == DISPUTED


def test_an_editor_has_the_last_word_and_takes_over_the_tags_of_those_who_are_right(store: Store) -> None:
    first, second, third, line, _ = all_tasks(store)
    tag, other = Reason("second", "josa_error"), Reason("first", "length")
    say(store, first, {"mina": Judgement("first", reasons=(tag,), flag=True), "junho": "second", "sora": "second"})
    say(store, second, {"mina": Judgement("tie", reasons=(tag,))})
    say(store, line, {"mina": Judgement("fix", edited=better(store, line, "어서 오세요."))})
    for task, word in (
        (first, Judgement("tie")),
        (first, Judgement("first")),
        (second, Judgement("tie", reasons=(other,), flag=True)),
        (third, Judgement("skip")),
        (line, Judgement("bad")),
    ):
        judge(store, task.id, "editor", word, kind="adjudicate")
    assert final_outcomes(store) == {
        first.id: Outcome("first", ("editor",), None, (tag,), adjudicated=True),
        second.id: Outcome("tie", ("editor",), None, (other,), flagged=True, adjudicated=True),
        third.id: Outcome("skip", ("editor",), adjudicated=True),
        line.id: Outcome("bad", ("editor",), adjudicated=True),
    }


def test_words_stand_by_task_in_the_order_of_showing(store: Store) -> None:
    first, second, *_ = all_tasks(store)
    say(store, second, {"sora": "tie", "mina": "first"})
    say(store, first, {"mina": "second"}, round=2)
    (one, two) = all_words(store)
    assert (one.task.id, one.opinions, list(one.again)) == (first.id, {}, ["mina"])
    assert (two.task.id, list(two.opinions.items())) == (second.id, [("mina", "first"), ("sora", "tie")])


def test_kinds_are_those_of_the_rejected_line_else_the_makers_reasons(store: Store) -> None:
    verdicts = verdicts_of_tasks(store)
    pair, *_, good, bad = all_tasks(store)
    assert (kinds_of(pair, verdicts), kinds_of(good, verdicts)) == (("tone_break",), (CLEAN,))
    assert kinds_of(bad, verdicts) == ("josa_error",)
    assert kinds_of(pair, {}) == (UNCHECKED,)
    first, second = pair.first_id, str(pair.second_id)
    chosen_breaks_a_rule = {"made_by": "pair", "chosen": second, "reasons": ["length", "length"]}
    made = Task("t", "pair", pair.prompt_id, first, second, chosen_breaks_a_rule)
    assert kinds_of(made, verdicts) == (CLEAN,)
    assert kinds_of(made, {}) == ("length",)
