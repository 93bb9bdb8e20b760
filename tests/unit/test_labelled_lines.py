"""The labelled lines are records of the domain, whole and apart: what a measurement on them rests on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from npc_align.domain import load_domain

KINDS = {
    "tone_break", "mixed_speech", "foreign_text", "josa_error", "broken_form", "repetition", "length", "prompt_leak", "truncated",
    "banned_word", "hallucinated_item", "class_item_mismatch", "result_contradiction", "visit_contradiction", "interval_contradiction",
}  # fmt: skip


def _rows(root: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (root / "tests/data" / name).read_text(encoding="utf-8").splitlines()]


def test_every_kind_is_there_in_both_parts_and_no_line_in_two(root: Path) -> None:
    domain = load_domain("weapon_rental")
    parts = [_rows(root, name) for name in ("labelled_lines.jsonl", "labelled_lines_held_out.jsonl")]
    rows = [row for part in parts for row in part]
    assert len({row["line"] for row in rows}) == len(rows) >= 400
    assert not [row["line"] for row in rows if domain.problems(row["attributes"])]
    assert all(set(row["kinds"]) <= KINDS and row["focus"] in KINDS | {"plain"} for row in rows)
    counts = Counter(kind for row in rows for kind in row["kinds"])
    assert set(counts) == KINDS
    assert min(counts.values()) >= 15
    assert all({kind for row in part for kind in row["kinds"]} == KINDS for part in parts)
    assert 0.45 < sum(not row["kinds"] for row in rows) / len(rows) < 0.6
