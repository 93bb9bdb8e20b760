"""Preference files for training: read, re-rendered, split by prompt group, tokenised."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from npc_align.corpus import read_jsonl
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import render
from npc_align.training.trainer_mixin import RECORD_INDEX

_FIELDS = ("prompt", "chosen", "rejected", "attributes", "group")


@dataclass(frozen=True)
class PreferencePair:
    """One pair; `id` is file:line. A rejected line that isn't finished was cut off by the length limit, as an endless loop is."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    group: str
    rejected_finished: bool = True


def read_pairs(path: Path, domain: Domain, renderer: str, tokenizer: Any) -> list[PreferencePair]:
    """Pairs whose prompts are exactly what the adapter's renderer makes of their attributes.

    Raises:
        UserError: missing or empty file, a missing or mistyped field, chosen == rejected, attributes outside the domain, or a prompt that
            differs from the renderer's.
    """
    if not path.is_file():
        raise UserError(f"data.pairs={str(path)!r}: no such file; run: npc-pref export --output {path}")
    pairs = []
    for number, row in read_jsonl(path):
        name = f"{path.name}:{number}"
        missing = [key for key in _FIELDS if key not in row]
        if missing:
            raise UserError(f"{name}: {', '.join(missing)} missing; make the file with npc-pref export")
        for key in _FIELDS:
            expected = dict if key == "attributes" else str
            if not isinstance(row[key], expected):
                raise UserError(f"{name}: {key}={row[key]!r}: must be {'an object' if expected is dict else 'text'}")
        finished = row.get("rejected_finished", True)
        if not isinstance(finished, bool):
            raise UserError(f"{name}: rejected_finished={finished!r}: must be true or false")
        if row["chosen"] == row["rejected"]:
            raise UserError(f"{name}: chosen and rejected are the same line")
        wrong = domain.problems(row["attributes"])
        if wrong:
            raise UserError(f"{name}: {wrong[0]}")
        if row["prompt"] != render(row["attributes"], domain, renderer, tokenizer):
            raise UserError(
                f"{name}: its prompt isn't what the adapter's renderer {renderer!r} makes of its attributes; sample again with this adapter"
            )
        pairs.append(PreferencePair(name, row["prompt"], row["chosen"], row["rejected"], row["group"], finished))
    if not pairs:
        raise UserError(f"{path}: no pairs in it")
    return pairs


def split_by_group(
    pairs: Sequence[PreferencePair], held_out: float, seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Training and held-out pairs; the pairs of one prompt group stay together.

    Raises:
        UserError: fewer than two groups.
    """
    groups = sorted({pair.group for pair in pairs})
    if len(groups) < 2:
        raise UserError("all pairs belong to one prompt group, nothing can be held out; collect more pairs")
    random.Random(seed).shuffle(groups)
    out = set(groups[: min(len(groups) - 1, max(1, round(held_out * len(groups))))])
    return [p for p in pairs if p.group not in out], [p for p in pairs if p.group in out]


def tokenise_pairs(pairs: Sequence[PreferencePair], codec: PromptCodec) -> Dataset:
    """Columns prompt_ids, chosen_ids, rejected_ids and record_index.

    Each side ends with the stop token, but a rejected line that was cut off: to reject its end would teach the policy not to stop.
    """
    rows = []
    for index, pair in enumerate(pairs):
        chosen = codec.encode(pair.prompt, pair.chosen, f"{pair.id} chosen")
        rejected = codec.encode(pair.prompt, pair.rejected, f"{pair.id} rejected", ended=pair.rejected_finished)
        rows.append(
            {
                "prompt_ids": chosen.prompt_ids,
                "chosen_ids": chosen.completion_ids,
                "rejected_ids": rejected.completion_ids,
                RECORD_INDEX: index,
            }
        )
    return Dataset.from_list(rows)
