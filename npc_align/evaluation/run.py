"""What an evaluation is asked: which models, on which held-out prompts, beside which reference lines."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npc_align.cli import DEFAULT_DOMAIN
from npc_align.corpus import Example
from npc_align.domain import Attributes, Domain, default_corpus, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.evaluation.folder import NAME
from npc_align.evaluation.measure import read_probes
from npc_align.modeling.identity import FILE as IDENTITY_FILE
from npc_align.modeling.identity import trained_domain
from npc_align.modeling.load import adapter_folder, is_adapter, model_folder
from npc_align.splits import load_splits

TEST_PROMPTS = "test_prompts.jsonl"
_DRAW_SEED = 7919  # of the held-out prompts; another seed than any split or training run


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        models: (label, path) pairs; each is compared with the one before it.
        split: `test`, `validation` or `train`: reference lines for the held-out loss, and where prompts come from.
        prompts: for `test`, so many prompts that no corpus line uses: the first of the domain's own test prompts where it ships as
            many and no other corpus is named, else drawn; 0: the test lines' own. For another split, at most so many of its lines'
            own, 0 for all: test prompts are for the test only.
        references: so many reference lines of the split for the held-out loss; None: all.
        probes: a JSONL file of prompts instead.
    """

    models: tuple[tuple[str, str], ...]
    output: Path
    domain: str
    corpus: Path | None = None
    split: str = "test"
    prompts: int = 400
    references: int | None = None
    probes: Path | None = None
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        labels = [label for label, _ in self.models]
        if len(set(labels)) < len(labels):
            raise UserError(f"two models have the same label ({', '.join(labels)}); write label=path")


@dataclass(frozen=True)
class Inputs:
    """Prompts to answer, reference lines for the loss, and the validation prompts that a decoding may be chosen on."""

    domain: Domain
    prompts: list[Attributes]
    references: list[Example]
    validation: list[Attributes]


def load_inputs(request: Request) -> Inputs:
    """The prompts and lines that a request means. No validation prompt is among the prompts to answer.

    Raises:
        UserError: no such corpus or probes, or bad records in them.
    """
    domain = load_domain(request.domain)
    splits = load_splits(request.corpus or default_corpus(request.domain), domain)
    references = splits[request.split][: request.references]
    prompts = _prompts(request, domain, splits)
    if not prompts:
        raise UserError(
            f"the corpus' {request.split} split has no line, so no prompt either; choose another --split or --prompts"
        )
    answered = {domain.combination(p) for p in prompts}
    validation = [
        attributes for attributes in _own(domain, splits["validation"]) if domain.combination(attributes) not in answered
    ]
    return Inputs(domain, prompts, references, validation)


def _prompts(request: Request, domain: Domain, splits: Mapping[str, Sequence[Example]]) -> list[Attributes]:
    if request.probes:
        return read_probes(request.probes, domain)
    if request.split != "test" or not request.prompts:
        return _own(domain, splits[request.split])[: request.prompts or None]
    shipped = shipped_file(request.domain, TEST_PROMPTS)
    if request.corpus is None and shipped.is_file():
        own = read_probes(shipped, domain)
        if len(own) >= request.prompts:
            return own[: request.prompts]
    used = {domain.combination(e.attributes) for examples in splits.values() for e in examples}
    return domain.draw(request.prompts, _DRAW_SEED, exclude=used)


def _own(domain: Domain, examples: Sequence[Example]) -> list[Attributes]:
    """The examples' prompts, each once, shuffled: a corpus may be sorted by personality, and a prompt answered twice counts for one."""
    found = {domain.combination(e.attributes): e.attributes for e in examples}
    prompts = [attributes for _, attributes in sorted(found.items())]
    random.Random(0).shuffle(prompts)
    return prompts


def content_hash(parts: Sequence[str]) -> str:
    """16 hex digits that change with any of the parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def weights_stamp(path: str) -> str:
    """Changes when the model at `path` does: size and modification time of the weight files, and its identity.

    Raises:
        UserError: no model there.
    """
    folder = adapter_folder(path) if is_adapter(path) else model_folder(path)
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.glob("*.safetensors"))]
    identity = folder / IDENTITY_FILE
    return f"{path} {stats} {identity.read_text(encoding='utf-8') if identity.is_file() else ''}"


def domain_of_models(models: Sequence[tuple[str, str]]) -> str:
    """The domain that the first trained model among them was trained on; the default one where all are bare."""
    return next((domain for _, path in models if (domain := trained_domain(path))), DEFAULT_DOMAIN)


def parse_model(text: str) -> tuple[str, str]:
    """`label=path`, or a path whose last folder is its label.

    Raises:
        UserError: an empty path, or a label that can't be a file name.
    """
    label, equals, path = text.partition("=")
    if not equals:
        label, path = Path(text).name or text, text
    if not path or not NAME.fullmatch(label):
        raise UserError(f"--model {text!r}: write label=path, the label in letters, digits and . _ -, e.g. --model sft=runs/sft")
    return label, path
