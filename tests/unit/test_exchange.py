"""Stores that travel and come back, stores that are ill, and the trail of a pair."""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from npc_align.cli import FriendlyGroup
from npc_align.domain import load_domain, shipped_file
from npc_align.errors import UserError
from preference_data import doctor, exchange_cli, judgements, tasks
from preference_data.exchange import merge, pack
from preference_data.judgements import Judgement, Reason, current, judge, undo_last
from preference_data.store import NewCandidate, Store, content_id, now
from preference_data.store_file import create_store, open_store

DOMAIN = load_domain("weapon_rental")
TABLES = ("prompt", "candidate", "task", "assignment", "event")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = create_store(tmp_path / "prefs.db", "weapon_rental")
    fill(made)
    yield made
    made.close()


def fill(store: Store) -> None:
    """Twelve pair tasks, over two prompts."""
    store.add_candidates(
        NewCandidate(attributes, f"{number}번째 대사입니다.", {"kind": "imported"}, "### User")
        for attributes in DOMAIN.probes[:2]
        for number in range(12)
    )
    found = list(store.candidates("none"))
    tasks.add_tasks(store, [(a.prompt_id, a.id, b.id, {}) for a, b in zip(found[::2], found[1::2], strict=True)])
    store.add_verdicts(store.rules, [(c.id, []) for c in found])
    store.add_verdicts("yesterday's", [(c.id, []) for c in found])


def run(command: str, *arguments: Any) -> Result:
    group = FriendlyGroup(commands=[exchange_cli.pack, exchange_cli.merge, exchange_cli.doctor, exchange_cli.log])
    return CliRunner().invoke(group, [command, *map(str, arguments)])


def dump(store: Store) -> dict[str, list[Any]]:
    """Everything but when a line was added, and what pack and check alone write."""
    content = {table: sorted(store.db.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}
    return {**content, "candidate": [row[:-1] for row in content["candidate"]]}


def packed(store: Store, annotator: str, path: Path) -> Store:
    pack(store, annotator, path)
    return open_store(path)


# --- pack


def test_a_pack_is_a_store_with_all_tasks_where_none_are_assigned(store: Store, tmp_path: Path) -> None:
    task = tasks.all_tasks(store)[0]
    judge(store, task.id, "min", Judgement("first"))
    judge(store, task.id, "lee", Judgement("second"))
    result = run("pack", "--store", store.path, "--annotator", "min", "--output", tmp_path / "out" / "min.db")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["min.db"]
    made = open_store(tmp_path / "out" / "min.db")
    assert tasks.queue(made, "min", "pair") == tasks.queue(store, "min", "pair")
    assert tasks.open_tasks(made, "min", "pair") == tasks.open_tasks(store, "min", "pair")
    assert {e.annotator for e in judgements.events(made)} == {"min"}
    assert list(made.candidates(made.rules)) == list(store.candidates(store.rules))
    assert made.db.execute("SELECT DISTINCT rules FROM verdict").fetchall() == [(store.rules,)]
    made.close()


def test_a_pack_holds_only_what_is_assigned_and_what_was_said(store: Store, tmp_path: Path) -> None:
    first, second, third, *_ = tasks.all_tasks(store)
    assert third.second_id is not None
    store.db.executemany("INSERT INTO assignment VALUES (?, ?, 1, 1)", [(first.id, "min"), (second.id, "lee"), (third.id, "lee")])
    judge(store, second.id, "min", Judgement("tie", edited=third.second_id))
    made = packed(store, "min", tmp_path / "min.db")
    assert {t.id for t in tasks.all_tasks(made)} == {first.id, second.id}
    assert [s.task.id for s in tasks.queue(made, "min", "pair")] == [first.id]
    lines = {first.first_id, first.second_id, second.first_id, second.second_id, third.second_id}
    assert {c.id for c in made.candidates("none")} == lines
    made.close()
    with pytest.raises(UserError, match="no task is assigned to 'cho', only to lee, min"):
        pack(store, "cho", tmp_path / "cho.db")
    with pytest.raises(UserError, match="there already"):
        pack(store, "min", tmp_path / "min.db")


def test_a_store_without_tasks_is_not_packed(tmp_path: Path) -> None:
    empty = create_store(tmp_path / "empty.db", "weapon_rental")
    with pytest.raises(UserError, match="npc-pref pair"):
        pack(empty, "min", tmp_path / "min.db")
    with pytest.raises(UserError, match="--annotator is empty"):
        pack(empty, " ", tmp_path / "min.db")
    assert not (tmp_path / "min.db").exists()
    empty.close()


def own_domain(folder: Path) -> Path:
    raw = yaml.safe_load(shipped_file("weapon_rental", "domain.yaml").read_text(encoding="utf-8"))
    path = folder / "game.yaml"
    path.write_text(yaml.safe_dump({**raw, "name": "game"}, allow_unicode=True), encoding="utf-8")
    return path


def test_a_studios_own_domain_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create_store(tmp_path / "prefs.db", str(own_domain(tmp_path)))
    fill(store)
    made = tmp_path / "sent" / "min.db"
    result = run("pack", "--store", store.path, "--annotator", "min", "--output", made)
    assert f"Send {made.with_name('min.domain.yaml')} along" in result.output
    (tmp_path / "elsewhere").mkdir()
    for file in (tmp_path / "sent").iterdir():
        file.rename(tmp_path / "elsewhere" / file.name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    writer = open_store(Path("min.db"))
    assert writer.domain.name == "game"
    judge(writer, tasks.all_tasks(writer)[0].id, "min", Judgement("first"))
    writer.close()
    monkeypatch.chdir(tmp_path)
    assert merge(store, tmp_path / "elsewhere" / "min.db").events == 1
    store.close()


# --- merge


def _work(store: Store, annotator: str, rng: random.Random) -> None:
    """A few judgements, undos and better lines, as label writes them."""
    for _ in range(rng.randrange(1, 5)):
        task = rng.choice(tasks.all_tasks(store))
        if rng.random() < 0.3:
            undo_last(store, annotator)
            continue
        edited = None
        if rng.random() < 0.5:
            line = f"고친 대사 {rng.randrange(3)}."  # sometimes two people write the same
            attributes = store.candidate(task.first_id, "none").attributes
            store.add_candidates([NewCandidate(attributes, line, {"kind": "edited", "by": annotator})])
            edited = content_id(task.prompt_id, line)
        judge(store, task.id, annotator, Judgement(rng.choice(judgements.PAIR_CHOICES), edited=edited))


def _copied(store: Store, path: Path) -> Store:
    with sqlite3.connect(path) as target:
        store.db.backup(target)
    target.close()
    return open_store(path)


@pytest.mark.parametrize("seed", range(4))
def test_merges_in_any_order_and_number_make_the_same_store(store: Store, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    if seed % 2:
        ids = [task.id for task in tasks.all_tasks(store)]
        for name in ("min", "lee"):
            rows = [(task_id, name, place) for place, task_id in enumerate(rng.sample(ids, 6))]
            store.db.executemany("INSERT INTO assignment VALUES (?, ?, 1, ?)", rows)
    # A person may have two packs, of different days, and label at home in the main store, too.
    packs = []
    for number, name in enumerate(["min", "lee", "min"]):
        packs.append(packed(store, name, tmp_path / f"{number}.db"))
        _work(store, rng.choice(["min", "lee", "cho"]), rng)
    for _ in range(2):
        for made, name in zip(packs, ["min", "lee", "min"], strict=True):
            _work(made, name, rng)
    for made in packs:
        made.close()
    said = {
        row[0] for path in [store.path, *tmp_path.glob("?.db")] for row in sqlite3.connect(path).execute("SELECT id FROM event")
    }
    ends = []
    for attempt in range(3):
        end = _copied(store, tmp_path / f"end{attempt}.db")
        for number in rng.sample([0, 1, 2] * 2, 6):
            merge(end, tmp_path / f"{number}.db")
        ends.append(dump(end))
        assert {row[0] for row in end.db.execute("SELECT id FROM event")} == said
        assert end.db.execute("PRAGMA foreign_key_check").fetchall() == []
        end.close()
    assert ends[0] == ends[1] == ends[2]
    # Files may be gathered on the way, too.
    gathered = open_store(tmp_path / "0.db")
    merge(gathered, tmp_path / "1.db")
    merge(gathered, tmp_path / "2.db")
    gathered.close()
    last = _copied(store, tmp_path / "last.db")
    merge(last, tmp_path / "0.db")
    assert dump(last) == ends[0]
    last.close()


def test_merging_brings_the_words_and_the_lines_back(store: Store, tmp_path: Path) -> None:
    writer = packed(store, "min", tmp_path / "min.db")
    task = tasks.all_tasks(writer)[0]
    better = NewCandidate(DOMAIN.probes[0], "더 나은 대사입니다.", {"kind": "edited", "by": "min"})
    writer.add_candidates([better])
    judge(writer, task.id, "min", Judgement("second", note="저장됨"))
    judge(writer, task.id, "min", Judgement("tie"))
    undo_last(writer, "min")
    before = (tmp_path / "min.db").read_bytes()
    result = run("merge", tmp_path / "min.db", "--store", store.path)  # while the writer's store is open
    assert result.exit_code == 0, result.output
    assert "3 new events (0 were here already), 0 new tasks, 1 new lines" in result.output
    held = current(store)[task.id, "min", 1].judgement
    assert held is not None
    assert (held.choice, held.note) == ("second", "저장됨")
    assert [c.origin for c in store.candidates("none", "c.line = ?", (better.line,))] == [better.origin]
    told = json.loads(run("merge", tmp_path / "min.db", "--store", store.path, "--json").output)
    assert (told["events"], told["known"], told["candidates"]) == (0, 3, 0)
    assert (tmp_path / "min.db").read_bytes() == before
    writer.close()


def test_judgements_of_one_person_on_two_machines_are_counted_and_kept(store: Store, tmp_path: Path) -> None:
    first, second, third, fourth, *_ = tasks.all_tasks(store)
    judge(store, fourth.id, "min", Judgement("first"))
    writer = packed(store, "min", tmp_path / "min.db")
    for task in (first, second, third):
        judge(store, task.id, "min", Judgement("first"))
    judge(writer, first.id, "min", Judgement("second"))
    judge(writer, second.id, "min", Judgement("first"))
    judge(writer, third.id, "lee", Judgement("tie"))
    judge(writer, fourth.id, "min", Judgement("tie"))  # knowing what was said before: a change of mind
    writer.close()
    merged = merge(store, tmp_path / "min.db")
    assert (merged.events, merged.conflicts, merged.differing) == (4, 2, 1)
    assert store.count("event") == 8
    assert merge(store, tmp_path / "min.db").conflicts == 0


def test_an_undo_may_come_before_what_it_takes_back(store: Store, tmp_path: Path) -> None:
    first, *_ = tasks.all_tasks(store)
    writer = packed(store, "min", tmp_path / "a.db")
    judged = judge(writer, first.id, "min", Judgement("first"))
    later = packed(writer, "min", tmp_path / "b.db")
    undo_last(later, "min")
    later.db.execute("DROP TRIGGER event_is_kept")
    later.db.execute("DELETE FROM event WHERE id = ?", (judged,))
    later.close()
    writer.close()
    assert merge(store, tmp_path / "b.db").orphans == 1
    assert [f.level for f in doctor.examine(store.path) if f.check == "undos"] == ["note"]
    assert merge(store, tmp_path / "a.db").orphans == 0
    assert current(store) == {}


def test_what_does_not_belong_is_refused_and_nothing_is_merged(store: Store, tmp_path: Path) -> None:
    other = create_store(tmp_path / "v1.db", "weapon_rental_v1")
    other.close()
    with pytest.raises(UserError, match=r"weapon_rental_v1' \(hash .*weapon_rental' \(hash"):
        merge(store, tmp_path / "v1.db")
    with pytest.raises(UserError, match="no such file"):
        merge(store, tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("활" * 2000, encoding="utf-8")
    with pytest.raises(UserError, match="not a store"):
        merge(store, tmp_path / "text.db")
    sqlite3.connect(tmp_path / "sqlite.db").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(UserError, match="not a store"):
        merge(store, tmp_path / "sqlite.db")
    before = dump(store)
    task = tasks.all_tasks(store)[0]
    tampering = {
        "newer npc-align": "INSERT INTO migration VALUES ('m999_of_tomorrow', '')",
        "can't be read": f"INSERT INTO event VALUES ('{uuid.uuid4().hex}', '{task.id}', 'min', 1, 'judge', '{{}}', '{now()}')",
        f"task {task.id} is another": "UPDATE task SET first_id = second_id, second_id = first_id",
    }
    for number, (message, statement) in enumerate(tampering.items()):
        writer = packed(store, "min", tmp_path / f"{number}.db")
        judge(writer, task.id, "min", Judgement("first"))
        writer.db.execute(statement)
        writer.close()
        with pytest.raises(UserError, match=message):
            merge(store, tmp_path / f"{number}.db")
    assert dump(store) == before


# --- doctor


def levels(path: Path) -> dict[str, str]:
    return {finding.check: finding.level for finding in doctor.examine(path)}


def test_a_healthy_store_is_told_to_be_so(store: Store) -> None:
    result = run("doctor", "--store", store.path, "--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["healthy"]) == (0, True)
    assert {finding["level"] for finding in told["findings"]} == {"ok"}


def test_what_is_worth_knowing_is_no_illness(store: Store) -> None:
    first, *_ = tasks.all_tasks(store)
    for name in ("min", "Min ", "lee"):
        judge(store, first.id, name, Judgement("first"))
    store.add_candidates([NewCandidate(DOMAIN.probes[0], "아직 안 봤소.", {"kind": "imported"})])
    store.set_meta("domain_hash", "0123")
    result = run("doctor", "--store", store.path)
    assert result.exit_code == 0, result.output
    assert "'Min ' and 'min'" in result.output
    found = levels(store.path)
    assert {check: level for check, level in found.items() if level != "ok"} == {
        "annotators": "warning",
        "verdicts": "note",
        "domain-hash": "warning",
    }


def test_an_ill_store_is_told_and_the_exit_code_says_so(store: Store, tmp_path: Path) -> None:
    first, *_ = tasks.all_tasks(store)
    store.db.execute("PRAGMA foreign_keys = OFF")
    store.db.execute("DELETE FROM candidate WHERE id = ?", (first.first_id,))
    store.db.execute("UPDATE prompt SET attributes = '{\"없던것\": 1}'")
    store.db.execute("INSERT INTO migration VALUES ('m999_of_tomorrow', '')")
    found = levels(store.path)
    assert {check for check, level in found.items() if level == "error"} == {"references", "migrations", "attributes", "tasks"}
    assert run("doctor", "--store", store.path).exit_code == 1
    store.set_meta("domain", str(tmp_path / "gone.yaml"))
    assert levels(store.path)["domain"] == "error"
    store.db.execute("DELETE FROM meta")
    assert levels(store.path)["domain"] == "error"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_the_doctor_changes_nothing(store: Store, tmp_path: Path, mode: str) -> None:
    store.db.execute(f"PRAGMA journal_mode = {mode}")
    store.close()
    before = bytes_of(tmp_path)
    found = levels(store.path)
    assert bytes_of(tmp_path) == before
    assert found["journal"] == ("ok" if mode == "WAL" else "error")


def test_the_doctor_sees_what_is_still_in_the_log(store: Store) -> None:
    store.db.execute("PRAGMA foreign_keys = OFF")
    store.db.execute("DELETE FROM candidate WHERE id = (SELECT first_id FROM task)")
    before = store.path.read_bytes()
    assert levels(store.path)["tasks"] == "error"
    assert store.path.read_bytes() == before


def test_a_damaged_file_is_told(store: Store, tmp_path: Path) -> None:
    store.close()
    content = bytearray(store.path.read_bytes())
    content[5000:9000] = b"\xff" * 4000
    (tmp_path / "damaged.db").write_bytes(content)
    (tmp_path / "text.db").write_text("활" * 2000, encoding="utf-8")
    for name in ("damaged.db", "text.db"):
        result = run("doctor", "--store", tmp_path / name)
        assert (result.exit_code, result.exception.__class__) == (1, SystemExit), result.output
        assert "error    integrity" in result.output


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("/home/min/prefs.db", None),
        ("/mnt/team/a/prefs.db", "nfs4 at /mnt/team"),
        ("/mnt/team/local/prefs.db", None),
        ("/mnt/with space/prefs.db", "fuse.sshfs at /mnt/with space"),
        ("/mnt/teams/prefs.db", None),
        ("//server/share/prefs.db", "//server/share/prefs.db"),
    ],
)
def test_a_network_share_is_known_by_its_mount(path: str, share: str | None) -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nserver:/team /mnt/team nfs4 rw 0 0\n/dev/sdb1 /mnt/team/local ext4 rw 0 0\n"
        "min@server: /mnt/with\\040space fuse.sshfs rw 0 0\n"
    )
    assert doctor.network_share(Path(path), mounts) == share


def test_a_store_on_a_share_is_ill(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mounts").write_text("//nas/team / cifs rw 0 0\n", encoding="utf-8")
    monkeypatch.setattr(doctor, "_MOUNTS", tmp_path / "mounts")
    result = run("doctor", "--store", store.path)
    assert result.exit_code == 1
    assert "network share (cifs at /)" in result.output


# --- log


def test_the_trail_of_a_pair_tells_everything(store: Store) -> None:
    task, *_ = tasks.all_tasks(store)
    store.add_verdicts(store.rules, [])
    reasons = (Reason("second", "tone_break", 0, 3),)
    taken_back = judge(store, task.id, "min", Judgement("first"))
    undo_last(store, "min")
    judge(store, task.id, "lee", Judgement("second", reasons=reasons, flag=True, edited=task.first_id, seconds=2.0))
    word = judge(store, task.id, "editor", Judgement("tie", note="둘 다 좋다"), kind="adjudicate")
    assert task.second_id is not None
    told = json.loads(run("log", task.id[:8], "--store", store.path, "--json").output)
    assert told == json.loads(run("log", "--candidate", task.first_id, "--store", store.path, "--json").output)
    both = ("--pair", task.second_id, task.first_id)
    assert told == json.loads(run("log", *both, "--store", store.path, "--json").output)
    (trail,) = told
    assert [(e["kind"], e["annotator"]) for e in trail["events"]] == [
        ("judge", "min"), ("undo", "min"), ("judge", "lee"), ("adjudicate", "editor"),
    ]  # fmt: skip
    assert trail["events"][0]["undone_by"] == trail["events"][1]["event"]
    assert trail["events"][1]["undoes"] == taken_back
    assert trail["adjudication"] == word
    assert trail["lines"]["first"]["origin"] == {"kind": "imported"}
    assert [v["today"] for v in trail["lines"]["second"]["verdicts"]].count(True) == 1
    result = run("log", task.id, "--store", store.path)
    assert result.exit_code == 0, result.exception
    text = result.output
    line = store.candidate(task.first_id, "none").line
    for part in (line, "taken back by", "second tone_break 0-3", "flagged", f"wrote '{line}'", "in 2.0 s", "the last word"):
        assert part in text


def test_an_id_that_means_nothing_is_told(store: Store) -> None:
    task, other, *_ = tasks.all_tasks(store)
    cases = {
        ("log", "ffff" * 5): "no task has this id",
        ("log", "활"): "is no id",
        ("log", "--candidate", "0" * 20): "no candidate has this id",
        ("log", "--pair", task.first_id, other.first_id): "in no task together",
        ("log",): "give one of",
    }
    for arguments, message in cases.items():
        result = run(*arguments, "--store", store.path)
        assert result.exit_code == 1
        assert message in result.output
