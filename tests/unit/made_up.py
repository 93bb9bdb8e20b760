"""Examples made up for tests."""

from __future__ import annotations

import random

from npc_align.corpus import Example
from npc_align.domain import Domain


def numbered(domain: Domain, count: int, seed: int = 0) -> list[Example]:
    """Examples with attributes of their own and lines that have nothing in common."""
    rng = random.Random(seed)
    lines = ["".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(20)) for _ in range(count)]
    return [Example(a, line, f"c:{i}") for i, (a, line) in enumerate(zip(domain.draw(count, seed), lines, strict=True))]
