"""One model under one decoding on a list of prompts: its lines, what is wrong with them, and its held-out loss."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from npc_align.checks import check_line
from npc_align.corpus import Example, read_jsonl
from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError
from npc_align.evaluation.statistics import wilson
from npc_align.modeling.generation import Decoding, generate_lines
from npc_align.modeling.load import LoadedModel
from npc_align.modeling.tokens import IGNORED
from npc_align.prompt import render


@dataclass(frozen=True)
class JudgedLine:
    """A generated line and what the checks say of it."""

    attributes: Attributes
    line: str
    finished: bool
    violations: list[dict[str, Any]]

    @property
    def bad(self) -> bool:
        return bool(self.violations)


def judged_lines(
    loaded: LoadedModel,
    prompts: Sequence[Attributes],
    decoding: Decoding,
    *,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[JudgedLine]:
    """Generate one line per prompt and check it."""
    texts = [render(a, loaded.domain, loaded.renderer, loaded.tokenizer) for a in prompts]
    lines = generate_lines(loaded.model, loaded.codec, texts, decoding, batch_size=batch_size, seed=seed, progress=progress)
    return [
        JudgedLine(a, x.text, x.finished, [asdict(v) for v in check_line(x.text, a, loaded.domain, finished=x.finished)])
        for a, x in zip(prompts, lines, strict=True)
    ]


@torch.inference_mode()
def held_out_loss(loaded: LoadedModel, examples: Sequence[Example], batch_size: int = 8) -> float:
    """Mean negative log-likelihood per completion token, stop token included, of reference lines under the model."""
    total, count = 0.0, 0
    device = next(loaded.model.parameters()).device
    encoded = [
        loaded.codec.encode(render(e.attributes, loaded.domain, loaded.renderer, loaded.tokenizer), e.line, e.id)
        for e in examples
    ]
    encoded.sort(key=lambda t: len(t.input_ids))
    for start in range(0, len(encoded), batch_size):
        batch = encoded[start : start + batch_size]
        width, pad = max(len(t.input_ids) for t in batch), loaded.tokenizer.pad_token_id
        ids = torch.tensor([t.input_ids + [pad] * (width - len(t.input_ids)) for t in batch], device=device)
        mask = torch.tensor([[1] * len(t.input_ids) + [0] * (width - len(t.input_ids)) for t in batch], device=device)
        labels = torch.tensor([t.labels + [IGNORED] * (width - len(t.labels)) for t in batch], device=device)[:, 1:]
        states = loaded.model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        wanted = labels != IGNORED
        logits = loaded.model.get_output_embeddings()(states[wanted]).float()
        total += torch.nn.functional.cross_entropy(logits, labels[wanted], reduction="sum").item()
        count += int(wanted.sum())
    return total / count


def summarise(lines: Sequence[JudgedLine]) -> dict[str, Any]:
    """Rates with 95 % intervals: violations overall and by kind, lines ended by the model, distinct lines and openings."""
    total = len(lines)
    kinds = Counter(kind for line in lines for kind in {v["kind"] for v in line.violations})
    return {
        "prompts": total,
        "violations": asdict(wilson(sum(line.bad for line in lines), total)),
        "by_kind": {kind: asdict(wilson(count, total)) for kind, count in kinds.most_common()},
        "end_of_text": asdict(wilson(sum(line.finished for line in lines), total)),
        "distinct_lines": len({line.line for line in lines}) / total,
        "distinct_openings": len({" ".join(line.line.split()[:2]) for line in lines}) / total,
        "mean_length": math.fsum(len(line.line) for line in lines) / total,
    }


def read_probes(path: Path, domain: Domain) -> list[Attributes]:
    """Attribute sets from a JSONL file of {"attributes": {…}}, each checked against the domain.

    Raises:
        UserError: missing or empty file, or a bad record, with its line number.
    """
    probes = []
    for number, row in read_jsonl(path):
        attributes: Mapping[str, Any] = row.get("attributes", {})
        if not isinstance(attributes, dict) or not attributes:
            raise UserError(f"{path}:{number}: a probe is an object with `attributes`, e.g. {json.dumps({'attributes': {}})}")
        given = {k: v for k, v in attributes.items() if v is not None}
        wrong = domain.problems(given)
        if wrong:
            raise UserError(f"{path}:{number}: {wrong[0]}")
        probes.append(given)
    if not probes:
        raise UserError(f"{path}: no probes in it")
    return probes
