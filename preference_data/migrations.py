"""The store's schema, as a list of named steps. A store knows which steps it has taken; a new release adds steps and changes none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

from npc_align.errors import UserError

# STRICT tables, which the schema is made of, came with 3.37 (November 2021).
_SQLITE_NEEDED = (3, 37, 0)

Migration = Callable[[sqlite3.Connection], None]


def m001_first(db: sqlite3.Connection) -> None:
    """Prompts, candidate lines, the checks' verdicts, tasks for people, and what people said, in order and for good."""
    for statement in _FIRST.split(";;"):
        db.execute(statement)


_FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;;
CREATE TABLE prompt (
    id TEXT PRIMARY KEY,            -- hash of the attribute combination
    attributes TEXT NOT NULL,       -- JSON object
    split_group TEXT                -- of the corpus' splits; NULL where the prompt is in no corpus
) STRICT;;
CREATE TABLE candidate (
    id TEXT PRIMARY KEY,            -- hash of prompt and line: the same line for the same prompt is one candidate
    prompt_id TEXT NOT NULL REFERENCES prompt (id),
    line TEXT NOT NULL,
    text TEXT,                      -- the prompt as the model saw it; NULL where no model did
    finished INTEGER NOT NULL DEFAULT 1 CHECK (finished IN (0, 1)),
    origin TEXT NOT NULL,           -- JSON object: kind (corpus, sampled, corrupted, imported, edited) and its particulars
    added_at TEXT NOT NULL
) STRICT;;
CREATE INDEX candidate_by_prompt ON candidate (prompt_id);;
CREATE TABLE verdict (
    candidate_id TEXT NOT NULL REFERENCES candidate (id),
    rules TEXT NOT NULL,            -- hash of the rules and the domain
    violations TEXT NOT NULL,       -- JSON list
    PRIMARY KEY (candidate_id, rules)
) STRICT, WITHOUT ROWID;;
CREATE TABLE task (
    id TEXT PRIMARY KEY,            -- hash of mode and candidates
    mode TEXT NOT NULL CHECK (mode IN ('pair', 'line')),
    prompt_id TEXT NOT NULL REFERENCES prompt (id),
    first_id TEXT NOT NULL REFERENCES candidate (id),
    second_id TEXT REFERENCES candidate (id),
    place INTEGER NOT NULL,         -- order in which tasks are shown
    detail TEXT NOT NULL,           -- JSON object: who made it and why
    retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1)),   -- no longer put before people; never deleted, someone may have it open
    CHECK ((mode = 'pair') = (second_id IS NOT NULL)),
    CHECK (second_id IS NULL OR second_id <> first_id)
) STRICT;;
CREATE INDEX task_by_place ON task (place, id);;
CREATE TABLE assignment (
    task_id TEXT NOT NULL REFERENCES task (id),
    annotator TEXT NOT NULL,
    round INTEGER NOT NULL DEFAULT 1 CHECK (round IN (1, 2)),   -- 2: shown again, blind, for self-consistency
    place INTEGER NOT NULL,
    PRIMARY KEY (task_id, annotator, round)
) STRICT, WITHOUT ROWID;;
CREATE TABLE event (
    id TEXT PRIMARY KEY,            -- random: events of several machines never collide
    task_id TEXT NOT NULL REFERENCES task (id),
    annotator TEXT NOT NULL,
    round INTEGER NOT NULL DEFAULT 1,
    kind TEXT NOT NULL CHECK (kind IN ('judge', 'undo', 'adjudicate')),
    payload TEXT NOT NULL,          -- JSON object
    at TEXT NOT NULL                -- UTC, ISO 8601 with microseconds
) STRICT;;
CREATE INDEX event_by_annotator ON event (annotator, at);;
CREATE INDEX event_by_task ON event (task_id, annotator, round);;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END
"""


def m002_retired(db: sqlite3.Connection) -> None:
    """Stores of the first days have no such column: their tasks were deleted instead."""
    if "retired" not in {row[1] for row in db.execute("PRAGMA table_info(task)")}:
        db.execute("ALTER TABLE task ADD COLUMN retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1))")


def m003_models(db: sqlite3.Connection) -> None:
    """Which models said a line (its origin tells of the first one only), and how likely a model holds it."""
    for statement in _MODELS.split(";;"):
        db.execute(statement)


_MODELS = """
CREATE TABLE said_by (
    candidate_id TEXT NOT NULL REFERENCES candidate (id),
    model TEXT NOT NULL,            -- as the origin's "checkpoint" calls it
    at TEXT NOT NULL,               -- the last time
    PRIMARY KEY (candidate_id, model)
) STRICT, WITHOUT ROWID;;
INSERT INTO said_by SELECT id, json_extract(origin, '$.checkpoint'), added_at FROM candidate
WHERE json_extract(origin, '$.kind') = 'sampled' AND json_type(origin, '$.checkpoint') = 'text';;
CREATE TABLE likelihood (
    candidate_id TEXT NOT NULL REFERENCES candidate (id),
    model TEXT NOT NULL,            -- hash of the weights and of the prompt's form
    log_probability REAL NOT NULL,  -- of the whole line, its stop token included; natural logarithm
    tokens INTEGER NOT NULL,
    PRIMARY KEY (candidate_id, model)
) STRICT, WITHOUT ROWID
"""

MIGRATIONS: list[tuple[str, Migration]] = [
    ("m001_first", m001_first),
    ("m002_retired", m002_retired),
    ("m003_models", m003_models),
]


def require_sqlite() -> None:
    """
    Raises:
        UserError: the SQLite that this Python was built with is too old for the schema.
    """
    if sqlite3.sqlite_version_info < _SQLITE_NEEDED:
        raise UserError(
            f"this Python brings SQLite {sqlite3.sqlite_version}, and the store needs {'.'.join(map(str, _SQLITE_NEEDED))} (2021) or newer; "
            "install npc-align into a newer Python: one from python.org, `uv python install 3.12`, or `conda install 'sqlite>=3.37'`"
        )


def migrate(db: sqlite3.Connection) -> list[str]:
    """Takes the steps that the store hasn't taken, all of them or none, and returns their names."""
    with db:
        # Taken before the list is read: two processes that open a new store must not both find it empty.
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, taken_at TEXT NOT NULL) STRICT")
        taken = {name for (name,) in db.execute("SELECT name FROM migration")}
        new = [(name, step) for name, step in MIGRATIONS if name not in taken]
        for name, step in new:
            step(db)
            db.execute("INSERT INTO migration VALUES (?, ?)", (name, datetime.now(UTC).isoformat()))
    return [name for name, _ in new]


def unknown_steps(db: sqlite3.Connection) -> list[str]:
    """Steps that a newer release took and this one doesn't know."""
    known = {name for name, _ in MIGRATIONS}
    return [name for (name,) in db.execute("SELECT name FROM migration ORDER BY name") if name not in known]
