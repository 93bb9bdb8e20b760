"""Who judges what: evenly, the same every time, and without moving what was done."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from opinions import say, store_with

from npc_align.errors import UserError
from preference_data import people_cli, tasks
from preference_data.assign import assign
from preference_data.outcomes import kinds_of, verdicts_of_tasks
from preference_data.store import Store
from preference_data.store_file import open_store

PEOPLE = ("mina", "junho", "sora")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = store_with(tmp_path_factory.mktemp("assign") / "prefs.db", pairs=200, lines=20)
    made.close()
    return made.path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Iterator[Store]:
    copied = open_store(shutil.copy(template, tmp_path / "prefs.db"))
    yield copied
    copied.close()


def rows(store: Store) -> list[tuple[str, str, int, int]]:
    return store.db.execute("SELECT task_id, annotator, round, place FROM assignment ORDER BY 2, 4, 1, 3").fetchall()


def first_round(store: Store) -> dict[str, list[str]]:
    lists = defaultdict(list)
    for task_id, annotator, round, _ in rows(store):
        if round == 1:
            lists[annotator].append(task_id)
    return lists


def add_pairs(store: Store, count: int) -> None:
    """Pairs across the lines that are there."""
    by_prompt = defaultdict(list)
    for candidate in store.candidates(""):
        by_prompt[candidate.prompt_id].append(candidate.id)
    crossed = [(prompt_id, ids[n], ids[-1], {}) for prompt_id, ids in by_prompt.items() for n in (0, 1, 2, 3)]
    before = store.count("task")
    while store.count("task") < before + count:
        tasks.add_tasks(store, [crossed.pop()])
    assert store.count("task") == before + count


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_each_task_has_so_many_annotators_and_loads_are_even(store: Store, overlap: int) -> None:
    loads = assign(store, PEOPLE, overlap)
    lists = first_round(store)
    assert Counter(i for own in lists.values() for i in own) == {t.id: overlap for t in tasks.all_tasks(store, "mode = 'pair'")}
    assert {a: len(own) for a, own in lists.items()} == {a: load.tasks for a, load in loads.items()}
    assert max(map(len, lists.values())) - min(map(len, lists.values())) <= 1


def test_personalities_and_kinds_are_spread_evenly(store: Store) -> None:
    assign(store, PEOPLE, 2)
    verdicts, by_id = verdicts_of_tasks(store), {t.id: t for t in tasks.all_tasks(store)}
    personality = {c.prompt_id: c.attributes["성격"] for c in store.candidates("")}
    for name in (lambda t: personality[t.prompt_id], lambda t: kinds_of(t, verdicts)):
        counts = {a: Counter(name(by_id[i]) for i in own) for a, own in first_round(store).items()}
        for value in set().union(*counts.values()):
            found = [count[value] for count in counts.values()]
            assert max(found) - min(found) <= 3, (value, found)


def test_every_two_annotators_share_tasks(store: Store) -> None:
    assign(store, [*PEOPLE, "yuri"], 2)
    lists = {a: set(own) for a, own in first_round(store).items()}
    shared = [len(lists[a] & lists[b]) for a in lists for b in lists if a < b]
    assert len(shared) == 6
    assert min(shared) > 15


def test_a_share_comes_back_blind_at_a_distance(store: Store) -> None:
    loads = assign(store, PEOPLE, 2)
    repeated = 0
    for annotator in PEOPLE:
        order = [(s.task.id, s.round) for s in tasks.queue(store, annotator, "pair")]
        assert order == [(i, r) for i, a, r, _ in rows(store) if a == annotator]
        for place, (task_id, round) in enumerate(order):
            if round == 2:
                repeated += 1
                left = sum(r == 1 for _, r in order[order.index((task_id, 1)) :]) - 1
                assert place - order.index((task_id, 1)) >= min(tasks._DISTANCE, left)
    assert repeated == sum(load.repeats for load in loads.values())
    assert 0.02 < repeated / 400 < 0.09


def test_tasks_are_shown_in_the_order_of_their_place(store: Store) -> None:
    assign(store, PEOPLE, 2)
    order = [t.id for t in tasks.all_tasks(store)]
    for own in first_round(store).values():
        assert own == sorted(own, key=order.index)


def test_the_same_call_gives_the_same_and_a_second_one_nothing_new(store: Store, template: Path, tmp_path: Path) -> None:
    assign(store, PEOPLE, 2)
    before = rows(store)
    again = assign(store, PEOPLE, 2)
    assert rows(store) == before
    assert {load.new for load in again.values()} == {0}
    other = open_store(shutil.copy(template, tmp_path / "other.db"))
    assign(other, list(reversed(PEOPLE)), 2)
    assert rows(other) == before
    other.close()


def test_new_tasks_come_after_and_nothing_moves(store: Store) -> None:
    assign(store, PEOPLE, 2)
    before = first_round(store)
    for shown in tasks.queue(store, "mina", "pair")[:50]:
        say(store, shown.task, {"mina": "first"}, round=shown.round)
    judged = {(i, a, r) for i, a, r, _ in rows(store)} & {
        (s.task.id, "mina", s.round) for s in tasks.queue(store, "mina", "pair")[:50]
    }
    add_pairs(store, 40)
    loads = assign(store, PEOPLE, 2)
    after = first_round(store)
    assert {a: own[: len(before[a])] for a, own in after.items()} == before
    assert sum(load.new for load in loads.values()) == 80
    assert judged <= {(i, a, r) for i, a, r, _ in rows(store)}
    # Open work is evened out: who is ahead gets more of what is new.
    assert loads["mina"].new == 40


def test_a_newcomer_takes_over_what_nobody_has_judged(store: Store) -> None:
    assign(store, PEOPLE, 2)
    judged = [s.task for s in tasks.queue(store, "mina", "pair") if s.round == 1][:60]
    for task in judged:
        say(store, task, {"mina": "first"})
    before = first_round(store)
    loads = assign(store, [*PEOPLE, "yuri"], 2)
    after = first_round(store)
    assert {t.id for t in judged} <= set(after["mina"])
    assert Counter(i for own in after.values() for i in own) == Counter(i for own in before.values() for i in own)
    assert loads["yuri"].taken_over == loads["yuri"].open == sum(load.handed_over for load in loads.values()) > 60
    assert all(load.open - loads["yuri"].open <= 1 for load in loads.values())
    assert all(i in after[a] for a, own in after.items() if a != "yuri" for i in own)
    personality = {c.prompt_id: c.attributes["성격"] for c in store.candidates("")}
    by_id = {t.id: t for t in tasks.all_tasks(store)}
    whole = Counter(personality[t.prompt_id] for t in tasks.all_tasks(store, "mode = 'pair'"))
    taken = Counter(personality[by_id[i].prompt_id] for i in after["yuri"])
    for value, count in whole.items():
        assert abs(taken[value] / len(after["yuri"]) - count / 200) < 0.08
    assert not any(load.taken_over for load in assign(store, [*PEOPLE, "yuri"], 2).values())


def test_a_higher_overlap_adds_annotators_to_tasks(store: Store) -> None:
    assign(store, PEOPLE, 1)
    before = first_round(store)
    assign(store, PEOPLE, 3)
    after = first_round(store)
    assert all(set(own) <= set(after[a]) for a, own in before.items())
    assert {len(own) for own in after.values()} == {200}


def test_what_was_judged_before_counts_and_stays_with_its_judge(store: Store) -> None:
    early = tasks.all_tasks(store, "mode = 'pair'")[:30]
    for task in early:
        say(store, task, {"mina": "first", "someone else": "tie"})
    loads = assign(store, PEOPLE, 2)
    lists = first_round(store)
    assert {t.id for t in early} <= set(lists["mina"])
    assert not {t.id for t in early} & {*lists["junho"], *lists["sora"]}
    assert set(lists) == set(PEOPLE)
    assert len({load.open for load in loads.values()}) <= 2


def test_a_limit_gives_out_the_first_tasks_and_modes_stand_apart(store: Store) -> None:
    order = [t.id for t in tasks.all_tasks(store, "mode = 'pair'")]
    assign(store, PEOPLE, 1, limit=30)
    assert {i for own in first_round(store).values() for i in own} == set(order[:30])
    assign(store, PEOPLE, 1, limit=30)
    assert {i for own in first_round(store).values() for i in own} == set(order[:60])
    pairs = rows(store)
    assign(store, ["mina"], 1, "line")
    assert [s.task.mode for s in tasks.queue(store, "mina", "line") if s.round == 1] == ["line"] * 20
    assert set(pairs) <= set(rows(store))


@pytest.mark.parametrize(
    ("people", "overlap", "message"),
    [
        (["mina", "mina"], 1, "mina twice"),
        (["mina", ""], 1, "empty name"),
        (["mina", "junho"], 3, "1 to 2 are possible"),
        (["mina"], 0, "1 to 1 are possible"),
    ],
)
def test_mistakes_are_told_and_change_nothing(store: Store, people: list[str], overlap: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        assign(store, people, overlap)
    assert rows(store) == []


def test_without_tasks_it_says_what_to_do(tmp_path: Path) -> None:
    store = store_with(tmp_path / "lines.db", lines=3)
    with pytest.raises(UserError, match="--mode line"):
        assign(store, PEOPLE, 1)
    store.close()


def test_the_command_prints_what_each_has(store: Store) -> None:
    call = ["--store", str(store.path), "--annotators", "민아, junho", "--overlap", "2"]
    result = CliRunner().invoke(people_cli.assign, [*call, "--json"])
    assert result.exit_code == 0, result.output
    assert {name: load["new"] for name, load in json.loads(result.stdout).items()} == {"민아": 200, "junho": 200}
    result = CliRunner().invoke(people_cli.assign, call)
    assert "Nothing new" in result.stdout
    result = CliRunner().invoke(
        people_cli.assign, ["--store", str(store.path), "--annotators", "민아,junho,sora", "--overlap", "2"]
    )
    assert "pack" in result.stdout
