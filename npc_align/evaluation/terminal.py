"""Tables and intervals as `npc-eval` prints them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table(rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """Rows in columns as wide as their widest cell, aligned on the left, on the right where they are `numbers`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    align = ">" if numbers else "<"
    return "\n".join(
        "  ".join(f"{cell:{align}{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def figures(interval: Mapping[str, float], mean: bool = False, signed: bool = False) -> str:
    """An estimate with its interval, `value`, `low` and `high`: a share, or a number where it is a `mean`."""
    form = f"{'+' if signed else ''}{'.3f' if mean else '.1%'}"
    return f"{interval['value']:{form}} ({interval['low']:{form}} to {interval['high']:{form}})"
