"""Candidate lines: k samples per training prompt from a model into the store, resumable, each with where it came from.

A sample's seed follows from the run's seed and the chunk's first prompt, so a resumed run gives the lines of an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.splits import splits_file
from npc_align.training.launch import quiet_libraries
from preference_data.prompts import TrainingPrompt, corpus_of, training_prompts
from preference_data.store import NewCandidate, Store

if TYPE_CHECKING:
    from npc_align.modeling.load import LoadedModel

_CHUNK = 64  # prompts between two writes: what an interruption can cost


@dataclass(frozen=True)
class Sampling:
    """How candidates are sampled: `samples` lines per prompt at these knobs."""

    samples: int
    temperature: float
    top_p: float
    seed: int
    max_new_tokens: int

    def __post_init__(self) -> None:
        for name in ("samples", "temperature", "max_new_tokens"):
            if getattr(self, name) <= 0:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be above 0")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p {self.top_p}: must be in (0, 1]")

    @property
    def knobs(self) -> dict[str, Any]:
        # top_k is named because transformers would else keep 50 tokens: the samples are to show the model's own mistakes.
        return {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0}


def run(
    store: Store, *, model: str, corpus: Path | None, samples: int, temperature: float, top_p: float, seed: int, batch_size: int,
    max_new_tokens: int, limit: int | None,
) -> int:  # fmt: skip
    """Sample candidates for the training prompts into the store; what the same command began before is continued.

    Returns:
        New candidates: a line that the store has already isn't added twice.

    Raises:
        UserError: no such model or corpus, or a model trained on another domain than the store's.
    """
    quiet_libraries()
    from npc_align.modeling.device import choose_device
    from npc_align.modeling.load import load_for_generation

    sampling = Sampling(samples, temperature, top_p, seed, max_new_tokens)
    device = choose_device()
    loaded = load_for_generation(model, device.dtype, device.name, domain=store.meta("domain"))
    source = corpus_of(corpus, store.domain)
    prompts = training_prompts(source, store.domain)[:limit]
    progress = f"sampled:{_plan(loaded.name, store.domain, source, sampling, batch_size, len(prompts))}"
    done = int(store.meta(progress) or 0)
    again = f"; {done} prompts done before" if done else ""
    click.echo(f"{device}; {len(prompts)} prompts x {samples} samples -> {store.path}{again}", err=True)
    new = 0
    with click.progressbar(length=len(prompts), label="sampling", file=sys.stderr) as bar:
        bar.update(done)
        for start in range(done, len(prompts), _CHUNK):
            chunk = prompts[start : start + _CHUNK]
            new += store.add_candidates(_sample(loaded, chunk, sampling, batch_size, start))
            # Told after the lines are in: an interruption between the two samples the same lines again, which adds nothing.
            with store.transaction():
                store.set_meta(progress, str(start + len(chunk)))
            bar.update(len(chunk))
    return new


def _plan(model: str, world: Domain, corpus: Path, sampling: Sampling, batch_size: int, prompts: int) -> str:
    """A hash of all that decides which lines are sampled; the batch size does, since a batch draws from one generator."""
    fixed = splits_file(corpus)  # which lines train, and so which prompts are sampled
    corpus_hash = hashlib.sha256(corpus.read_bytes() + (fixed.read_bytes() if fixed.is_file() else b"")).hexdigest()
    parts = [model, _weights(model), world.content_hash, corpus_hash, str(sampling), str(batch_size), str(prompts)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _weights(model: str) -> str:
    """What tells one state of a model from another: an adapter's bytes; of whole models, which are large, the files' stamps."""
    from npc_align.modeling.load import ADAPTER_CONFIG, model_folder

    if (Path(model) / ADAPTER_CONFIG).is_file():
        return hashlib.sha256((Path(model) / "adapter_model.safetensors").read_bytes()).hexdigest()
    files = [(file.name, file.stat()) for file in sorted(model_folder(model).glob("*.safetensors"))]
    return str([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])


def _sample(
    loaded: LoadedModel, chunk: Sequence[TrainingPrompt], sampling: Sampling, batch_size: int, start: int
) -> Iterator[NewCandidate]:
    """The chunk's corpus lines, with the prompt as this model sees it, and its samples."""
    from npc_align.modeling.generation import Decoding, generate_lines
    from npc_align.prompt import render

    texts = [render(prompt.attributes, loaded.domain, loaded.renderer, loaded.tokenizer) for prompt in chunk]
    decoding = Decoding("sampling", sampling.max_new_tokens, sampling.knobs)
    seed = sampling.seed * 1_000_003 + start
    repeated = [text for text in texts for _ in range(sampling.samples)]
    lines = generate_lines(loaded.model, loaded.codec, repeated, decoding, batch_size=batch_size, seed=seed)
    for prompt, text in zip(chunk, texts, strict=True):
        yield from prompt.corpus_lines(text)
    origin = {
        "kind": "sampled",
        "checkpoint": loaded.name,
        "decoding": {**sampling.knobs, "max_new_tokens": sampling.max_new_tokens},
        "seed": seed,
    }
    for index, line in enumerate(lines):
        place = index // sampling.samples
        prompt = chunk[place]
        yield NewCandidate(prompt.attributes, line.text, origin, texts[place], line.finished, prompt.group)
