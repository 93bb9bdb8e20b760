"""A store's file: made whole or not at all, opened, and brought up to this release's schema."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from preference_data.migrations import MIGRATIONS, migrate, require_sqlite, unknown_steps
from preference_data.store import Store, now

# How long a process waits for another one's transaction; all of ours are short.
_PATIENCE_MS = 30_000


def create_store(path: Path, domain_name: str) -> Store:
    """A new store for a domain. It is made under another name and gets its own when it is whole.

    Raises:
        UserError: the file is there already, or its folder isn't.
    """
    domain = load_domain(domain_name)
    there = UserError(f"{path}: there already; open it with the other commands, or choose another --store")
    if path.exists():
        raise there
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; make it first")
    with TemporaryDirectory(prefix=".npc-pref-", dir=path.absolute().parent) as folder:
        made = Path(folder) / path.name
        _fill_new(made, domain_name, domain)
        try:
            # Unlike a renaming, a link never puts this empty store over one that another process has made meanwhile.
            os.link(made, path)
        except FileExistsError as error:
            raise there from error
        except OSError:  # a file system without links, such as a memory stick's
            made.rename(path)
    return open_store(path)


def _fill_new(path: Path, domain_name: str, domain: Domain) -> None:
    with closing(_connect(path)) as db:
        migrate(db)
        store = Store(path, db, domain)
        with store.transaction():
            store.set_meta("domain", domain_name)
            store.set_meta("domain_name", domain.name)
            store.set_meta("domain_hash", domain.content_hash)
            store.set_meta("created_at", now())


def open_store(path: Path) -> Store:
    """An existing store, brought up to this release's schema.

    Raises:
        UserError: no such file, no store, or one that a newer release has written.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such store; make one with: npc-pref init --store {path}")
    db = _connect(path)
    try:
        is_store = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone()
    except sqlite3.DatabaseError as error:
        db.close()
        raise UserError(f"{path}: not a store of npc-pref ({error})") from error
    if not is_store:
        db.close()
        raise UserError(f"{path}: an SQLite file, but not a store of npc-pref; make one with: npc-pref init")
    newer = unknown_steps(db)
    if newer:
        db.close()
        raise UserError(f"{path}: written by a newer npc-align (it has {', '.join(newer)}); update npc-align")
    if len(MIGRATIONS) > db.execute("SELECT count(*) FROM migration").fetchone()[0]:
        migrate(db)
    return Store(path, db, load_domain(_domain_name(db, path)))


def _domain_name(db: sqlite3.Connection, path: Path) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = 'domain'").fetchone()
    if row is None:
        raise UserError(
            f"{path}: the store names no domain; it was not made whole. Remove it and run: npc-pref init --store {path}"
        )
    return str(row[0])


def _connect(path: Path) -> sqlite3.Connection:
    require_sqlite()
    # isolation_level None: transactions begin and end where this module says so, and nowhere else.
    db = sqlite3.connect(path, timeout=_PATIENCE_MS / 1000, isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        db.close()
        raise  # read-only, locked, no room: `options.opened` says so
    except sqlite3.DatabaseError as error:
        db.close()
        raise UserError(f"{path}: not a store of npc-pref ({error})") from error
    # A judgement that the screen calls saved must outlive a power cut, so every commit waits for the disk.
    db.execute("PRAGMA synchronous = FULL")
    return db
