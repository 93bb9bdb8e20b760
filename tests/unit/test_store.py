"""The store: what is written stays, what is the same is one, and what people said can be told again in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from npc_align.domain import load_domain
from npc_align.errors import UserError
from preference_data import judgements, tasks
from preference_data.judgements import Judgement, Reason, current, judge, undo_last
from preference_data.migrations import MIGRATIONS, migrate
from preference_data.options import opened
from preference_data.store import NewCandidate, Store
from preference_data.store_file import create_store, open_store

DOMAIN = load_domain("weapon_rental")
RULES = "0123456789abcdef"
MANY = [
    NewCandidate(attributes, f"{number}번째 대사입니다.", {"kind": "imported"})
    for attributes in DOMAIN.probes
    for number in range(20)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = create_store(tmp_path / "prefs.db", "weapon_rental")
    yield made
    made.close()


def with_tasks(store: Store, count: int = 60) -> list[tasks.Task]:
    """The store with that many pair tasks."""
    store.add_candidates(MANY)
    found = list(store.candidates(RULES))
    pairs = [(a.prompt_id, a.id, b.id, {"made_by": "test"}) for a, b in zip(found[::2], found[1::2], strict=True)]
    tasks.add_tasks(store, pairs[:count])
    return tasks.all_tasks(store)


def test_a_store_is_found_again_with_its_domain_and_its_lines(store: Store) -> None:
    assert store.add_candidates(MANY) == 120
    assert store.add_candidates(MANY) == 0
    store.close()
    again = open_store(store.path)
    assert again.domain.content_hash == DOMAIN.content_hash
    assert {c.line for c in again.candidates(RULES)} == {c.line for c in MANY}
    assert again.count("prompt") == len(DOMAIN.probes)
    again.close()


def test_a_line_that_comes_again_keeps_its_origin_and_gains_what_was_unknown(store: Store) -> None:
    attributes = DOMAIN.probes[0]
    store.add_candidates([NewCandidate(attributes, "반갑습니다.", {"kind": "imported"})])
    store.add_candidates([NewCandidate(attributes, "반갑습니다.", {"kind": "sampled"}, text="### User", split_group="g")])
    (found,) = store.candidates(RULES)
    assert (found.origin, found.text, found.split_group) == ({"kind": "imported"}, "### User", "g")


def test_verdicts_belong_to_the_rules_that_gave_them(store: Store) -> None:
    store.add_candidates(MANY[:1])
    (candidate,) = store.candidates(RULES)
    assert candidate.violations is None
    store.add_verdicts(RULES, [(candidate.id, [])])
    store.add_verdicts("other", [(candidate.id, [{"kind": "length"}])])
    assert store.candidate(candidate.id, RULES).violations == ()
    assert store.candidate(candidate.id, "other").violations == ({"kind": "length"},)
    with pytest.raises(KeyError):
        store.candidate("nothing", RULES)


def test_the_history_can_be_added_to_and_nothing_else(store: Store) -> None:
    first, *_ = with_tasks(store)
    judge(store, first.id, "min", Judgement("first"))
    for statement in ("DELETE FROM event", "UPDATE event SET annotator = 'lee'"):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"):
            store.db.execute(statement)
    with pytest.raises(sqlite3.IntegrityError):
        judge(store, "no such task", "min", Judgement("first"))


def test_judging_again_replaces_and_undo_goes_all_the_way_back(store: Store) -> None:
    first, second, *_ = with_tasks(store)
    reasons = (Reason("second", "tone_break", 0, 3),)
    judge(store, first.id, "min", Judgement("first"))
    judge(store, first.id, "min", Judgement("second", reasons=reasons, flag=True, note="다시 보니", seconds=2.5))
    judge(store, second.id, "min", Judgement("tie"))
    judge(store, second.id, "lee", Judgement("skip"))
    held = current(store)
    assert held[first.id, "min", 1].judgement == Judgement("second", reasons=reasons, flag=True, note="다시 보니", seconds=2.5)
    assert len(held) == 3
    taken_back = [undo_last(store, "min") for _ in range(4)]
    assert [e and e.judgement and e.judgement.choice for e in taken_back] == ["tie", "second", "first", None]
    assert set(current(store)) == {(second.id, "lee", 1)}
    assert len(list(judgements.events(store, undone=True))) == 7


def test_a_clock_that_is_set_back_does_not_reorder_the_history(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = with_tasks(store)
    judge(store, first.id, "min", Judgement("first"))
    monkeypatch.setattr(judgements, "now", lambda: "2001-01-01T00:00:00.000000+00:00")
    judge(store, first.id, "min", Judgement("second"))
    judge(store, second.id, "min", Judgement("tie"))
    held = current(store)[first.id, "min", 1].judgement
    assert held is not None
    assert held.choice == "second"
    taken_back = undo_last(store, "min")
    assert taken_back is not None
    assert taken_back.task_id == second.id


def test_an_adjudication_is_not_the_annotators_own_word(store: Store) -> None:
    first, *_ = with_tasks(store)
    judge(store, first.id, "min", Judgement("first"))
    judge(store, first.id, "editor", Judgement("tie"), kind="adjudicate")
    assert set(current(store)) == {(first.id, "min", 1)}
    word = judgements.adjudications(store)[first.id].judgement
    assert word is not None
    assert word.choice == "tie"


def test_a_pair_is_one_task_whichever_line_comes_first(store: Store) -> None:
    first, *_ = with_tasks(store, 1)
    assert first.second_id is not None
    assert tasks.add_tasks(store, [(first.prompt_id, first.second_id, first.first_id, {})]) == 0
    assert tasks.add_tasks(store, [(first.prompt_id, first.first_id, None, {})]) == 1
    assert [t.mode for t in tasks.all_tasks(store)] == ["pair", "line"]


def test_a_queue_shows_every_task_once_and_a_few_again_at_a_distance(store: Store) -> None:
    made = with_tasks(store)
    shown = tasks.queue(store, "min", "pair")
    assert [s.task.id for s in shown if s.round == 1] == [t.id for t in made]
    assert shown == tasks.queue(store, "min", "pair")
    share = sum(len([s for s in tasks.with_repeats(made, str(i)) if s.round == 2]) for i in range(200)) / (200 * len(made))
    assert 0.04 < share < 0.06
    for annotator in map(str, range(50)):
        order = [(s.task.id, s.round) for s in tasks.with_repeats(made, annotator)]
        for task_id, round in order:
            if round == 2:
                distance = order.index((task_id, 2)) - order.index((task_id, 1))
                assert distance >= min(tasks._DISTANCE, len(made) - order.index((task_id, 1)))


def test_what_was_judged_is_off_the_queue_until_it_is_taken_back(store: Store) -> None:
    first, *_ = with_tasks(store)
    before = tasks.open_tasks(store, "min", "pair")
    judge(store, first.id, "min", Judgement("skip"))
    assert tasks.open_tasks(store, "min", "pair") == before[1:]
    assert tasks.open_tasks(store, "lee", "pair")[0].task.id == first.id
    undo_last(store, "min")
    assert tasks.open_tasks(store, "min", "pair") == before


def test_assigned_tasks_are_seen_by_those_who_have_them(store: Store) -> None:
    first, second, *_ = with_tasks(store)
    store.db.executemany(
        "INSERT INTO assignment VALUES (?, 'min', ?, ?)", [(second.id, 1, 1), (first.id, 1, 2), (second.id, 2, 3)]
    )
    assert [(s.task.id, s.round) for s in tasks.queue(store, "min", "pair")] == [(second.id, 1), (first.id, 1), (second.id, 2)]
    assert tasks.queue(store, "lee", "pair") == []


def test_sides_are_blind_and_the_same_every_time(store: Store) -> None:
    shown = tasks.with_repeats(with_tasks(store), "min") * 10
    lefts = [tasks.first_is_left(s, str(i)) for i, s in enumerate(shown)]
    assert 0.4 < sum(lefts) / len(lefts) < 0.6
    assert lefts == [tasks.first_is_left(s, str(i)) for i, s in enumerate(shown)]


def _write(path: Path, annotator: str, ids: list[str]) -> None:
    store = open_store(path)
    for task_id in ids:
        judge(store, task_id, annotator, Judgement("first"))
    store.close()


def test_four_writers_at_once_lose_and_double_nothing(store: Store) -> None:
    ids = [task.id for task in with_tasks(store)]
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(store.path, f"writer{n}", ids)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(current(store)) == store.count("event") == 4 * len(ids)


def _judge_and_tell(path: Path, ids: list[str], attempt: int, told: int) -> None:
    store = open_store(path)
    for number in range(10_000_000):
        judge(store, ids[number % len(ids)], "min", Judgement("first", note=f"{attempt}.{number}"))
        os.write(told, f"{attempt}.{number}\n".encode())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_what_was_shown_as_saved_survives_a_kill(store: Store) -> None:
    ids = [task.id for task in with_tasks(store)]
    path = store.path
    store.close()
    for attempt in range(10):
        reading, writing = os.pipe()
        process = multiprocessing.get_context("fork").Process(target=_judge_and_tell, args=(path, ids, attempt, writing))
        process.start()
        os.close(writing)
        told = os.read(reading, 1)  # it has begun
        time.sleep(0.003 * attempt)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        with os.fdopen(reading, "rb") as rest:
            said = (told + rest.read()).decode().splitlines()
        again = open_store(path)
        kept = {e.judgement.note for e in judgements.events(again) if e.judgement is not None}
        assert set(said) <= kept
        assert again.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        again.close()


def _make_and_die(path: Path, step: int) -> None:
    """`npc-pref init`, killed before its n-th step that touches the disk."""
    import preference_data.store_file as module

    counted = iter(range(100))
    real = {name: getattr(module, name) for name in ("_connect", "migrate", "now", "open_store")}

    def dying(name: str) -> object:
        def call(*arguments: object) -> object:
            if next(counted) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real[name](*arguments)

        return call

    for name in real:
        setattr(module, name, dying(name))
    create_store(path, "weapon_rental")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_killed_init_leaves_nothing_or_a_whole_store(tmp_path: Path) -> None:
    left = []
    for step in range(6):
        path = tmp_path / f"prefs{step}.db"
        process = multiprocessing.get_context("fork").Process(target=_make_and_die, args=(path, step))
        process.start()
        process.join()
        left.append(path.exists())
        if path.exists():
            store = open_store(path)
            assert store.meta("created_at") is not None
        else:
            store = create_store(path, "weapon_rental")
        assert store.add_candidates(MANY[:1]) == 1
        store.close()
    assert left == sorted(left)
    assert left[0] is False
    assert left[3] is True


def test_init_puts_no_store_over_one_that_came_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prefs.db"

    def somebody_is_faster(db: sqlite3.Connection) -> list[str]:
        monkeypatch.undo()
        other = create_store(path, "weapon_rental")
        other.add_candidates(MANY[:1])
        other.close()
        return migrate(db)

    monkeypatch.setattr("preference_data.store_file.migrate", somebody_is_faster)
    with pytest.raises(UserError, match="there already"):
        create_store(path, "weapon_rental")
    store = open_store(path)
    assert store.count("candidate") == 1
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["prefs.db"]


def test_an_old_sqlite_is_told(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.31.1")
    for attempt in (lambda: create_store(tmp_path / "new.db", "weapon_rental"), lambda: open_store(store.path)):
        with pytest.raises(UserError, match=r"brings SQLite 3\.31\.1, and the store needs 3\.37\.0 .* newer Python"):
            attempt()
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("forbidding", "told"),
    [
        ("PRAGMA query_only = ON", "read-only; make both writable"),
        ("PRAGMA max_page_count = 1", "the disk is full"),
    ],
)
def test_what_the_machine_forbids_is_told(store: Store, forbidding: str, told: str) -> None:
    store.close()
    with pytest.raises(UserError, match=told), opened(store.path) as again:
        _add_although(again, forbidding)
    with opened(store.path) as again:
        assert again.count("candidate") == 0


def _add_although(store: Store, forbidding: str) -> None:
    store.db.execute(forbidding)
    store.add_candidates(MANY)


def test_a_bug_keeps_its_own_words(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), opened(store.path) as again:
        again.db.execute("SELECT * FROM no_such_table")


def test_which_models_said_a_line_is_kept(store: Store) -> None:
    said = [
        NewCandidate(DOMAIN.probes[0], "반갑습니다.", {"kind": "sampled", "checkpoint": name}) for name in ("sft", "dpo", "sft")
    ]
    store.add_candidates(said)
    assert [row[0] for row in store.db.execute("SELECT model FROM said_by ORDER BY at")] == ["dpo", "sft"]
    (candidate,) = store.candidates(RULES)
    assert candidate.origin["checkpoint"] == "sft"


def test_what_is_unchecked_is_gone_through_once(store: Store) -> None:
    store.add_candidates(MANY)
    ids = sorted(c.id for c in store.candidates(RULES))
    first = store.next_unchecked(RULES, 50)
    assert [c.id for c in first] == ids[:50]
    assert [c.id for c in store.next_unchecked(RULES, 50, first[-1].id)] == ids[50:100]
    store.add_verdicts(RULES, [(ids[60], [])])
    assert [c.id for c in store.next_unchecked(RULES, 50, first[-1].id)] == ids[50:60] + ids[61:101]
    plan = " ".join(
        row[3]
        for row in store.db.execute("EXPLAIN QUERY PLAN SELECT c.id FROM candidate c WHERE c.id > '' ORDER BY c.id LIMIT 1")
    )
    assert "USING" in plan
    assert list(store.verdicts(RULES)) == [[]]


def test_a_store_of_the_first_days_is_brought_up_to_date(store: Store) -> None:
    """Its tasks had no `retired`, and it had only taken the first step."""
    origin = {"kind": "sampled", "checkpoint": "sft"}
    store.add_candidates([NewCandidate(DOMAIN.probes[0], "반갑습니다.", origin)])
    with store.transaction() as db:
        for statement in ("DROP TABLE said_by", "DROP TABLE likelihood", "ALTER TABLE task DROP COLUMN retired"):
            db.execute(statement)
        db.execute("DELETE FROM migration WHERE name <> 'm001_first'")
    store.close()
    again = open_store(store.path)
    assert tasks.all_tasks(again, "NOT retired") == []
    assert [row[0] for row in again.db.execute("SELECT model FROM said_by")] == ["sft"]
    again.close()


def test_an_edit_stands_as_long_as_its_judgement(store: Store) -> None:
    first, second, *_ = with_tasks(store)
    judge(store, first.id, "min", Judgement("first", edited=first.first_id))
    judge(store, second.id, "editor", Judgement("fix", edited=second.first_id), kind="adjudicate")
    assert judgements.standing_edits(store) == {first.first_id, second.first_id}
    undo_last(store, "min")
    assert judgements.standing_edits(store) == {second.first_id}


def test_what_is_no_store_is_told(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UserError, match="npc-pref init"):
        open_store(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("활" * 2000, encoding="utf-8")
    with pytest.raises(UserError, match="not a store"):
        open_store(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(UserError, match="not a store"):
        open_store(tmp_path / "other.db")
    with pytest.raises(UserError, match="there already"):
        create_store(store.path, "weapon_rental")
    with pytest.raises(UserError, match="no such folder"):
        create_store(tmp_path / "nowhere" / "prefs.db", "weapon_rental")
    with store.transaction() as db:
        db.execute("INSERT INTO migration VALUES ('m999_of_tomorrow', '')")
    with pytest.raises(UserError, match="newer npc-align"):
        open_store(store.path)


def test_an_older_store_is_brought_up_to_date(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_candidates(MANY)
    store.close()
    step = ("m999_later", lambda db: db.execute("ALTER TABLE task ADD COLUMN later TEXT"))
    monkeypatch.setattr("preference_data.store_file.MIGRATIONS", [*MIGRATIONS, step])
    monkeypatch.setattr("preference_data.migrations.MIGRATIONS", [*MIGRATIONS, step])
    again = open_store(store.path)
    assert "later" in {row[1] for row in again.db.execute("PRAGMA table_info(task)")}
    assert again.count("candidate") == 120
    again.close()
