"""Stores that travel: a small file for a writer on another machine, and its way back.

What a merge leaves behind depends on the set of files that went into it, never on their order or number: what has an id of its content
is there once, events have ids of their own, and where two files tell a line's origin differently, the one that had it first is right.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from npc_align.domain import load_domain, nfc, shipped_domains
from npc_align.errors import UserError
from preference_data.judgements import events
from preference_data.migrations import migrate, unknown_steps
from preference_data.store import Store, now
from preference_data.store_file import create_store


@dataclass(frozen=True)
class Packed:
    """What went into a pack. `domain_file` lies beside it where the domain is a studio's own: both have to be sent."""

    tasks: int
    candidates: int
    events: int
    bytes: int
    domain_file: Path | None


@dataclass(frozen=True)
class Merged:
    """What a merge added.

    Attributes:
        events: judgements, undos and adjudications that the store didn't have.
        known: events that it had already.
        tasks: new tasks.
        candidates: new lines, such as those that people wrote.
        conflicts: tasks that one person judged on both machines, neither knowing of the other judgement. Both are kept; the later holds.
        differing: conflicts whose choices differ.
        orphans: undos in the store whose judgement isn't there (yet).
    """

    events: int
    known: int
    tasks: int
    candidates: int
    conflicts: int
    differing: int
    orphans: int


# --- Out


def pack(store: Store, annotator: str, output: Path) -> Packed:
    """Writes a store with what one person needs: their tasks, the lines of these, today's verdicts, and what they said so far.

    Raises:
        UserError: the output is there already, there are no tasks, or others have all of them.
    """
    annotator = nfc(annotator).strip()
    if output.exists():
        raise UserError(
            f"{output}: there already; it may hold judgements, so npc-pref merge it and remove it, or choose another --output"
        )
    _require_tasks(store, annotator)
    output.parent.mkdir(parents=True, exist_ok=True)
    domain_file = _copied_domain(store, output)
    with TemporaryDirectory(prefix=".npc-pref-", dir=output.parent) as folder:
        made = Path(folder) / output.name
        domain = store.meta("domain") if domain_file is None else str(domain_file)
        create_store(made, str(domain)).close()
        with _attached(store, made):
            counts = _fill(store, annotator, None if domain_file is None else domain_file.name)
        made.replace(output)
    return Packed(*counts, bytes=output.stat().st_size, domain_file=domain_file)


def _require_tasks(store: Store, annotator: str) -> None:
    if not annotator:
        raise UserError("--annotator is empty; the name that this person will label under is expected")
    if not store.count("task"):
        raise UserError(f"{store.path}: no tasks to send; make some with: npc-pref pair --store {store.path}")
    assigned = [name for (name,) in store.db.execute("SELECT DISTINCT annotator FROM assignment ORDER BY 1")]
    if assigned and annotator not in assigned:
        raise UserError(
            f"{store.path}: no task is assigned to {annotator!r}, only to {', '.join(assigned)}; run: npc-pref assign --store {store.path}"
        )


def _copied_domain(store: Store, output: Path) -> Path | None:
    """A studio's own domain file, beside the pack: a shipped domain is on every machine, a path of this one isn't."""
    named = str(store.meta("domain"))
    if named in shipped_domains():
        return None
    source = Path(named) / "domain.yaml" if Path(named).is_dir() else Path(named)
    copy = output.with_name(f"{output.stem}.domain.yaml")
    if copy.exists() and copy.read_bytes() != source.read_bytes():
        raise UserError(f"{copy}: there already, with another content; choose another --output")
    shutil.copyfile(source, copy)
    return copy


def _fill(store: Store, annotator: str, domain_name: str | None) -> tuple[int, int, int]:
    with store.transaction("DEFERRED") as db:
        for statement in _PACK:
            db.execute(statement, {"annotator": annotator, "rules": store.rules})
        told = {"packed_for": annotator, "packed_at": now(), "domain_hash": _domain_hash(store)}
        if domain_name is not None:
            told["domain"] = domain_name
        db.executemany("INSERT OR REPLACE INTO other.meta VALUES (?, ?)", told.items())
        counts = [db.execute(f"SELECT count(*) FROM other.{table}").fetchone()[0] for table in ("task", "candidate", "event")]
    return counts[0], counts[1], counts[2]


_ASSIGNED = (
    "NOT EXISTS (SELECT 1 FROM main.assignment) OR id IN (SELECT task_id FROM main.assignment WHERE annotator = :annotator)"
)
_EDITED = "SELECT json_extract(payload, '$.edited') FROM main.event WHERE annotator = :annotator"
_PACK = (
    # A task that was judged and given to somebody else since comes along for the history's sake; nobody is asked again.
    "CREATE TEMP TABLE wanted AS SELECT * FROM main.task "
    f"WHERE (NOT retired AND ({_ASSIGNED})) OR id IN (SELECT task_id FROM main.event WHERE annotator = :annotator)",
    "CREATE TEMP TABLE wanted_candidate AS SELECT * FROM main.candidate WHERE id IN "
    f"(SELECT first_id FROM wanted UNION SELECT second_id FROM wanted UNION {_EDITED})",
    "INSERT INTO other.prompt SELECT * FROM main.prompt "
    "WHERE id IN (SELECT prompt_id FROM wanted UNION SELECT prompt_id FROM wanted_candidate)",
    "INSERT INTO other.candidate SELECT * FROM wanted_candidate",
    "INSERT INTO other.verdict SELECT * FROM main.verdict WHERE rules = :rules AND candidate_id IN (SELECT id FROM wanted_candidate)",
    "INSERT INTO other.said_by SELECT * FROM main.said_by WHERE candidate_id IN (SELECT id FROM wanted_candidate)",
    "INSERT INTO other.task SELECT * FROM wanted",
    "INSERT INTO other.assignment SELECT * FROM main.assignment WHERE annotator = :annotator",
    "INSERT INTO other.event SELECT * FROM main.event WHERE annotator = :annotator",
    "INSERT OR IGNORE INTO other.meta SELECT * FROM main.meta",
    "DROP TABLE wanted_candidate",
    "DROP TABLE wanted",
)


# --- Back


def merge(store: Store, path: Path) -> Merged:
    """Takes in the events of another store, and what they speak of: all of it or nothing. The file stays as it is.

    Raises:
        UserError: no such file, no store, a store of another domain or of a newer release, or one that contradicts this one.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; npc-pref pack makes one")
    with TemporaryDirectory(prefix="npc-pref-") as folder:
        copy = Path(folder) / "other.db"
        _copy(path, copy)
        _check(store, path, copy)
        with _attached(store, copy):
            return _take(store, path)


def _copy(path: Path, copy: Path) -> None:
    """A copy of one moment, also of a store that somebody is labelling in; a copy can be brought up to this release's schema."""
    with closing(sqlite3.connect(copy)) as target:
        try:
            with closing(sqlite3.connect(path)) as source:
                source.backup(target)
            if not target.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone():
                raise UserError(f"{path}: an SQLite file, but not a store of npc-pref; npc-pref pack makes one")
        except sqlite3.DatabaseError as error:
            raise UserError(f"{path}: not a store of npc-pref ({error}); npc-pref pack makes one") from error
        newer = unknown_steps(target)
        if newer:
            raise UserError(f"{path}: written by a newer npc-align (it has {', '.join(newer)}); update npc-align")
        target.isolation_level = None
        migrate(target)


def _check(store: Store, path: Path, copy: Path) -> None:
    """Events are there for good, so nothing gets in that couldn't be read again."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        other = Store(path, db, store.domain)
        ours, theirs = _domain_hash(store), other.meta("domain_hash") or _loaded_hash(other)
        if ours != theirs:
            raise UserError(
                f"{path}: made for domain {other.meta('domain_name')!r} (hash {theirs}), and {store.path} for {store.domain.name!r} "
                f"(hash {ours}); judgements of another domain can't be merged. Give the store that this file was packed from with --store"
            )
        try:
            for _ in events(other, undone=True):
                pass
            broken = db.execute("PRAGMA foreign_key_check").fetchall()
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError, sqlite3.DatabaseError) as error:
            raise UserError(
                f"{path}: has an event that can't be read ({error!r}); nothing was merged. See: npc-pref doctor"
            ) from error
        if broken:
            raise UserError(f"{path}: {len(broken)} rows refer to what isn't there; nothing was merged. See: npc-pref doctor")


def _take(store: Store, path: Path) -> Merged:
    with store.transaction() as db:
        _require_agreement(db, path)
        before = {table: store.count(table) for table in ("event", "task", "candidate")}
        db.execute("CREATE TEMP TABLE arrived AS SELECT id FROM other.event WHERE id NOT IN (SELECT id FROM main.event)")
        for statement in _MERGE:
            db.execute(statement)
        conflicts, differing = db.execute(_CONFLICTS).fetchone()
        orphans = db.execute(ORPHANS).fetchone()[0]
        db.execute("DROP TABLE arrived")
        added = {table: store.count(table) - count for table, count in before.items()}
        known = db.execute("SELECT count(*) FROM other.event").fetchone()[0] - added["event"]
    return Merged(added["event"], known, added["task"], added["candidate"], conflicts, differing, orphans)


def _require_agreement(db: sqlite3.Connection, path: Path) -> None:
    """The same id must mean the same: a choice of "first" would mean the other line where the sides are swapped."""
    for what, query in _CONTRADICTIONS.items():
        row = db.execute(query).fetchone()
        if row is not None:
            raise UserError(
                f"{path}: {what} {row[0]} is another one here; nothing was merged. The files don't come from one store"
            )


_CONTRADICTIONS = {
    "task": "SELECT o.id FROM other.task o JOIN main.task m USING (id) WHERE o.first_id <> m.first_id OR o.mode <> m.mode",
    "event": "SELECT o.id FROM other.event o JOIN main.event m USING (id) "
    "WHERE (o.task_id, o.annotator, o.round, o.kind, o.payload, o.at) <> (m.task_id, m.annotator, m.round, m.kind, m.payload, m.at)",
    "line": "SELECT o.id FROM other.candidate o JOIN main.candidate m USING (id) WHERE o.line <> m.line OR o.prompt_id <> m.prompt_id",
}

# Of two rows with one id, what is kept is the smaller by some order, whichever came first: that makes the order of merges irrelevant.
_MERGE = (
    "INSERT INTO main.prompt SELECT * FROM other.prompt WHERE true ON CONFLICT (id) DO UPDATE SET split_group = "
    "coalesce(min(split_group, excluded.split_group), split_group, excluded.split_group)",
    "INSERT INTO main.candidate SELECT * FROM other.candidate WHERE true ON CONFLICT (id) DO UPDATE SET "
    "text = coalesce(min(text, excluded.text), text, excluded.text)",
    "UPDATE main.candidate SET (finished, origin, added_at) = (o.finished, o.origin, o.added_at) FROM other.candidate o "
    "WHERE o.id = candidate.id "
    "AND (o.added_at, o.origin, o.finished) < (candidate.added_at, candidate.origin, candidate.finished)",
    "INSERT INTO main.said_by SELECT * FROM other.said_by WHERE true "
    "ON CONFLICT (candidate_id, model) DO UPDATE SET at = max(at, excluded.at)",
    # Which pairs are current, and why, is for the store to say that pairing was run on: a pack may be older.
    "INSERT INTO main.task SELECT * FROM other.task WHERE true ON CONFLICT (id) DO NOTHING",
    "INSERT INTO main.event SELECT * FROM other.event WHERE id IN (SELECT id FROM arrived)",
)

_STANDING = (
    "SELECT * FROM main.event WHERE kind = 'judge' "
    "AND id NOT IN (SELECT json_extract(payload, '$.undoes') FROM main.event WHERE kind = 'undo')"
)
_CONFLICTS = f"""
WITH standing AS ({_STANDING}), conflict AS (
    SELECT max(json_extract(mine.payload, '$.choice') <> json_extract(theirs.payload, '$.choice')) AS differs
    FROM standing theirs JOIN standing mine USING (task_id, annotator, round)
    WHERE theirs.id IN (SELECT id FROM arrived) AND mine.id NOT IN (SELECT id FROM other.event)
    GROUP BY task_id, annotator, round
)
SELECT count(*), coalesce(sum(differs), 0) FROM conflict
"""
ORPHANS = (
    "SELECT count(*) FROM event undo LEFT JOIN event undone ON undone.id = json_extract(undo.payload, '$.undoes') "
    "WHERE undo.kind = 'undo' AND undone.id IS NULL"
)


# --- Both


def _domain_hash(store: Store) -> str:
    """Of the domain as it was when the store was made: mending a rule must not shut out what is being labelled meanwhile."""
    return store.meta("domain_hash") or store.domain.content_hash


def _loaded_hash(store: Store) -> str:
    return load_domain(str(store.meta("domain"))).content_hash


@contextmanager
def _attached(store: Store, path: Path) -> Iterator[None]:
    store.db.execute("ATTACH DATABASE ? AS other", (str(path),))
    try:
        yield
    finally:
        with suppress(sqlite3.OperationalError):  # must not hide what went wrong inside
            store.db.execute("DETACH DATABASE other")
