"""What is wrong with a store, found without changing it and without trusting it."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from npc_align.domain import Domain, load_domain, nfc
from npc_align.errors import UserError
from preference_data.exchange import ORPHANS
from preference_data.migrations import MIGRATIONS, require_sqlite, unknown_steps
from preference_data.store import Store

_SHOWN = 5
_MOUNTS = Path("/proc/mounts")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs")


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        level: "ok"; "note": in order, and good to know; "warning": look at it, the store itself is sound; "error": the store can lose or
            garble something.
        message: what was found and what to do.
    """

    check: str
    level: str
    message: str


def examine(path: Path) -> list[Finding]:
    """All checks over a store, in a fixed order; where it isn't even a store, the checks that need one are left out.

    Raises:
        UserError: no such file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such store; make one with: npc-pref init --store {path}")
    require_sqlite()
    log = path.with_name(path.name + "-wal")
    if log.exists():
        return _examined(path, "mode=ro")
    # Nobody has it open, so it can be read without the two files that SQLite would put beside it, even from a read-only folder.
    findings = _examined(path, "mode=ro&immutable=1")
    # Somebody who opened it meanwhile may have changed it under our eyes.
    return _examined(path, "mode=ro") if log.exists() else findings


def _examined(path: Path, how: str) -> list[Finding]:
    findings = [_place(path)]
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)) as db:
        try:
            findings += [_integrity(db), _references(db), _journal(path), _migrations(db)]
        except sqlite3.DatabaseError as error:
            return [
                *findings,
                Finding("integrity", "error", f"not a store, or a damaged one ({error}); take the last copy of it"),
            ]
        domain, found = _domain(db)
        findings.append(found)
        if domain is not None:
            findings += [_domain_change(db, domain), _attributes(db, domain), _verdicts(Store(path, db, domain))]
        findings += [check(db) for check in (_tasks, _undos, _annotators)]
    return findings


# --- The file


def _integrity(db: sqlite3.Connection) -> Finding:
    told = [row[0] for row in db.execute("PRAGMA integrity_check")]
    if told == ["ok"]:
        return Finding("integrity", "ok", "the file is whole")
    return Finding(
        "integrity", "error", f"the file is damaged: {_some(told)}. Take the last copy of it, and merge what came since"
    )


def _references(db: sqlite3.Connection) -> Finding:
    broken = [f"{table} row {row} -> {parent}" for table, row, parent, _ in db.execute("PRAGMA foreign_key_check")]
    if broken:
        return Finding("references", "error", f"{len(broken)} rows refer to what isn't there: {_some(broken)}")
    return Finding("references", "ok", "every row that is referred to is there")


def _journal(path: Path) -> Finding:
    # https://www.sqlite.org/fileformat.html: the write and read versions in the header are 2 in WAL mode. SQLite's own answer would
    # need more than reading.
    with path.open("rb") as file:
        header = file.read(20)
    if header[18:] == b"\2\2":
        return Finding("journal", "ok", "write-ahead logging is on")
    return Finding(
        "journal", "error", "write-ahead logging is off: several programs on this file would wait or fail. Any command that opens the store "
        "turns it on; if this comes again, the place can't do it: move the store to a local disk",
    )  # fmt: skip


def _migrations(db: sqlite3.Connection) -> Finding:
    newer = unknown_steps(db)
    if newer:
        return Finding("migrations", "error", f"a newer npc-align took {', '.join(newer)}; update npc-align")
    taken = {name for (name,) in db.execute("SELECT name FROM migration")}
    missing = [name for name, _ in MIGRATIONS if name not in taken]
    if missing:
        return Finding("migrations", "note", f"of an older release; {', '.join(missing)} will be taken when a command opens it")
    return Finding("migrations", "ok", "the schema is this release's")


def _place(path: Path) -> Finding:
    share = network_share(path.resolve(), _MOUNTS.read_text(encoding="utf-8", errors="replace") if _MOUNTS.is_file() else "")
    if share is None:
        return Finding("place", "ok", "on a local disk")
    return Finding(
        "place", "error", f"on a network share ({share}), where SQLite's WAL fails and judgements can be lost; move the store to a local "
        "disk, and give people on other machines a file of their own: npc-pref pack",
    )  # fmt: skip


def network_share(path: Path, mounts: str) -> str | None:
    """The share that an absolute path lies on: a Windows UNC path, or a network mount of /proc/mounts; None for a local disk."""
    if str(path).startswith(("\\\\", "//")):
        return str(path)
    best = ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = [*line.split(), "", "", ""]
        point = point.replace("\\040", " ")
        # The mount on top of the others is the longest, and of equal ones the last.
        if (path == Path(point) or Path(point) in path.parents) and len(point) >= len(best[0]):
            best = (point, kind)
    return f"{best[1]} at {best[0]}" if best[1] in _NETWORK else None


# --- The domain


def _meta(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _domain(db: sqlite3.Connection) -> tuple[Domain | None, Finding]:
    name = _meta(db, "domain")
    if name is None:
        return None, Finding(
            "domain", "error", "the store names no domain: it was not made whole; remove it and run: npc-pref init"
        )
    try:
        return load_domain(name), Finding("domain", "ok", f"{name} can be loaded")
    except UserError as error:
        return None, Finding("domain", "error", f"the domain can't be loaded: {error}")


def _domain_change(db: sqlite3.Connection, domain: Domain) -> Finding:
    then = _meta(db, "domain_hash")
    if then is None:
        return Finding(
            "domain-hash", "note", "the store is older than this record: it doesn't say what the domain was when it was made"
        )
    if then == domain.content_hash:
        return Finding("domain-hash", "ok", "the domain is what it was when the store was made")
    return Finding(
        "domain-hash", "warning", f"the domain has changed since the store was made (hash {then} then, {domain.content_hash} now); "
        "earlier judgements were made by the earlier one. Bring the verdicts up to date: npc-pref check",
    )  # fmt: skip


def _attributes(db: sqlite3.Connection, domain: Domain) -> Finding:
    wrong = [
        f"prompt {prompt_id}: {problem}"
        for prompt_id, attributes in db.execute("SELECT id, attributes FROM prompt ORDER BY id")
        for problem in domain.problems(json.loads(attributes))[:1]
    ]
    if wrong:
        return Finding("attributes", "error", f"{len(wrong)} prompts are outside today's domain: {_some(wrong)}")
    return Finding("attributes", "ok", "every prompt is one of the domain")


def _verdicts(store: Store) -> Finding:
    count = store.unchecked(store.rules)
    if count:
        return Finding("verdicts", "note", f"{count} candidates have no verdict by today's rules; run: npc-pref check")
    return Finding("verdicts", "ok", "every candidate has a verdict by today's rules")


# --- What people do


def _tasks(db: sqlite3.Connection) -> Finding:
    gone = [
        task_id
        for (task_id,) in db.execute(
            "SELECT id FROM task t WHERE NOT EXISTS (SELECT 1 FROM candidate WHERE id = t.first_id) "
            "OR (t.second_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM candidate WHERE id = t.second_id)) ORDER BY id"
        )
    ]
    if gone:
        return Finding("tasks", "error", f"{len(gone)} tasks have lost a line: {_some(gone)}")
    return Finding("tasks", "ok", "every task has its lines")


def _undos(db: sqlite3.Connection) -> Finding:
    count = db.execute(ORPHANS).fetchone()[0]
    if count:
        return Finding(
            "undos", "note", f"{count} undos take back a judgement that isn't here; it may come with a later npc-pref merge"
        )
    return Finding("undos", "ok", "every undo has its judgement")


def _annotators(db: sqlite3.Connection) -> Finding:
    alike: dict[str, list[str]] = defaultdict(list)
    for (name,) in db.execute("SELECT annotator FROM event UNION SELECT annotator FROM assignment ORDER BY 1"):
        alike["".join(nfc(name).casefold().split())].append(repr(name))
    doubled = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if doubled:
        return Finding(
            "annotators",
            "warning",
            f"names that look the same count as different people: {_some(doubled)}; label under one of them",
        )
    return Finding("annotators", "ok", "no two names look the same")


def _some(things: list[str]) -> str:
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return f"{', '.join(things[:_SHOWN])}{more}"
