"""Candidate lines: k samples per training prompt from a model or a server into the store, resumable, each with where it came from.

A sample's seed follows from the run's seed and the chunk's first prompt, so a resumed run gives the lines of an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click

from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.progress import watched
from npc_align.prompt import render
from npc_align.splits import splits_file
from npc_align.violation import KINDS
from preference_data.prompts import TrainingPrompt, corpus_of, training_prompts
from preference_data.server import Lines, Server, Take
from preference_data.store import NewCandidate, Store

_CHUNK = 64  # prompts between two writes, or a batch of lines if that is more: what a kill can cost
_SEED_STEP = 1_000_003  # between the seeds of two runs; a chunk adds the place of its first prompt
_DEFAULT_MODEL = "runs/sft"


@dataclass(frozen=True)
class Sampling:
    """How candidates are sampled: `samples` lines per prompt at these knobs; at temperature 0 the one line of greedy decoding."""

    samples: int
    temperature: float
    top_p: float
    seed: int
    max_new_tokens: int

    def __post_init__(self) -> None:
        for name in ("samples", "max_new_tokens"):
            if getattr(self, name) <= 0:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be above 0")
        if self.temperature < 0:
            raise UserError(f"--temperature {self.temperature}: must be 0 (greedy decoding) or above")
        if self.temperature == 0 and self.samples > 1:
            raise UserError(
                f"--temperature 0 is greedy decoding, which always says the same line: add --samples 1 (it is {self.samples})"
            )
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p {self.top_p}: must be in (0, 1]")

    @property
    def knobs(self) -> dict[str, Any]:
        if self.temperature == 0:
            return {"do_sample": False}
        # top_k is named because transformers would else keep 50 tokens: the samples are to show the model's own mistakes.
        return {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0}


class Sampler(Protocol):
    """What gives lines: a model in this process, or a server."""

    @property
    def name(self) -> str:
        """How the samples' origin calls it."""

    def identity(self) -> str:
        """What tells one state of the model from another."""

    def texts(self, prompts: Sequence[TrainingPrompt]) -> list[str]:
        """The prompts as the model sees them."""

    def sample(self, texts: Sequence[str], seed: int, take: Take) -> None:
        """Hands the samples of each prompt to `take`, as they come. However it ends, what came before is handed on."""


def run(
    store: Store, *, model: str | None, server: str | None, corpus: Path | None, samples: int, temperature: float, top_p: float, seed: int,
    batch_size: int, max_new_tokens: int, limit: int | None, mistaken: Collection[str] = (),
) -> int:  # fmt: skip
    """Sample candidates for the training prompts into the store; what the same command began before is continued.

    Args:
        mistaken: where given, only the prompts for which a checked sample of a smaller seed breaks one of these rules: a model errs
            again where it erred.

    Returns:
        New candidates: a line that the store has already isn't added twice.

    Raises:
        UserError: no such model, server or corpus, a model trained on another domain than the store's, or no such prompts.
    """
    sampling = Sampling(samples, temperature, top_p, seed, max_new_tokens)
    sampler: Sampler
    if server is None:
        from preference_data.local_model import LocalModel

        sampler = LocalModel.load(model or _DEFAULT_MODEL, store, sampling, batch_size)
    else:
        if model is None:
            raise UserError("--server needs --model NAME as well: the name under which the server knows the model")
        sampler = ServedModel(Server(server, model), store.domain, sampling)
    source = corpus_of(corpus, store.domain)
    prompts = training_prompts(source, store.domain)
    if mistaken:
        prompts = _where_it_erred(store, prompts, mistaken, seed)
    prompts = prompts[:limit]
    plan = _plan(sampler, store.domain, source, sampling, batch_size)
    # Under accelerate launch every process takes its share of the chunks; they write to the one store.
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    size = _CHUNK if server is not None else max(_CHUNK, batch_size // samples)
    starts = range(rank * size, len(prompts), world * size)
    chunks = {start: prompts[start : start + size] for start in starts}
    keys = {start: _chunk_key(plan, start, chunk, store.domain) for start, chunk in chunks.items()}
    ahead = [start for start in starts if store.meta(keys[start]) != "done"]
    share, again = f" (process {rank + 1} of {world})" if world > 1 else "", len(starts) - len(ahead)
    before = f"; {again} of {len(starts)} chunks done before" if again else ""
    click.echo(f"{sampler.name}: {len(prompts)} prompts x {samples} samples -> {store.path}{share}{before}", err=True)
    new = 0
    with watched(ahead, "Sampling, in chunks", hidden=rank > 0) as shown:
        for start in shown:
            new += _sample_chunk(store, sampler, chunks[start], sampling, start, keys[start])
    return new


def _where_it_erred(store: Store, prompts: Sequence[TrainingPrompt], kinds: Collection[str], seed: int) -> list[TrainingPrompt]:
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UserError(f"--mistaken {', '.join(unknown)}: no such kind; there are: {', '.join(KINDS)}")
    samples = store.candidates(store.rules, "json_extract(c.origin, '$.kind') = 'sampled'")
    # What this run or a later one samples must not change which prompts it asks, or the same command would never be done.
    # An imported sample may come without a seed.
    earlier = (c for c in samples if "seed" not in c.origin or c.origin["seed"] // _SEED_STEP < seed)
    erred = {c.prompt_id for c in earlier if any(v["kind"] in kinds for v in c.violations or ())}
    found = [p for p in prompts if store.prompt_id(p.attributes) in erred]
    if not found:
        first = f"npc-pref generate without --mistaken, then npc-pref check --store {store.path}; then this with a larger --seed"
        raise UserError(f"--mistaken {', '.join(kinds)}: no checked sample of a seed below {seed} breaks that; first: {first}")
    return found


def _chunk_key(plan: str, start: int, prompts: Sequence[TrainingPrompt], domain: Domain) -> str:
    """By what the chunk asks, so that a run over more prompts takes over what one over fewer has done."""
    asked = hashlib.sha256("\n".join(domain.combination(prompt.attributes) for prompt in prompts).encode()).hexdigest()[:16]
    return f"sampled:{plan}:{start}:{asked}"


def _sample_chunk(
    store: Store, sampler: Sampler, chunk: Sequence[TrainingPrompt], sampling: Sampling, start: int, key: str
) -> int:
    """Samples what is left of a chunk into the store. Whatever stops it, the prompts that were answered are kept and not asked again."""
    done: set[int] = set(json.loads(store.meta(key) or "[]"))
    places = [place for place in range(len(chunk)) if place not in done]
    asked = [chunk[place] for place in places]
    texts, seed = sampler.texts(asked), sampling.seed * _SEED_STEP + start
    answers: dict[int, Lines] = {}
    try:
        sampler.sample(texts, seed, answers.__setitem__)
    finally:
        came = sorted(answers)
        lines = [line for i in came for line in _candidates(sampler, asked[i], texts[i], answers[i], sampling, seed)]
        new = store.add_candidates(lines)
        # Told after the lines are in: a kill between the two samples the same lines again, which adds nothing.
        done |= {places[i] for i in came}
        with store.transaction():
            store.set_meta(key, "done" if len(done) == len(chunk) else json.dumps(sorted(done)))
        if len(done) < len(chunk):
            click.echo(
                f"\nstopped: {new} new candidates of this chunk are saved in {store.path}; the same command goes on", err=True
            )
    return new


def _candidates(
    sampler: Sampler, prompt: TrainingPrompt, text: str, lines: Lines, sampling: Sampling, seed: int
) -> Iterator[NewCandidate]:
    """A prompt's corpus lines, with the prompt as this model sees it, and its samples."""
    decoding = {**sampling.knobs, "max_new_tokens": sampling.max_new_tokens}
    origin = {"kind": "sampled", "checkpoint": sampler.name, "decoding": decoding, "seed": seed}
    yield from prompt.corpus_lines(text)
    for line, finished in lines:
        if line:  # a model that says nothing has given no line to judge
            yield NewCandidate(prompt.attributes, line, origin, text, finished, prompt.group)


@dataclass(frozen=True)
class ServedModel:
    """A model behind an OpenAI-compatible server. Prompts are those of the default renderer, which needs no tokenizer."""

    server: Server
    domain: Domain
    sampling: Sampling

    @property
    def name(self) -> str:
        return f"{self.server.model} at {self.server.url}"

    def identity(self) -> str:
        # What a server serves under a name can't be looked into; another model should have another name.
        return self.name

    def texts(self, prompts: Sequence[TrainingPrompt]) -> list[str]:
        return [render(prompt.attributes, self.domain) for prompt in prompts]

    def sample(self, texts: Sequence[str], seed: int, take: Take) -> None:
        knobs = {"n": self.sampling.samples, "temperature": self.sampling.temperature, "top_p": self.sampling.top_p}
        # llama.cpp keeps 40 tokens and cuts off rare ones unless told not to, and vLLM does what the model's folder says.
        knobs |= {"top_k": 0, "min_p": 0.0, "max_tokens": self.sampling.max_new_tokens, "seed": seed}
        # A penalty moves even the greedy line. vLLM calls it the one name, llama.cpp the other; Ollama hears neither.
        knobs |= {"repetition_penalty": 1.0, "repeat_penalty": 1.0}
        self.server.sample(texts, knobs, take)


def _plan(sampler: Sampler, world: Domain, corpus: Path, sampling: Sampling, batch_size: int) -> str:
    """A hash of all that decides which lines are sampled; the batch size does, since a batch draws from one generator."""
    fixed = splits_file(corpus)  # which lines train, and so which prompts are sampled
    corpus_hash = hashlib.sha256(corpus.read_bytes() + (fixed.read_bytes() if fixed.is_file() else b"")).hexdigest()
    parts = [sampler.name, sampler.identity(), world.content_hash, corpus_hash, str(sampling), str(batch_size)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
