"""Files of lines -> candidates of the store: JSONL, CSV as Korean spreadsheets write it, Parquet.

A file is gone through once, in batches that the store takes whole; every line has its content's hash as its id. So a file of any size
needs little memory, and after an interruption the same command completes what it began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npc_align.corpus import AUGMENTED, RecordProblem, flatten, line_problems, value_problems
from npc_align.domain import Attributes, Domain, Problem, nfc
from npc_align.errors import UserError
from preference_data.reading import Bad, Source, open_source
from preference_data.store import NewCandidate, Store

# Besides the attributes and the line. `prompt` and `text` both mean the prompt as the model saw it.
OPTIONAL = ("prompt", "text", "finished", "origin", "group")
# "edited" is a line that a person mended, in a spreadsheet say: like the corpus' own, it may stand on the good side.
_STORE_KINDS = ("corpus", "sampled", "corrupted", "imported", "edited")

Row = dict[str, Any]
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


class BadRow(ValueError):
    """A row that can't be used. `problems` says what is wrong with which field."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass
class Imported:
    """What became of a file's rows.

    Attributes:
        rows: rows of the file, blank lines not counted.
        new: candidates that the store didn't have.
        known: good rows whose line was there already for the same attributes, or stood in the file before.
        bad: what is wrong with the rows that were left out.
        bad_rows: how many rows that were.
        ignored: keys of candidate rows that the store has no place for, with their number.
        encoding: of a text file, as it was found out.
    """

    rows: int = 0
    new: int = 0
    known: int = 0
    bad: list[RecordProblem] = field(default_factory=list)
    bad_rows: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    encoding: str | None = None


def import_file(
    store: Store,
    path: Path,
    *,
    format: str | None = None,
    origin: str | None = None,
    progress: Progress = lambda things, _: things,
) -> Imported:
    """Adds the lines of a file, leaves out what is wrong, and says what it did.

    Args:
        store: takes the candidates.
        path: rows are candidates ("attributes" and "line") or flat records of the domain.
        format: jsonl, csv or parquet; by default what the file's name says.
        origin: where rows that don't say themselves come from: one of the store's kinds (corpus, sampled, corrupted, imported, edited), or
            any other name, which goes beside the kind "imported".
        progress: wraps the rows, given their number, to show a bar.

    Raises:
        UserError: no such file, or one that can't be read as a whole (format, encoding, columns).
    """
    source = open_source(path, format, store.domain, (*OPTIONAL, AUGMENTED))
    done = Imported(encoding=source.encoding)
    done.new = store.add_candidates(_good(source, path, store.domain, origin, done, progress))
    if not done.rows:
        raise UserError(f"{path}: no rows; one line with its attributes per row is expected")
    done.known = done.rows - done.bad_rows - done.new
    return done


def _good(
    source: Source, path: Path, domain: Domain, origin: str | None, done: Imported, progress: Progress
) -> Iterator[NewCandidate]:
    for number, row in progress(source.rows, source.total):
        done.rows += 1
        default = _default_origin(origin, path, number)
        try:
            if isinstance(row, Bad):
                raise BadRow(Problem("", row.text, row.message))
            yield to_candidate(row, domain, default, done.ignored)
        except BadRow as error:
            done.bad_rows += 1
            done.bad += [RecordProblem(path.name, number, p.field, p.value, p.message) for p in error.problems]


def _default_origin(name: str | None, path: Path, number: int) -> Row:
    place = {"file": path.name, "line": number}
    if name is None or name in _STORE_KINDS:
        return {"kind": name or "imported", **place}
    return {"kind": "imported", "name": nfc(name), **place}


def to_candidate(row: Mapping[str, Any], domain: Domain, default_origin: Row, ignored: Counter[str]) -> NewCandidate:
    """The candidate of a row, whichever of the two forms it has; keys that are passed over are counted in `ignored`.

    Raises:
        BadRow: everything that is wrong with the row.
    """
    read = _read_candidate if isinstance(row.get("attributes"), Mapping) else _read_record
    attributes, line, extra, problems = read(row, domain)
    text, text_problems = _text(extra)
    finished, finished_problems = _finished(extra)
    origin, origin_problems = _origin(extra, default_origin)
    group = extra.get("group")
    problems += text_problems + finished_problems + origin_problems
    if group is not None and (not isinstance(group, str) or not group.strip()):
        problems.append(Problem("group", group, "the name of a split group is expected"))
    if not attributes and not problems:
        problems.append(Problem("", dict(row), f"no attributes; there are: {', '.join(domain.by_key)}"))
    if problems:
        raise BadRow(*problems)
    ignored.update(key for key in extra if key not in (*OPTIONAL, AUGMENTED))
    return NewCandidate(attributes, line.strip(), origin, text, finished, group)


_Read = tuple[Attributes, Any, Row, list[Problem]]


def _read_candidate(row: Mapping[str, Any], domain: Domain) -> _Read:
    extra = {key: value for key, value in row.items() if key not in ("attributes", "line") and value is not None}
    attributes = {key: value for key, value in row["attributes"].items() if value is not None}
    line = row.get("line")
    # A model may well say two lines where one was asked for; a person is asked to judge that, too.
    missing = [] if isinstance(line, str) and line.strip() else [Problem("line", line, "the line is missing or empty")]
    return attributes, line, extra, missing + value_problems(attributes, domain)


def _read_record(row: Mapping[str, Any], domain: Domain) -> _Read:
    # A domain may have an attribute that is called like one of our own keys; then it means the attribute.
    extra = {key: row[key] for key in (*OPTIONAL, AUGMENTED) if row.get(key) is not None and key not in domain.by_key}
    record = {key: value for key, value in row.items() if key not in extra and key != domain.line_key and value is not None}
    pairs = list(flatten(record, domain))
    attributes, line = dict(pairs), row.get(domain.line_key)
    problems = line_problems(line, domain) + value_problems(attributes, domain)
    if len(attributes) < len(pairs):
        problems.append(Problem("", record, "an attribute is given twice, nested and with a dot"))
    return attributes, line, extra, problems


def _text(extra: Row) -> tuple[str | None, list[Problem]]:
    given = {extra[key]: key for key in ("prompt", "text") if isinstance(extra.get(key), str)}
    odd = [Problem(key, extra[key], "the prompt's text is expected") for key in ("prompt", "text") if key in extra]
    odd = [problem for problem in odd if not isinstance(problem.value, str)]
    if len(given) > 1:
        odd.append(Problem("text", extra["text"], "'prompt' and 'text' mean the same and differ here; keep one of them"))
    return next(iter(given), None), odd


_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _finished(extra: Row) -> tuple[bool, list[Problem]]:
    value = extra.get("finished", True)
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    if isinstance(value, bool):
        return value, []
    return True, [Problem("finished", value, "true or false is expected: whether the model ended the line itself")]


def _origin(extra: Row, default: Row) -> tuple[Row, list[Problem]]:
    origin = extra.get("origin")
    if isinstance(origin, str) and origin.strip():  # a cell of a spreadsheet
        origin = {"kind": origin.strip()} if origin.strip() in _STORE_KINDS else {**default, "name": origin.strip()}
    if origin is None:
        origin = default
    if not isinstance(origin, Mapping) or not isinstance(origin.get("kind", ""), str):
        return default, [Problem("origin", origin, 'an object such as {"kind": "sampled", …}, or a name, is expected')]
    if origin.get("kind") not in (None, *_STORE_KINDS):
        # A kind that the store doesn't know would never be paired, nor said to be left out.
        origin = {**origin, "kind": "imported", "name": origin["kind"]}
    copied = {AUGMENTED: extra[AUGMENTED]} if AUGMENTED in extra else {}
    if origin.get("kind") == "edited":
        # Of the edits made here pairing asks whether the judgement still holds; what comes in a file was made elsewhere.
        origin = {**origin, "file": default["file"]}
    # A table gives every row every key, so that one that holds nothing wasn't set. Rows that earlier releases sampled tell the
    # checkpoint and the decoding, but no kind.
    return {"kind": default["kind"], **{k: v for k, v in origin.items() if v is not None}, **copied}, []
