"""Checks over candidate lines, in a store or in the rows of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from npc_align.checks import check_line
from npc_align.domain import Attributes, Domain, nfc
from npc_align.errors import UserError
from preference_data.store import Store

Row = dict[str, Any]
Progress = Callable[[Iterable[Row]], Iterable[Row]]

_BATCH = 500  # candidates to a transaction: what an interruption can cost


@dataclass
class Tally:
    """What checking found: lines, how many of them break a rule, and how many break each kind."""

    lines: int = 0
    bad: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, violations: Collection[Mapping[str, Any]]) -> None:
        self.lines += 1
        self.bad += bool(violations)
        self.kinds.update({violation["kind"] for violation in violations})

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Hands checked rows on and counts them."""
        for row in rows:
            self.add(row["violations"])
            yield row


def check_store(store: Store, advance: Callable[[int], None] = lambda count: None) -> int:
    """Gives every candidate that has none a verdict by today's rules, and returns how many that were. Interrupted, it goes on.

    Args:
        store: the project's store.
        advance: told how many more are done, to move a bar.
    """
    store.check_prompts()
    rules, done = store.rules, 0
    while store.unchecked(rules):  # a second time only where lines were added meanwhile
        after = ""
        while batch := store.next_unchecked(rules, _BATCH, after):
            store.add_verdicts(rules, [(c.id, _violations(c.line, c.attributes, store.domain, c.finished)) for c in batch])
            after, done = batch[-1].id, done + len(batch)
            advance(len(batch))
    return done


def _violations(line: str, attributes: Mapping[str, Any], domain: Domain, finished: bool) -> list[Row]:
    found = check_line(line, attributes, domain, finished=finished)
    return [{"kind": v.kind, "start": v.start, "end": v.end, "message": v.message} for v in found]


def check_rows(rows: Iterable[Row], domain: Domain, progress: Progress = iter) -> Iterator[Row]:
    """Every row in its order, one at a time, with everything it held, and `violations`: kind, start, end and message of each.

    Args:
        rows: candidates (`attributes`, `line`), or flat corpus records.
        domain: the game's world.
        progress: wraps the rows as they are gone through, to show a bar.

    Raises:
        UserError: a row without a line, or with attributes outside the domain.
    """
    for number, row in enumerate(progress(rows), start=1):
        yield _checked(nfc(row), number, domain)


def _checked(row: Row, number: int, domain: Domain) -> Row:
    attributes, line = read_row(row, number, domain)
    return {**row, "violations": _violations(line, attributes, domain, row.get("finished", True))}


def read_row(row: Mapping[str, Any], number: int, domain: Domain) -> tuple[Attributes, str]:
    """Attributes and line of a row, whichever form it has.

    Raises:
        UserError: no line, no attributes, or some outside the domain.
    """
    if "attributes" in row:
        attributes, line = row["attributes"], row.get("line")
    else:
        attributes, line = {key: row[key] for key in domain.by_key if key in row}, row.get(domain.line_key)
    if not isinstance(line, str):
        raise UserError(f"row {number} has no line: a candidate has 'attributes' and 'line', a record has {domain.line_key!r}")
    if not isinstance(attributes, dict) or not attributes:
        raise UserError(
            f"row {number} has no attributes: a candidate has 'attributes' and 'line', a record has {', '.join(domain.by_key)}"
        )
    problems = domain.problems(attributes)
    if problems:
        raise UserError(f"row {number}: {problems[0]}")
    return attributes, line
