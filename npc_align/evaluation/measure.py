"""One model under one decoding on a list of prompts: its lines, what is wrong with them, and its held-out loss."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from npc_align.checks import check_line
from npc_align.corpus import Example, read_jsonl
from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.statistics import wilson
from npc_align.modeling.generation import Decoding, generate_lines
from npc_align.modeling.load import LoadedModel
from npc_align.modeling.scoring import Score, score_completions
from npc_align.prompt import render


def generated_lines(
    loaded: LoadedModel,
    prompts: Sequence[Attributes],
    decoding: Decoding,
    *,
    batch_size: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[JudgedLine]:
    """Generate one line per prompt and check it; sampling starts anew from the seed."""
    texts = [render(a, loaded.domain, loaded.renderer, loaded.tokenizer) for a in prompts]
    lines = generate_lines(loaded.model, loaded.codec, texts, decoding, batch_size=batch_size, seed=seed, progress=progress)
    return [judged(a, x.text, x.finished, loaded.domain) for a, x in zip(prompts, lines, strict=True)]


def judged(attributes: Attributes, line: str, finished: bool, domain: Domain) -> JudgedLine:
    """A line with what the checks say of it now."""
    return JudgedLine(attributes, line, finished, [asdict(v) for v in check_line(line, attributes, domain, finished=finished)])


def held_out_loss(
    loaded: LoadedModel, examples: Sequence[Example], batch_size: int = 8, *, progress: Callable[[int], None] | None = None
) -> float:
    """Mean negative log-likelihood (nats) per completion token, stop token included, of reference lines under the model.

    Raises:
        UserError: no reference line, or one that can't be tokenised as training would.
    """
    if not examples:
        raise UserError("no reference lines for the held-out loss; choose a --split that has lines, or a larger --corpus")
    texts = [(render(e.attributes, loaded.domain, loaded.renderer, loaded.tokenizer), e.line) for e in examples]
    names = [e.id for e in examples]
    scores: list[Score] = []
    for batch in score_completions(loaded.model, loaded.codec, texts, names=names, batch_size=batch_size):
        scores += batch.values()
        if progress:
            progress(len(batch))
    return -sum(score.log_probability for score in scores) / sum(score.tokens for score in scores)


def summarise(lines: Sequence[JudgedLine]) -> dict[str, Any]:
    """Rates with 95 % intervals: violations overall and by kind, lines ended by the model; and how much the lines vary.

    `distinct_openings` is the share of different first two words among the lines, `mean_length` in characters.
    """
    total, texts = len(lines), [line.line for line in lines]
    kinds = Counter(kind for line in lines for kind in {v["kind"] for v in line.violations})
    return {
        "prompts": total,
        "violations": asdict(wilson(sum(line.bad for line in lines), total)),
        "by_kind": {kind: asdict(wilson(count, total)) for kind, count in kinds.most_common()},
        "end_of_text": asdict(wilson(sum(line.finished for line in lines), total)),
        "distinct_lines": len(set(texts)) / total,
        "distinct_openings": len({" ".join(text.split()[:2]) for text in texts}) / total,
        "distinct_1": distinct(texts, 1),
        "distinct_2": distinct(texts, 2),
        "mean_length": sum(map(len, texts)) / total,
    }


def distinct(texts: Sequence[str], n: int) -> float:
    """distinct-n: different n-grams of white-space words, over all words of all texts. Li et al. 2016, arXiv:1510.03055.

    It falls with the amount of text, so it compares texts for the same prompts only.
    """
    words = [text.split() for text in texts]
    total = sum(map(len, words))
    grams = {tuple(line[i : i + n]) for line in words for i in range(len(line) - n + 1)}
    return len(grams) / total if total else 0.0


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
