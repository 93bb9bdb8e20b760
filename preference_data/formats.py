"""Preference rows in the forms that other tools read.

A row is what export.py makes: prompt, chosen, rejected, attributes, reasons, chosen_origin, rejected_origin, group, judge. A line that
people judged by itself is `chosen` (good) or `rejected` (bad), and the other side is None; only the formats in UNPAIRED take such rows.
Where `rejected_finished` is false the length limit cut the rejected line off: dpo/train.py gives it no stop token, TRL itself would. So kto
leaves such lines out: KTOTrainer would teach the policy that stopping there is bad.

| format | form | file |
|---|---|---|
| dpo | TRL's preference form with further keys; origins as JSON text | .jsonl, .parquet |
| kto | TRL's unpaired preference form: prompt, completion, label; and group | .jsonl, .parquet |
| sft | TRL's prompt-completion form, of the good and chosen lines; and group | .jsonl, .parquet |
| argilla | a dict of `rg.Record.from_dict` per line, for the settings of `rg.Settings.for_ranking()` | .jsonl |
| label-studio | tasks for the template "Pairwise Classification" | .json |
| csv | a table for people, with a BOM, so that a spreadsheet shows Korean | .csv |

Into Argilla (2.x):

    rg.Argilla(api_url=..., api_key=...)
    settings = rg.Settings.for_ranking()
    settings.allow_extra_metadata = True
    dataset = rg.Dataset("pairs", settings=settings).create()
    dataset.records.log([rg.Record.from_dict(json.loads(line)) for line in open("pairs.jsonl", encoding="utf-8")])
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npc_align.corpus import write_jsonl
from npc_align.errors import UserError
from npc_align.files import write_text
from preference_data.options import EXPORT_FORMATS
from preference_data.store import content_id, to_json

Row = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

UNPAIRED = frozenset({"kto", "sft", "csv"})
_AGENT = "npc-pref"
# What a spreadsheet takes for the beginning of a formula, also in the full-width forms of an East Asian keyboard.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


# --- TRL


def to_dpo(rows: Rows) -> list[Row]:
    """The rows, origins as JSON text: their particulars differ from row to row, and `datasets` wants one type to a column."""
    return [{key: to_json(value) if key.endswith("_origin") else value for key, value in row.items()} for row in rows]


def to_kto(rows: Rows) -> list[Row]:
    """Every line once, True where it is good or was chosen, False where it is bad or was rejected.

    The strongest word on a line holds: what people said of it by itself, else what they said comparing, else the rules' pairs. A line of
    which the strongest words differ (it won one comparison and lost another) is neither good nor bad by itself, so it is left out.

    The order is a hash's: TRL estimates its KL term from each prompt with its neighbour's completion, and neighbours of one pair would
    have the same prompt.
    """
    groups = _groups(rows)
    said = [
        {"prompt": prompt, "completion": line, "label": True in labels, "group": groups[prompt]}
        for (prompt, line), (_, labels) in _words_on(rows).items()
        if len(labels) == 1
    ]
    return sorted(said, key=lambda row: content_id("kto", row["prompt"], row["completion"]))


def to_sft(rows: Rows) -> list[Row]:
    """Every line once that is good or was chosen, unless a stronger word (see `to_kto`) turned it down. Losing a comparison besides is no shame."""
    groups = _groups(rows)
    return [
        {"prompt": prompt, "completion": line, "group": groups[prompt]}
        for (prompt, line), (strength, labels) in _words_on(rows).items()
        if labels == {True} or (True in labels and strength < _BY_ITSELF)
    ]


_RULES, _COMPARED, _BY_ITSELF = range(3)  # how much a word on a line weighs


def _words_on(rows: Rows) -> dict[tuple[str, str], tuple[int, set[bool]]]:
    """By (prompt, line): how strong the strongest words on it are, and what they say."""
    words: dict[tuple[str, str], tuple[int, set[bool]]] = {}
    for row in rows:
        strength = (_RULES if row["judge"] == "auto" else _COMPARED) if is_pair(row) else _BY_ITSELF
        for side, label in (("chosen", True), ("rejected", False)):
            if row[side] is None or (side == "rejected" and row["rejected_finished"] is False):
                continue
            best, labels = words.get((row["prompt"], row[side]), (-1, set()))
            if strength >= best:
                words[row["prompt"], row[side]] = strength, {label} | (labels if strength == best else set())
    return words


def _groups(rows: Rows) -> dict[str, str]:
    """By prompt: what a split must keep together. TRL drops the column."""
    return {row["prompt"]: row["group"] for row in rows}


def is_pair(row: Mapping[str, Any]) -> bool:
    """Whether both sides are there: a line judged by itself is `chosen` or `rejected`, and the other side is None."""
    return row["chosen"] is not None and row["rejected"] is not None


# --- Annotation tools


def to_argilla(rows: Rows) -> list[Row]:
    """Records with the judgement as a suggestion, the sides in an order that tells nothing."""
    return [_argilla_record(row) for row in rows]


def _argilla_record(row: Mapping[str, Any]) -> Row:
    names = ("response1", "response2")
    chosen, rejected = names if _chosen_first(row) else names[::-1]
    return {
        "id": _pair_id(row),
        "fields": {"instruction": row["prompt"], chosen: row["chosen"], rejected: row["rejected"]},
        # The judge's name stands here: Argilla's agents have Latin names only.
        "metadata": {
            "judge": row["judge"],
            "group": row["group"],
            "reasons": list(row["reasons"]),
            "chosen_origin": row["chosen_origin"]["kind"],
            "rejected_origin": row["rejected_origin"]["kind"],
            "rejected_finished": row["rejected_finished"],
        },
        "suggestions": {
            "ranking": {"value": [chosen, rejected], "agent": _AGENT, "type": "model" if row["judge"] == "auto" else "human"}
        },
    }


def to_label_studio(rows: Rows) -> list[Row]:
    """Tasks; what a person chose is an annotation, what the rules chose a prediction."""
    return [_label_studio_task(row) for row in rows]


def _label_studio_task(row: Mapping[str, Any]) -> Row:
    first = _chosen_first(row)
    texts = (row["chosen"], row["rejected"]) if first else (row["rejected"], row["chosen"])
    selected = {"selected": "left" if first else "right"}
    region = {"id": _pair_id(row), "from_name": "pw", "to_name": "text1", "type": "pairwise", "value": selected}
    data = {
        "text1": texts[0],
        "text2": texts[1],
        "prompt": row["prompt"],
        "attributes": dict(row["attributes"]),
        "judge": row["judge"],
        "group": row["group"],
        "reasons": list(row["reasons"]),
        "rejected_finished": row["rejected_finished"],
    }
    if row["judge"] == "auto":
        return {"data": data, "predictions": [{"model_version": _AGENT, "result": [region]}]}
    return {"data": data, "annotations": [{"result": [region]}]}


def _pair_id(row: Mapping[str, Any]) -> str:
    return content_id(row["prompt"], row["chosen"], row["rejected"])


def _chosen_first(row: Mapping[str, Any]) -> bool:
    return int(content_id(*sorted((row["chosen"], row["rejected"])), row["prompt"])[-1], 16) % 2 == (
        row["chosen"] < row["rejected"]
    )


# --- Spreadsheets


def to_table(rows: Rows) -> list[Row]:
    """Flat rows: the attributes as columns, then the two lines, the reasons, the judge and where the lines came from."""
    keys = dict.fromkeys(key for row in rows for key in row["attributes"])
    return [
        {
            **{key: row["attributes"].get(key) for key in keys},
            "chosen": row["chosen"],
            "rejected": row["rejected"],
            "reasons": ", ".join(row["reasons"]),
            "rejected_finished": row["rejected_finished"],
            "judge": row["judge"],
            "group": row["group"],
            **{key: row[key] and row[key]["kind"] for key in ("chosen_origin", "rejected_origin")},
        }
        for row in rows
    ]


def safe_cell(value: Any) -> str:
    """The cell's text; an apostrophe goes before what a spreadsheet would run as a formula (as OWASP advises).

    A spreadsheet shows the apostrophe, which is a blemish in a line such as "-라고요?", and nothing against running what a model wrote.
    The table is for reading: nothing reads it back.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


# --- Files


def write(rows: Rows, path: Path, format: str) -> int:
    """Writes the rows in a format (see the table above), the file whole or not at all, and returns how many rows it has.

    Raises:
        UserError: unknown format, a file name that doesn't fit it, or no rows.
    """
    if format not in EXPORT_FORMATS:
        raise UserError(f"no format {format!r}; there are: {', '.join(EXPORT_FORMATS)}")
    convert, suffixes = CONVERTERS[format], EXPORT_FORMATS[format]
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: the format {format} is written to {' or '.join(suffixes)}; give --output such a name")
    converted = convert(rows)
    if not converted:
        raise UserError(f"{path}: no rows to write in the format {format}; make some with: npc-pref pair")
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[path.suffix.lower()](path, converted)
    return len(converted)


CONVERTERS: dict[str, Callable[[Rows], list[Row]]] = {
    "dpo": to_dpo,
    "kto": to_kto,
    "sft": to_sft,
    "argilla": to_argilla,
    "label-studio": to_label_studio,
    "csv": to_table,
}


def _write_json(path: Path, rows: list[Row]) -> None:
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


def _write_parquet(path: Path, rows: list[Row]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError("Parquet needs pyarrow, which isn't installed; run: pip install pyarrow, or write .jsonl") from error
    with _temporary(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist([_columnar(row) for row in rows]), temporary)


def _columnar(row: Row) -> Row:
    """The row with objects as JSON text: a column has one type, and the particulars of an origin differ from row to row."""
    return {key: to_json(value) if isinstance(value, Mapping) else value for key, value in row.items()}


def _write_csv(path: Path, rows: list[Row]) -> None:
    columns = list(rows[0])
    with _temporary(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(safe_cell, columns))
        writer.writerows([safe_cell(row[column]) for column in columns] for row in rows)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


_WRITERS: dict[str, Callable[[Path, list[Row]], None]] = {
    ".jsonl": write_jsonl,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
