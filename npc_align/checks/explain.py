"""How a verdict came about: the morphemes and sentences that the checks saw, and which check spoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npc_align.checks import verdicts
from npc_align.domain import Domain
from npc_align.korean.morphemes import compose, tokens
from npc_align.korean.speech_level import sentences


def explain(line: str, attributes: Mapping[str, Any], domain: Domain, *, finished: bool = True) -> str:
    """A few lines of Korean text: the line, its morphemes as form/tag, its sentences with their levels, and each verdict's source."""
    morphemes = " ".join(f"{t.form}/{t.tag}" for t in tokens(compose(line).text))
    spoken = " | ".join(f"{s.text} [{s.level or '화계 없음'}]" for s in sentences(line))
    found = [
        f"  {check}: {v.kind} {v.start}-{v.end} «{line[v.start : v.end]}» {v.message}"
        for check, v in verdicts(line, attributes, domain, finished=finished)
    ]
    return "\n".join([line, f"  형태소: {morphemes}", f"  문장: {spoken}", *(found or ["  어긋난 데가 없습니다."])])
