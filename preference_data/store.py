"""The project's store: one SQLite file with candidates, verdicts, tasks and everything that people said.

Several processes work on one file: it is in WAL mode, every change is one short transaction, and a judgement is on disk before
the screen says so. What is identified by its content (prompts, candidates, tasks) has a hash of it as its id, so that adding a
thing twice, or merging two stores in any order, adds it once.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError

_BATCH = 1_000


@dataclass(frozen=True)
class Candidate:
    """A line for a prompt, with where it came from; `violations` is None until it has been checked by today's rules."""

    id: str
    prompt_id: str
    attributes: Attributes
    line: str
    origin: Mapping[str, Any]
    text: str | None = None
    finished: bool = True
    split_group: str | None = None
    violations: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True)
class NewCandidate:
    """What `Store.add_candidates` takes: a line, its attributes and where it came from."""

    attributes: Attributes
    line: str
    origin: Mapping[str, Any]
    text: str | None = None
    finished: bool = True
    split_group: str | None = None


class Store:
    """An open store; `store_file.py` makes and opens one."""

    def __init__(self, path: Path, db: sqlite3.Connection, domain: Domain) -> None:
        self.path = path
        self.db = db
        self.domain = domain

    def close(self) -> None:
        self.db.close()

    @cached_property
    def rules(self) -> str:
        """Hash of today's rules and the store's domain: whose verdicts count."""
        # Imported here: labelling asks for no verdict until somebody wants hints, and the checks take a quarter of a second to load.
        from npc_align.checks import rules_hash

        return rules_hash(self.domain)

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """All that happens inside is on disk afterwards, or nothing is. DEFERRED: one moment of the store, whoever else is writing."""
        self.db.execute(f"BEGIN {kind}")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:  # whatever ends the block, Ctrl-C too, nothing half is kept; raised again
            if self.db.in_transaction:  # a full disk ends it by itself
                self.db.execute("ROLLBACK")
            raise

    def meta(self, key: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def set_meta(self, key: str, value: str) -> None:
        self.db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))

    def check_prompts(self) -> None:
        """
        Raises:
            UserError: the domain file has changed so that a prompt of the store no longer fits it.
        """
        for (attributes,) in self.db.execute("SELECT attributes FROM prompt"):
            problems = self.domain.problems(json.loads(attributes))
            if problems:
                raise UserError(
                    f"{self.path}: a prompt in it no longer fits the domain {self.domain.name!r}: {problems[0]}; take the change of "
                    "the domain file back, or make a new store (npc-pref doctor says more)"
                )

    # --- Candidates

    def add_candidates(self, candidates: Iterable[NewCandidate]) -> int:
        """Adds what isn't there yet, a batch to a transaction, and returns how many were new.

        A line that is there already keeps its origin, unless it turns out to be the corpus', and takes the prompt's text and the split
        group if it had none. Which models said it, `said_by` tells.
        """
        new, batch = 0, []
        for candidate in candidates:
            batch.append(candidate)
            if len(batch) == _BATCH:
                new += self._add_batch(batch)
                batch = []
        return new + self._add_batch(batch)

    def _add_batch(self, batch: list[NewCandidate]) -> int:
        with self.transaction() as db:
            before = db.execute("SELECT count(*) FROM candidate").fetchone()[0]
            for c in batch:
                prompt_id = self.prompt_id(c.attributes)
                db.execute(
                    "INSERT INTO prompt VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET split_group = coalesce(split_group, excluded.split_group)",
                    (prompt_id, self.domain.combination(c.attributes), c.split_group),
                )
                db.execute(
                    "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET text = coalesce(text, excluded.text), "
                    # A sample that repeats a corpus line is that line: somebody wrote it.
                    "origin = CASE json_extract(excluded.origin, '$.kind') WHEN 'corpus' THEN excluded.origin ELSE origin END",
                    (content_id(prompt_id, c.line), prompt_id, c.line, c.text, int(c.finished), to_json(c.origin), now()),
                )
                if c.origin["kind"] == "sampled" and isinstance(c.origin.get("checkpoint"), str):
                    db.execute(
                        "INSERT INTO said_by VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at",
                        (content_id(prompt_id, c.line), c.origin["checkpoint"], now()),
                    )
            return int(db.execute("SELECT count(*) FROM candidate").fetchone()[0]) - before

    def prompt_id(self, attributes: Attributes) -> str:
        return content_id(self.domain.combination(attributes))

    def candidates(self, rules: str, where: str = "1", parameters: tuple[Any, ...] = ()) -> Iterator[Candidate]:
        """Candidates in a fixed order (prompt, then id), with their violations by the rules of this hash."""
        cursor = self.db.execute(
            f"{_CANDIDATES} WHERE {where} ORDER BY c.prompt_id, c.id",
            (rules, *parameters),
        )
        return map(_candidate, cursor)

    def candidate(self, candidate_id: str, rules: str) -> Candidate:
        """
        Raises:
            KeyError: no candidate of that id.
        """
        for found in self.candidates(rules, "c.id = ?", (candidate_id,)):
            return found
        raise KeyError(candidate_id)

    def unchecked(self, rules: str) -> int:
        """Candidates without a verdict by the rules of this hash."""
        return int(self.db.execute(f"SELECT count(*) FROM candidate c WHERE {_UNCHECKED}", (rules,)).fetchone()[0])

    def next_unchecked(self, rules: str, count: int, after: str = "") -> list[Candidate]:
        """The first so many of them whose id is greater than `after`: nothing before it is looked at again."""
        query = f"{_CANDIDATES} WHERE c.id > ? AND {_UNCHECKED} ORDER BY c.id LIMIT ?"
        return list(map(_candidate, self.db.execute(query, (rules, after, rules, count))))

    def verdicts(self, rules: str) -> Iterator[list[dict[str, Any]]]:
        """The violations of every candidate by the rules of this hash, in no particular order, one at a time."""
        for (violations,) in self.db.execute("SELECT violations FROM verdict WHERE rules = ?", (rules,)):
            yield json.loads(violations)

    def add_verdicts(self, rules: str, verdicts: Iterable[tuple[str, list[dict[str, Any]]]]) -> None:
        """Violations of candidates, by id, found by the rules of this hash. The same rules say the same again."""
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO verdict VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                ((candidate_id, rules, to_json(found)) for candidate_id, found in verdicts),
            )

    def count(self, table: str) -> int:
        return int(self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


_CANDIDATES = """
SELECT c.id, c.prompt_id, p.attributes, c.line, c.origin, c.text, c.finished, p.split_group, v.violations
FROM candidate c JOIN prompt p ON p.id = c.prompt_id LEFT JOIN verdict v ON v.candidate_id = c.id AND v.rules = ?
"""
_UNCHECKED = "NOT EXISTS (SELECT 1 FROM verdict w WHERE w.candidate_id = c.id AND w.rules = ?)"


def _candidate(row: tuple[Any, ...]) -> Candidate:
    candidate_id, prompt_id, attributes, line, origin, text, finished, group, violations = row
    return Candidate(
        candidate_id,
        prompt_id,
        json.loads(attributes),
        line,
        json.loads(origin),
        text,
        bool(finished),
        group,
        None if violations is None else tuple(json.loads(violations)),
    )


def content_id(*parts: str) -> str:
    """20 hex digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def now() -> str:
    """UTC, ISO 8601 with microseconds: sorts as it goes."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
