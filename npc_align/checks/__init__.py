"""What makes a line bad: rules over its form and over the game's world, one module per family."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from npc_align.checks import forms, items, particles, results, speech, text, truncation, visits
from npc_align.domain import Domain
from npc_align.korean.morphemes import compose
from npc_align.violation import KINDS, Violation

__all__ = ["CHECKS", "KINDS", "Violation", "check_line", "rules_hash", "verdicts"]

Check = Callable[[str, Mapping[str, Any], Domain], list[Violation]]

# Each takes a line in NFC, its attributes and the domain.
CHECKS: dict[str, Check] = {
    "speech": speech.check,
    "items": items.check,
    "text": text.check,
    "truncation": truncation.check,
    "forms": forms.check,
    "particles": particles.check,
    "results": results.check,
    "visits": visits.check,
}


def check_line(line: str, attributes: Mapping[str, Any], domain: Domain, *, finished: bool = True) -> list[Violation]:
    """What is wrong with a spoken line, sorted by place and kind; [] when the rules find nothing.

    Args:
        line: Any text at all; spans are code-point offsets into it as given, also where it isn't NFC.
        attributes: The record's attributes. A check whose role or value is missing gives no verdict.
        domain: The game's world. Kinds that it has switched off aren't reported.
        finished: False where generation was stopped by its length limit.
    """
    found = {violation for _, violation in verdicts(line, attributes, domain, finished=finished)}
    return sorted(found, key=lambda v: (v.start, v.kind, v.end, v.message))


def verdicts(line: str, attributes: Mapping[str, Any], domain: Domain, *, finished: bool = True) -> list[tuple[str, Violation]]:
    """The same, unsorted, each with the name of the check in CHECKS that spoke."""
    composed = compose(line)
    found = [(name, violation) for name, check in CHECKS.items() for violation in check(composed.text, attributes, domain)]
    if not finished:
        found = [(name, v) for name, v in found if v.kind != "truncated"]
        found += [("truncation", v) for v in truncation.cut_off(composed.text)]
    return [
        (name, Violation(v.kind, *composed.span(v.start, v.end), v.message))
        for name, v in found
        if v.kind not in domain.ignored_kinds
    ]


def rules_hash(domain: Domain) -> str:
    """16 hex digits that change with the rules' source, the domain or Kiwi's version: verdicts are comparable where it is equal."""
    from importlib import metadata  # here, since it brings zipfile and email with it, and most callers never ask

    digest = hashlib.sha256()
    for package in ("npc_align.korean", "npc_align.checks"):
        for source in sorted(resources.files(package).iterdir(), key=lambda path: path.name):
            if source.name.endswith(".py"):
                digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    digest.update(domain.content_hash.encode() + metadata.version("kiwipiepy").encode())
    return digest.hexdigest()[:16]
