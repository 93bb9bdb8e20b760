"""The result as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npc_align.evaluation.report.words import difference, interval


def table(result: Mapping[str, Any]) -> list[list[str]]:
    """Header and rows of result.json's figures: one row per model and decoding."""
    header = ["model", "decoding", "violation rate", "end of text", "length", "distinct-1", "distinct-2", "openings", "lines"]
    return [header, *(_row(cell) for cell in result["cells"])]


def _row(cell: Mapping[str, Any]) -> list[str]:
    figures = cell["summary"]
    rates = [interval(figures["violations"]), f"{figures['end_of_text']['value']:.1%}", f"{figures['mean_length']:.1f}"]
    shares = [f"{figures[k]:.1%}" for k in ("distinct_1", "distinct_2", "distinct_openings", "distinct_lines")]
    return [cell["model"], cell["decoding"], *rates, *shares]


def plain_table(result: Mapping[str, Any]) -> str:
    """The figures, then the held-out loss of each model and the differences on the same prompts."""
    rows = table(result)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{name}: held-out loss {m['held_out_loss']:.3f}" for name, m in result["models"].items()]
    return "\n".join([*lines, *(_difference(row) for row in result["differences"])])


def _difference(row: Mapping[str, Any]) -> str:
    first, second = (f"{row[side]['model']}/{row[side]['decoding']}" for side in ("first", "second"))
    return f"{second} - {first}: {difference(row)}, paired bootstrap"
