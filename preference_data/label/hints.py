"""What the checker says of the lines on the screen: from the store where it has been asked before, else on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from npc_align.domain import Domain
from preference_data.label.items import Item
from preference_data.store import Store

Hints = tuple[tuple[Mapping[str, Any], ...], ...]  # violations of each line, in the order of the screen


def stored_hints(store: Store, item: Item) -> Hints | None:
    """The verdicts of today's rules, None where a line has none yet."""
    from npc_align.checks import rules_hash

    rules = rules_hash(store.domain)
    found = [store.candidate(line.id, rules).violations for line in item.lines]
    return None if None in found else tuple(violations for violations in found if violations is not None)


def fresh_hints(domain: Domain, item: Item) -> Hints:
    """Checks the lines now. The first time takes a second or two: a morphological analyser is loaded. Touches no store."""
    from npc_align.checks import check_line

    return tuple(
        tuple(asdict(v) for v in check_line(line.line, line.attributes, domain, finished=line.finished)) for line in item.lines
    )


def visible(line: str) -> str:
    """The line with a sign in the place of each line break and control character, so that offsets stay and boxes stay whole."""
    return line.translate(_SIGNS)


_BREAKS: Sequence[int] = (0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029)
_SIGNS = {**{code: 0x2400 + code for code in range(0x20)}, 0x7F: 0x2421, **dict.fromkeys(_BREAKS, 0x21B5)}
