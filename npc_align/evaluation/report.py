"""The Markdown report: the table, the differences, and lines side by side."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from npc_align.domain import Domain
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.statistics import wilson

_SHOWN = 24


def table(result: Mapping[str, Any]) -> list[list[str]]:
    """Header and rows of the summary: one column per model."""
    models = result["models"]
    kinds = sorted(
        {kind for m in models.values() for kind in m["by_kind"]}, key=lambda k: -max(_rate(m, k) for m in models.values())
    )
    rows = [["", *models]]
    rows.append(["violation rate", *(_interval(m["violations"]) for m in models.values())])
    for kind in kinds:
        none = asdict(wilson(0, result["prompts"]))
        rows.append([f"  {kind}", *(_interval(m["by_kind"].get(kind, none)) for m in models.values())])
    rows.append(["held-out loss", *(f"{m['held_out_loss']:.3f}" for m in models.values())])
    rows.append(["distinct lines", *(f"{m['distinct_lines']:.1%}" for m in models.values())])
    rows.append(["distinct openings", *(f"{m['distinct_openings']:.1%}" for m in models.values())])
    rows.append(["end of text", *(_interval(m["end_of_text"]) for m in models.values())])
    rows.append(["mean length (characters)", *(f"{m['mean_length']:.1f}" for m in models.values())])
    return rows


def plain_table(result: Mapping[str, Any]) -> str:
    """The summary for a terminal."""
    rows = table(result)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown(result: Mapping[str, Any], measured: Mapping[str, Sequence[JudgedLine]], domain: Domain) -> str:
    """The whole report."""
    header, *rows = table(result)
    decoding = ", ".join(f"{k}={v}" for k, v in result["decoding"].items())
    parts = [
        "# Held-out lines",
        f"{result['prompts']} prompts (hash {result['prompts_hash']}), decoding: {decoding}, rules {result['rules']}. "
        "Rates are shares of prompts with 95 % Wilson intervals; the held-out loss is nats per token over reference lines.",
        "\n".join([_row(header), _row(["---"] * len(header)), *(_row(r) for r in rows)]),
        *_difference_lines(result),
        "## Lines side by side",
        "Drawn at random, not selected. What the checks found stands behind the line.",
        *_side_by_side(measured, domain),
    ]
    return "\n\n".join(parts) + "\n"


def _difference_lines(result: Mapping[str, Any]) -> list[str]:
    if not result["differences"]:
        return []
    lines = [f"- {name}: {_interval(value, signed=True)}" for name, value in result["differences"].items()]
    return ["Differences of the violation rate on the same prompts, with a paired bootstrap interval:", "\n".join(lines)]


def _side_by_side(measured: Mapping[str, Sequence[JudgedLine]], domain: Domain) -> list[str]:
    count = len(next(iter(measured.values())))
    drawn = sorted(random.Random(0).sample(range(count), min(_SHOWN, count)))
    blocks = []
    for index in drawn:
        attributes = next(iter(measured.values()))[index].attributes
        words = [str(a.labels[attributes[a.key]]) for a in domain.attributes if a.key in attributes]
        lines = [f"**{' · '.join(words)}**", ""]
        for label, judged in measured.items():
            kinds = ", ".join(sorted({v["kind"] for v in judged[index].violations}))
            lines.append(f"- {label}: {judged[index].line}{f'  ⟵ {kinds}' if kinds else ''}")
        blocks.append("\n".join(lines))
    return blocks


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rate(model: Mapping[str, Any], kind: str) -> float:
    return model["by_kind"].get(kind, {}).get("value", 0.0)


def _interval(interval: Mapping[str, float], signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{interval['value']:{sign}.1%} ({interval['low']:{sign}.1%} to {interval['high']:{sign}.1%})"
