"""Rows of JSONL, CSV and Parquet files, one at a time, each with its place in the file and what is wrong with it, if anything is.

Spreadsheets on Korean machines save CSV as UTF-8 with a BOM or as CP949; which it is, the bytes tell.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npc_align.corpus import decodes, parse_object
from npc_align.domain import Domain, nfc
from npc_align.errors import UserError

FORMATS = ("jsonl", "csv", "parquet")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BATCH = 1_000


@dataclass(frozen=True)
class Bad:
    """A row that can't even be read: what stands there and why it is of no use."""

    text: str
    message: str


@dataclass(frozen=True)
class Source:
    """A file's rows with their places (lines of a text file, rows of a table), about how many there are, and a text's encoding."""

    rows: Iterator[tuple[int, dict[str, Any] | Bad]]
    total: int
    encoding: str | None = None


def open_source(path: Path, format: str | None, domain: Domain, optional: Sequence[str]) -> Source:
    """The rows of a file. What is wrong with the file as a whole is told at once, before the first row.

    Args:
        path: the file.
        format: one of FORMATS; by default what the file's name says.
        domain: says which columns a CSV may have.
        optional: further columns that a CSV may have.

    Raises:
        UserError: no such file, unknown format or encoding, columns that the domain doesn't know.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    format = format or _SUFFIXES.get(path.suffix.lower())
    if format is None:
        raise UserError(f"{path}: its name doesn't say what it is; add --format {'|'.join(FORMATS)}")
    if format == "jsonl":
        return Source(_json_rows(path), _count_lines(path), "utf-8")
    return _open_csv(path, domain, optional) if format == "csv" else _open_parquet(path)


# --- JSONL


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        first = file.read(2)
        if first in _UTF16:
            raise UserError(f"{path}: UTF-16, not UTF-8; save it as UTF-8")
        return 1 + sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1:
                raw = raw.removeprefix(_BOM)
            if raw.strip():
                yield number, _json_row(raw)


def _json_row(raw: bytes) -> dict[str, Any] | Bad:
    try:
        return parse_object(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Bad(raw.decode("utf-8", "backslashreplace").strip(), "not UTF-8; save the file as UTF-8")
    except ValueError as error:
        return Bad(raw.decode("utf-8").strip(), str(error))


# --- CSV


def _open_csv(path: Path, domain: Domain, optional: Sequence[str]) -> Source:
    total, encoding = _count_lines(path), _encoding(path)
    rows = _cells(path, encoding)
    number, header = next(rows, (1, []))
    if isinstance(header, Bad):
        raise UserError(f"{path}:{number}: {header.message}")
    columns = [nfc(name).strip() for name in header]
    _check_columns(path, columns, domain, optional)
    return Source(_csv_rows(rows, columns, domain), total, encoding)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        header = file.readline()
    if header.startswith(_BOM):
        _require(path, "utf-8")
        return "utf-8-sig"
    if _undecodable_line(path, "utf-8") is None:
        return "utf-8"
    if not header.isascii() and decodes(header, "utf-8"):
        # A file whose header is Korean in UTF-8 is no CP949 file, even where the bytes happen to mean something there.
        _require(path, "utf-8")
    _require(path, "cp949", "neither UTF-8 nor CP949")
    return "cp949"


def _require(
    path: Path, encoding: str, message: str = "not UTF-8, though the header is: damaged, or pasted from a CP949 file"
) -> None:
    number = _undecodable_line(path, encoding)
    if number is not None:
        raise UserError(f"{path}:{number}: {message}; mend this line, or save the sheet as CSV UTF-8")


def _undecodable_line(path: Path, encoding: str) -> int | None:
    with path.open("rb") as file:
        return next((number for number, raw in enumerate(file, start=1) if not decodes(raw, encoding)), None)


def _cells(path: Path, encoding: str) -> Iterator[tuple[int, list[str] | Bad]]:
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, Bad("", f"not readable as CSV: {error}; a quotation mark may be missing its other half")
                continue
            if any(cell.strip() for cell in cells):
                yield number, cells


def _check_columns(path: Path, columns: list[str], domain: Domain, optional: Sequence[str]) -> None:
    allowed = [*domain.by_key, domain.line_key, *optional]
    unknown = [name or "(empty)" for name in columns if name not in allowed]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if domain.line_key not in columns:
        problem = f"no column {domain.line_key!r}"
    elif unknown:
        problem = f"unknown columns {', '.join(unknown)}; rename or delete them"
    elif twice:
        problem = f"columns {', '.join(twice)} stand there twice; delete one of each"
    else:
        return
    raise UserError(f"{path}: {problem}. The first row names the columns; there may be: {', '.join(allowed)}")


def _csv_rows(
    rows: Iterator[tuple[int, list[str] | Bad]], columns: list[str], domain: Domain
) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    for number, cells in rows:
        if isinstance(cells, Bad):
            yield number, cells
        elif len(cells) != len(columns):
            yield number, Bad(", ".join(cells), f"{len(cells)} cells where the header has {len(columns)}")
        else:
            yield number, _typed(dict(zip(columns, map(nfc, cells), strict=True)), domain)


def _typed(row: dict[str, str], domain: Domain) -> dict[str, Any]:
    """The row without its empty cells, numbers where the domain has numbers, and objects where somebody wrote JSON in a cell."""
    typed: dict[str, Any] = {}
    for key, cell in row.items():
        text = cell.strip()
        if text and key in domain.by_key:
            typed[key] = next((value for value in domain.by_key[key].labels if str(value) == text), text)
        elif text:
            typed[key] = _object(text) if key == "origin" else cell
    return typed


def _object(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith("{") else text
    except json.JSONDecodeError:
        return text


# --- Parquet


def _open_parquet(path: Path) -> Source:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError(
            "Parquet needs pyarrow, which isn't installed; run: pip install pyarrow, or save the file as JSONL or CSV"
        ) from error
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not readable as Parquet ({error})") from error
    return Source(_parquet_rows(file), file.metadata.num_rows)


def _parquet_rows(file: Any) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH):
        for row in batch.to_pylist():
            number += 1
            yield number, nfc(row)
