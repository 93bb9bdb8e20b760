"""Pairs -> the file that DPO trains on, in TRL's standard prompt/chosen/rejected form, and a manifest beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from npc_align.checks import rules_hash
from npc_align.corpus import read_jsonl, write_jsonl
from npc_align.domain import Domain
from npc_align.errors import UserError
from preference_data.pairs import Pair, pair_of

Row = dict[str, Any]


def export_rows(pairs: Iterable[Pair]) -> list[Row]:
    """Rows with `prompt`, `chosen` and `rejected` first, and everything else that is known of a pair as further keys.

    Raises:
        UserError: no pairs, or a pair whose sides are the same or empty.
    """
    rows = []
    for number, pair in enumerate(pairs, start=1):
        if not pair.prompt.strip() or not pair.chosen.strip() or not pair.rejected.strip():
            raise UserError(f"pair {number}: prompt, chosen or rejected is empty; delete or mend it")
        if pair.chosen.split() == pair.rejected.split():
            raise UserError(f"pair {number}: chosen and rejected are the same line, {pair.chosen!r}; delete or mend it")
        rows.append(pair.to_row())
    if not rows:
        raise UserError("no pairs to export; make some with: npc-pref pair")
    return rows


def export(source: Path, output: Path, domain: Domain) -> Row:
    """Writes `output` and `<output>.manifest.json`, and returns the manifest.

    The manifest is written last: a file without one, or with another hash than its manifest says, isn't whole.

    Raises:
        UserError: rows that are no pairs, pairs of another domain, or nothing that can be exported.
    """
    pairs = [pair_of(row, number) for number, row in read_jsonl(source)]
    _check_domain(pairs, domain)
    manifest_path = output.with_name(output.name + ".manifest.json")
    rows = export_rows(pairs)
    manifest_path.unlink(missing_ok=True)
    write_jsonl(output, rows)
    manifest = _manifest(source, output, pairs, domain)
    # One JSON object is one line of JSONL, so the same writer will do.
    write_jsonl(manifest_path, [manifest])
    return manifest


def _check_domain(pairs: Iterable[Pair], domain: Domain) -> None:
    """The manifest names one domain, so every pair that says which it was sampled for must say that one."""
    for number, pair in enumerate(pairs, start=1):
        if pair.domain is not None and pair.domain["hash"] != domain.content_hash:
            raise UserError(
                f"pair {number} was sampled for domain {pair.domain['name']!r} (hash {pair.domain['hash']}), not for {domain.name!r} "
                f"(hash {domain.content_hash}); give its domain with --domain, or, if the domain file has changed since, "
                "generate, check and pair again"
            )


def _manifest(source: Path, output: Path, pairs: Sequence[Pair], domain: Domain) -> Row:
    return {
        "input": {"name": source.name, "sha256": sha256(source)},
        "output": {"name": output.name, "sha256": sha256(output)},
        "pairs": len(pairs),
        "prompts": len({pair.prompt for pair in pairs}),
        "kinds": dict(Counter(kind for pair in pairs for kind in pair.reasons).most_common()),
        "rejected_origins": dict(Counter(pair.rejected_origin["kind"] for pair in pairs).most_common()),
        "judges": dict(Counter(pair.judge for pair in pairs).most_common()),
        "rules_hash": rules_hash(domain),
        "domain": {"name": domain.name, "hash": domain.content_hash},
    }


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
