"""Pace, balance, and the checks against what people tagged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from opinions import CYCLE, say, store_with

from preference_data import people_cli, tasks
from preference_data.assign import assign
from preference_data.judgements import Judgement, Reason, judge, undo_last
from preference_data.outcomes import all_words
from preference_data.people_stats import labels_of_lines, stats
from preference_data.store import Store

START = datetime(2025, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = store_with(tmp_path / "prefs.db", pairs=40, lines=24)
    yield made
    made.close()


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """From now on events happen so long after the start."""
    moment = (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
    monkeypatch.setattr("preference_data.judgements.now", lambda: moment)


def tagged(choice: str, *kinds: str, side: str = "second", hints: bool = False) -> Judgement:
    return Judgement(choice, reasons=tuple(Reason(side, kind) for kind in kinds), hints=hints)


def test_pauses_are_no_work_and_undone_words_are_no_result(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judgement every 20 seconds for 20 minutes, a night's pause in the middle; the last one taken back."""
    pairs = tasks.all_tasks(store, "mode = 'pair'")
    for number in range(60):
        at(monkeypatch, 20 * number + (43_200 if number >= 30 else 0))
        judge(store, pairs[number % 40].id, "mina", Judgement("first", seconds=20 if number % 2 else 10))
    at(monkeypatch, 20 * 60 + 43_200)
    undo_last(store, "mina")
    pace = stats(store)["annotators"]["mina"]
    # 58 gaps of 20 seconds, the undoing's 20, and the 10 seconds of the first act of each of the two sittings.
    assert pace.hours == pytest.approx((59 * 20 + 2 * 10) / 3600)
    assert pace.judgements == 40
    assert pace.per_hour == pytest.approx(40 / pace.hours)
    assert pace.seconds == 15


def test_progress_is_of_each_annotators_own_tasks(store: Store) -> None:
    loads = assign(store, ["mina", "junho"], 1)
    for shown in tasks.queue(store, "mina", "pair")[:12]:
        say(store, shown.task, {"mina": "first"}, round=shown.round)
    found = stats(store)["annotators"]
    assert (found["mina"].done, found["mina"].judgements) == (12, 12)
    assert (found["mina"].tasks, found["junho"].tasks) == tuple(load.tasks + load.repeats for load in loads.values())
    assert (found["junho"].done, found["junho"].seconds, found["junho"].per_hour) == (0, None, None)


def test_balance_counts_tasks_with_an_opinion_once(store: Store) -> None:
    judged = tasks.all_tasks(store)[:9]
    for task in judged:
        say(store, task, {"mina": "first", "junho": "second"})
    say(store, tasks.all_tasks(store)[9], {"mina": "skip"})
    judge(store, tasks.all_tasks(store)[-1].id, "editor", Judgement("good"), kind="adjudicate")
    found = stats(store)["judged"]
    assert found["mode"] == {"pair": 9, "line": 1}
    assert found["kind"] == {**dict.fromkeys(sorted(CYCLE), 3), "none": 1}
    attributes = {c.prompt_id: c.attributes for c in store.candidates("")}
    expected = [attributes[t.prompt_id]["모험가타입"] for t in [*judged, tasks.all_tasks(store)[-1]]]
    assert found["class"] == {value: expected.count(value) for value in found["class"]}
    assert sum(found["personality"].values()) == 10


def test_precision_and_recall_of_each_check(store: Store) -> None:
    """The second line of each of the 40 pairs breaks one of three rules; people agree on one, and find another kind on the next."""
    for number, task in enumerate(tasks.all_tasks(store, "mode = 'pair'")):
        said = {"tone_break": "tone_break", "josa_error": "repetition", "repetition": "repetition"}[CYCLE[number % 3]]
        say(store, task, {"mina": tagged("first", said)})
    found = stats(store)["checks"]
    assert list(found) == ["josa_error", "repetition", "tone_break"]
    figures = {kind: (c.right, c.false_alarms, c.missed, c.precision.value, c.recall.value) for kind, c in found.items()}
    assert figures == {
        "tone_break": (14, 0, 0, 1, 1),
        "josa_error": (0, 13, 0, 0, None),
        "repetition": (13, 0, 13, 1, 0.5),
    }
    assert found["josa_error"].recall.why == "too few"
    lines = {c.id: c.line for c in store.candidates("")}
    examples = found["repetition"].missed_examples
    assert len(examples) == 3
    assert all(lines[i] == line for i, line in examples)
    assert {i for i, _ in examples} <= {
        str(t.second_id) for n, t in enumerate(tasks.all_tasks(store)) if CYCLE[n % 3] == "josa_error"
    }


def test_what_is_a_label_and_what_is_not(store: Store) -> None:
    first, second, third, *_ = tasks.all_tasks(store, "mode = 'pair'")
    good, bad, mended, hinted, *_ = tasks.all_tasks(store, "mode = 'line'")
    say(store, first, {"mina": Judgement("second")})
    say(store, second, {"mina": tagged("both_bad", "length", "josa_error"), "junho": tagged("first", "length", hints=True)})
    say(store, second, {"sora": tagged("first", "truncated")}, round=2)
    say(store, third, {"mina": tagged("skip", "length")})
    say(store, good, {"mina": "good"})
    say(store, bad, {"mina": "bad"})
    say(store, mended, {"mina": tagged("fix", "broken_form", side="first")})
    say(store, hinted, {"mina": Judgement("good", hints=True)})
    assert labels_of_lines(all_words(store)) == {
        second.second_id: [frozenset({"length", "josa_error"})],
        good.first_id: [frozenset()],
        mended.first_id: [frozenset({"broken_form"})],
    }


def test_several_labels_vote_and_an_editor_overrules_them(store: Store) -> None:
    split, settled = tasks.all_tasks(store, "mode = 'line'")[:2]  # a line that breaks josa_error, and a clean one
    say(store, split, {"mina": "good", "junho": tagged("bad", "josa_error", side="first")})
    say(store, settled, {"mina": "good", "junho": "good"})
    assert stats(store)["checks"] == {}
    say(store, split, {"sora": tagged("bad", "josa_error", "length", side="first")})
    found = stats(store)["checks"]
    assert {kind: (c.right, c.false_alarms, c.missed) for kind, c in found.items()} == {"josa_error": (1, 0, 0)}
    judge(store, settled.id, "editor", tagged("bad", "tone_break", side="first"), kind="adjudicate")
    assert stats(store)["checks"]["tone_break"].missed == 1


def test_lines_without_todays_verdict_are_told_and_not_counted(store: Store) -> None:
    task = tasks.all_tasks(store)[0]
    say(store, task, {"mina": tagged("first", "josa_error")})
    store.__dict__["rules"] = "tomorrow's"
    assert (stats(store)["checks"], stats(store)["labelled_but_unchecked"]) == ({}, 1)


def test_the_command_prints_text_and_json(store: Store) -> None:
    empty = CliRunner().invoke(people_cli.stats, ["--store", str(store.path)])
    assert "npc-pref label" in empty.stdout
    for number, task in enumerate(tasks.all_tasks(store, "mode = 'pair'")):
        say(store, task, {"민아": tagged("first", CYCLE[number % 3] if number else "length")})
    result = CliRunner().invoke(people_cli.stats, ["--store", str(store.path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["annotators"]["민아"]["judgements"] == 40
    assert found["checks"]["length"]["missed_examples"][0][1] == "0번째 인사를을 합니다."
    text = CliRunner().invoke(people_cli.stats, ["--store", str(store.path)]).stdout
    assert "length, missed: 0번째 인사를을 합니다." in text
    assert "tone_break, false alarm: 0번째 인사를을 합니다." in text
    assert "personality: " in text
