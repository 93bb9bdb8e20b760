"""Lines that people write while they judge: how they are stored, and which can't be."""

from __future__ import annotations

from collections.abc import Iterable

from npc_align.domain import nfc
from preference_data.store import Candidate, NewCandidate, Store, content_id

LONGEST = 1_000  # code points; a greeting has fifty, and what has more was pasted by mistake


def as_line(text: str) -> str:
    """The text as it is stored: NFC (macOS pastes NFD), single spaces, no control or zero-width characters."""
    shown = "".join(character for character in str(nfc(text)) if character.isprintable() or character.isspace())
    return " ".join(shown.split())


def objection(line: str, present: Iterable[Candidate]) -> str | None:
    """The name in label/texts.py of what speaks against a line beside those before the person; None where nothing does."""
    if not line:
        return "empty_edit"
    if len(line) > LONGEST:
        return "too_long_edit"
    return "unchanged_edit" if line in {as_line(candidate.line) for candidate in present} else None


def add_better_line(store: Store, source: Candidate, author: str, line: str) -> str:
    """Adds a line that somebody wrote after `source` and returns its id; one that is there already stays as it is."""
    origin = {"kind": "edited", "by": author, "of": source.id}
    store.add_candidates([NewCandidate(source.attributes, line, origin, split_group=source.split_group)])
    return content_id(source.prompt_id, line)
