"""The corpus: read, validate, deduplicate, write.

Everything a reader finds wrong is collected before it complains, so one run shows a writer all that there is to mend.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npc_align.domain import Attributes, Domain, Problem, nfc
from npc_align.errors import UserError

AUGMENTED = "augmented_from"  # record key of a counterfactual copy: the group id of the line it was made from
_BOM = b"\xef\xbb\xbf"
_SHOWN = 10  # problems spelled out in an error's text; `npc-data check` lists them all


@dataclass(frozen=True)
class Example:
    """One line and the attributes it was written for.

    Attributes:
        id: `<file name>:<line number>`.
        augmented_from: group id of the source where the line is a counterfactual copy (`npc-data augment`).
    """

    attributes: Attributes
    line: str
    id: str
    augmented_from: str | None = None


@dataclass(frozen=True)
class RecordProblem:
    """What is wrong with one field of one record. `field` is empty where the whole record is meant."""

    path: str
    line_number: int
    field: str
    value: Any
    message: str

    def __str__(self) -> str:
        what = f"{self.field}={_shorten(self.value)}: " if self.field else ""
        return f"{self.path}:{self.line_number}: {what}{self.message}"


class CorpusError(UserError):
    """Records that cannot be used. `problems` holds every one of them."""

    def __init__(self, problems: Sequence[RecordProblem]) -> None:
        self.problems = list(problems)
        shown = "\n".join(f"  {problem}" for problem in self.problems[:_SHOWN])
        more = f"\n  … and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        path = self.problems[0].path
        super().__init__(f"{path}: {len(problems)} problems\n{shown}{more}\n`npc-data check {path} --domain …` lists them all")


# --- Reading


def read_examples(path: Path | str, domain: Domain) -> list[Example]:
    """Every example of a corpus file, or an error that names everything wrong with it.

    Args:
        path: JSONL in UTF-8, with or without BOM; records flat, or nested where the domain's keys have dots.
        domain: the game's world.

    Raises:
        CorpusError: bad records, all of them in `.problems`.
        UserError: missing or empty file, or one that isn't UTF-8.
    """
    examples, problems = scan(path, domain)
    if problems:
        raise CorpusError(problems)
    return examples


def scan(path: Path | str, domain: Domain) -> tuple[list[Example], list[RecordProblem]]:
    """The good examples of a corpus file, and what is wrong with the other records.

    Raises:
        UserError: missing or empty file, or one that isn't UTF-8.
    """
    path = Path(path)
    examples: list[Example] = []
    problems: list[RecordProblem] = []
    first_seen: dict[tuple[str, str], int] = {}
    for number, text in _lines(path):
        attributes, line, source, found = _parse_record(text, domain)
        if not found:
            earlier = first_seen.setdefault((domain.combination(attributes), line), number)
            if earlier != number:
                found = [Problem(domain.line_key, line, f"the same record stands in line {earlier}; delete one of them")]
        if found:
            problems += [RecordProblem(str(path), number, p.field, p.value, p.message) for p in found]
        else:
            examples.append(Example(attributes, line, f"{path.name}:{number}", source))
    if not examples and not problems:
        raise UserError(f"{path}: no records; one JSON object per line is expected")
    return examples, problems


def read_jsonl(path: Path | str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and NFC-normalised object of every line; blank lines are passed over.

    Raises:
        UserError: missing file, one that isn't UTF-8, or a line that is no JSON object, as `path:line`.
    """
    for number, text in _lines(Path(path)):
        try:
            yield number, parse_object(text)
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: this is a folder; a JSONL file is expected") from error
    raw_lines = content.removeprefix(_BOM).split(b"\n")
    for number, raw in enumerate(raw_lines, start=1):
        try:
            text = raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise UserError(_encoding_advice(path, number, raw_lines)) from error
        if text:
            yield number, text


def _encoding_advice(path: Path, number: int, raw_lines: Sequence[bytes]) -> str:
    bad = raw_lines[number - 1]
    if raw_lines[0].startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"{path}:{number}: UTF-16, not UTF-8; re-encode it: iconv -f utf-16 -t utf-8 {path} > fixed.jsonl"
    if not decodes(bad, "cp949"):
        return f"{path}:{number}: neither UTF-8 nor CP949 (a damaged line?); mend the line or save the file as UTF-8"
    if any(not raw.isascii() and decodes(raw, "utf-8") for raw in raw_lines):
        # iconv over the whole file would garble the lines that are right already.
        return (
            f"{path}:{number}: this line is not UTF-8 (it looks like CP949) though others are: the file mixes encodings; "
            f"re-encode this line alone and put it back: sed -n {number}p {path} | iconv -f cp949 -t utf-8"
        )
    return f"{path}:{number}: not UTF-8; it looks like CP949: iconv -f cp949 -t utf-8 {path} > fixed.jsonl"


def decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def parse_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text, object_pairs_hook=_unique_keys)
        # A lone surrogate (\ud800) is legal JSON, and no text: it could never be written again.
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not usable JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"a JSON object is expected, not {_shorten(parsed)}")
    return parsed


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(nfc(key) for key, _ in pairs)
    repeated = [key for key, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(f"key {', '.join(repeated)} stands twice in one object")
    return {nfc(key): nfc(value) for key, value in pairs}


def _parse_record(text: str, domain: Domain) -> tuple[Attributes, str, str | None, list[Problem]]:
    try:
        record = parse_object(text)
    except ValueError as error:
        return {}, "", None, [Problem("", text, str(error))]
    line, source = record.pop(domain.line_key, None), record.pop(AUGMENTED, None)
    pairs = list(flatten(record, domain))
    attributes = dict(pairs)
    problems = line_problems(line, domain) + value_problems(attributes, domain)
    if len(attributes) < len(pairs):
        problems.append(Problem("", text, "an attribute is given twice, nested and with a dot"))
    if source is not None and not isinstance(source, str):
        problems.append(Problem(AUGMENTED, source, "a group id is expected, as npc-data augment writes it"))
    return attributes, line.strip() if isinstance(line, str) else "", source, problems


def flatten(record: Mapping[str, Any], domain: Domain, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        key = prefix + name
        is_context = any(known.startswith(f"{key}.") for known in domain.by_key)
        if is_context and isinstance(value, Mapping):
            yield from flatten(value, domain, f"{key}.")
        elif value is not None or not (is_context or key in domain.by_key):
            yield key, value


def line_problems(line: Any, domain: Domain) -> list[Problem]:
    if not isinstance(line, str) or not line.strip():
        return [Problem(domain.line_key, line, "the line is missing or empty; every record needs its text")]
    if line.splitlines() != [line]:
        return [Problem(domain.line_key, line, "the line contains a line break; it has to be one line")]
    return []


def value_problems(attributes: Attributes, domain: Domain) -> list[Problem]:
    # 1.0 equals 1 in Python and a list cannot be looked up at all: only plain words and whole numbers reach the domain.
    odd = {k: v for k, v in attributes.items() if k in domain.by_key and type(v) not in (str, int)}
    found = [
        Problem(key, value, f"not a value of {key}; allowed: {', '.join(map(str, domain.by_key[key].labels))}")
        for key, value in odd.items()
    ]
    return found + domain.problems({k: v for k, v in attributes.items() if k not in odd})


def _shorten(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# --- Writing


def to_record(attributes: Mapping[str, Any], line: str, domain: Domain, augmented_from: str | None = None) -> dict[str, Any]:
    """The record of a line as it stands in a corpus file: dotted keys nested again, the line and a copy's mark last."""
    record: dict[str, Any] = {}
    for key, value in attributes.items():
        *outer, name = key.split(".")
        inner = record
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return {**record, domain.line_key: line, **({AUGMENTED: augmented_from} if augmented_from else {})}


def write_jsonl(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes the rows beside `path` and moves them there when they are whole; until then an old file stays as it was."""
    write_together({Path(path): rows})


def write_together(files: Mapping[Path, Iterable[Mapping[str, Any]]]) -> None:
    """Writes JSONL files that belong together: no moment leaves a new one beside an old one, nor one half-written.

    Raises:
        UserError: a target is there and is no ordinary file.
    """
    targets = [path.resolve() for path in files]
    temporaries = [target.with_name(f".{target.name}.{os.getpid()}.tmp") for target in targets]
    try:
        for target, temporary, rows in zip(targets, temporaries, files.values(), strict=True):
            _write_temporary(target, temporary, rows)
        if len(targets) > 1:
            for target in targets:
                target.unlink(missing_ok=True)
        for target, temporary in zip(targets, temporaries, strict=True):
            temporary.replace(target)
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # tidying up must not hide why the writing failed
                temporary.unlink(missing_ok=True)


def _write_temporary(target: Path, temporary: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    if target.exists() and not target.is_file():
        raise UserError(f"{target}: not an ordinary file; name a file to write")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # A full disk is reported without a name; the reader needs to know which file it was.
        raise OSError(error.errno, error.strerror, str(target)) from error
