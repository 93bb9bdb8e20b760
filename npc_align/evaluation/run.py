"""`npc-eval run`: several models on the same held-out prompts, resumable, with a report."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from npc_align.checks import rules_hash
from npc_align.cli import DEFAULT_DOMAIN
from npc_align.corpus import Example
from npc_align.domain import Attributes, Domain, default_corpus, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.evaluation.measure import JudgedLine, held_out_loss, judged_lines, read_probes, summarise
from npc_align.evaluation.statistics import paired_difference
from npc_align.files import write_text
from npc_align.modeling.device import choose_device
from npc_align.modeling.generation import Decoding
from npc_align.modeling.identity import FILE as IDENTITY_FILE
from npc_align.modeling.identity import load_identity
from npc_align.modeling.load import adapter_folder, is_adapter, load_for_generation, model_folder, read_identity
from npc_align.splits import load_splits
from npc_align.training.run_folder import versions

TEST_PROMPTS = "test_prompts.jsonl"
_DRAW_SEED = 7919  # of the held-out prompts; another seed than any split or training run


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        models: (label, path) pairs; each is compared with the one before it.
        split: `test`, `validation` or `train`: reference lines for the held-out loss, and the prompts where `prompts` is 0.
        prompts: so many prompts that no corpus line uses: the first of the domain's own test prompts where it ships as many and
            no other corpus is named, else drawn; 0: the split's own prompts.
        references: so many reference lines of the split for the held-out loss; None: all.
        probes: a JSONL file of prompts instead.
    """

    models: tuple[tuple[str, str], ...]
    output: Path
    domain: str
    corpus: Path | None
    split: str
    prompts: int
    references: int | None
    probes: Path | None
    decoding: Decoding
    batch_size: int
    seed: int


def evaluate(request: Request) -> dict[str, Any]:
    """Measure every model, write `<output>/lines-<label>.jsonl`, `result.json` and `report.md`, and return the result.

    A model that was measured before, with the same weights, prompts, decoding and rules, isn't measured again.

    Raises:
        UserError: no such model, corpus or split.
    """
    domain = load_domain(request.domain)
    splits = load_splits(request.corpus or default_corpus(request.domain), domain)
    references = splits[request.split][: request.references]
    prompts = _prompts(request, domain, [e for examples in splits.values() for e in examples], references)
    request.output.mkdir(parents=True, exist_ok=True)
    labels = [label for label, _ in request.models]
    if len(set(labels)) < len(labels):
        raise UserError(f"two models have the same label ({', '.join(labels)}); write label=path")
    device = choose_device()
    click.echo(f"{device}; {len(prompts)} prompts, {len(references)} reference lines, decoding {request.decoding.name}", err=True)
    measured: dict[str, list[JudgedLine]] = {}
    summaries: dict[str, dict[str, Any]] = {}
    for label, path in request.models:
        lines, loss = _measure(request, domain, label, path, prompts, references)
        measured[label] = lines
        summaries[label] = {**summarise(lines), "held_out_loss": loss, "path": path}
        gc.collect()
    result = {
        "decoding": {"name": request.decoding.name, "max_new_tokens": request.decoding.max_new_tokens, **request.decoding.knobs},
        "prompts": len(prompts),
        "prompts_hash": _hash([domain.combination(p) for p in prompts]),
        "rules": rules_hash(domain),
        "versions": versions(),
        "models": summaries,
        "differences": _differences(request.models, measured),
    }
    from npc_align.evaluation.report import markdown

    write_text(request.output / "result.json", json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    write_text(request.output / "report.md", markdown(result, measured, domain))
    return result


def _prompts(request: Request, domain: Domain, corpus: Sequence[Example], references: Sequence[Example]) -> list[Attributes]:
    if request.probes:
        return read_probes(request.probes, domain)
    if request.prompts:
        shipped = shipped_file(request.domain, TEST_PROMPTS)
        if request.corpus is None and shipped.is_file():
            own = read_probes(shipped, domain)
            if len(own) >= request.prompts:
                return own[: request.prompts]
        return domain.draw(request.prompts, _DRAW_SEED, exclude={domain.combination(e.attributes) for e in corpus})
    return [e.attributes for e in references]


def _measure(
    request: Request, domain: Domain, label: str, path: str, prompts: Sequence[Attributes], references: Sequence[Example]
) -> tuple[list[JudgedLine], float]:
    file = request.output / f"lines-{label}.jsonl"
    device = choose_device()
    asked = [domain.combination(p) for p in prompts] + [f"{domain.combination(e.attributes)} {e.line}" for e in references]
    how = f"{request.decoding} seed {request.seed} batch {request.batch_size} {device}"
    key = _hash([path, _weights_stamp(path), how, rules_hash(domain), *asked])
    cached = _read_cached(file, key)
    if cached is not None:
        click.echo(f"{label}: measured before", err=True)
        return cached
    loaded = load_for_generation(path, device.dtype, device.name, domain=request.domain)
    with click.progressbar(length=len(prompts), label=f"{label:>8}", file=sys.stderr) as bar:
        lines = judged_lines(
            loaded, prompts, request.decoding, batch_size=request.batch_size, seed=request.seed, progress=bar.update
        )
    loss = held_out_loss(loaded, references)
    rows = [{"key": key, "held_out_loss": loss}, *(asdict(line) for line in lines)]
    write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return lines, loss


def _read_cached(file: Path, key: str) -> tuple[list[JudgedLine], float] | None:
    if not file.is_file():
        return None
    head, *rows = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()]
    return ([JudgedLine(**row) for row in rows], head["held_out_loss"]) if head.get("key") == key else None


def _weights_stamp(path: str) -> str:
    """Changes when the weights at `path` do: size and modification time of the weight files."""
    folder = adapter_folder(path) if is_adapter(path) else model_folder(path)
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.safetensors"))]
    return str(stats)


def _differences(models: Sequence[tuple[str, str]], measured: dict[str, list[JudgedLine]]) -> dict[str, Any]:
    """Violation rate of each model minus that of the one before it, on the same prompts."""
    labels = [label for label, _ in models]
    pairs = itertools.pairwise(labels)
    return {f"{b} - {a}": asdict(paired_difference([x.bad for x in measured[a]], [x.bad for x in measured[b]])) for a, b in pairs}


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def domain_of_models(models: Sequence[tuple[str, str]]) -> str:
    """The domain that the first trained model among them was trained on; the default one where all are bare."""
    for _, path in models:
        if is_adapter(path):
            return read_identity(path)[1].domain
        if (Path(path) / IDENTITY_FILE).is_file():
            return load_identity(Path(path)).domain
    return DEFAULT_DOMAIN


def parse_model(text: str) -> tuple[str, str]:
    """`label=path`, or a path whose last folder is its label.

    Raises:
        UserError: an empty label or path.
    """
    label, equals, path = text.partition("=")
    if not equals:
        label, path = Path(text).name or text, text
    if not label or not path or "/" in label:
        raise UserError(f"--model {text!r}: write label=path, e.g. --model sft=runs/sft")
    return label, path
