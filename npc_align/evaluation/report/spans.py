"""A line cut where its violations begin and end, so that each piece can be marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A stretch of a line and the numbers of the violations that cover it. An empty text marks a place between characters."""

    text: str
    found: tuple[int, ...]


def pieces(line: str, violations: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """`line` as consecutive pieces; overlapping violations share pieces, one of no length gets an empty piece of its own.

    Offsets count code points; what lies outside the line is clamped to it.
    """
    spans = [(_clamp(v["start"], line), _clamp(v["end"], line)) for v in violations]
    bounds = sorted({0, len(line), *(offset for span in spans for offset in span)})
    cut = []
    for start, end in zip(bounds, [*bounds[1:], len(line)], strict=True):
        points = tuple(i for i, (low, high) in enumerate(spans) if low >= high and low == start)
        if points:
            cut.append(Piece("", points))
        if start < end:
            cut.append(Piece(line[start:end], tuple(i for i, (low, high) in enumerate(spans) if low <= start and end <= high)))
    return cut


def _clamp(offset: int, line: str) -> int:
    return max(0, min(offset, len(line)))
