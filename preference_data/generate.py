"""Candidate lines: k samples per training prompt from a model, resumable, each with where it came from.

A sample's seed follows from the run's seed and the chunk's first prompt, so a resumed run gives the lines of an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.corpus import Example
from npc_align.domain import Domain, default_corpus, load_domain, shipped_domains
from npc_align.errors import UserError
from npc_align.splits import group_ids, load_splits, splits_file
from npc_align.training.launch import quiet_libraries

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
    *, model: str, output: Path, corpus: Path | None, domain: str | None, samples: int, temperature: float, top_p: float, seed: int,
    batch_size: int, max_new_tokens: int, limit: int | None,
) -> int:  # fmt: skip
    """Sample candidates for the training prompts into `output` (JSONL); a file begun before is continued.

    Returns:
        Candidates in the file.

    Raises:
        UserError: no such model or corpus, or an output that another command line began.
    """
    quiet_libraries()
    from npc_align.modeling.device import choose_device
    from npc_align.modeling.load import load_for_generation

    sampling = Sampling(samples, temperature, top_p, seed, max_new_tokens)
    device = choose_device()
    loaded = load_for_generation(model, device.dtype, device.name, domain=domain)
    world = loaded.domain
    source = corpus or _own_corpus(domain, world)
    prompts = _training_prompts(source, world)[:limit]
    plan = _plan(loaded.name, world, source, sampling, batch_size, len(prompts))
    part, total = output.with_name(output.name + ".part"), len(prompts) * samples
    if _already_whole(output, plan):
        click.echo(f"{output}: sampled before, {total} candidates", err=True)
        return total
    done = _resume(part, samples)
    click.echo(
        f"{device}; {len(prompts)} prompts x {samples} samples -> {output}" + (f"; {done} prompts done before" if done else ""),
        err=True,
    )
    with (
        part.open("a", encoding="utf-8") as out,
        click.progressbar(length=len(prompts), label="sampling", file=sys.stderr) as bar,
    ):
        bar.update(done)
        for start in range(done, len(prompts), _CHUNK):
            chunk = prompts[start : start + _CHUNK]
            rows = _sample(loaded, chunk, sampling, batch_size, start)
            out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            out.flush()
            bar.update(len(chunk))
    part.replace(output)
    return total


def _training_prompts(corpus: Path, domain: Domain) -> list[tuple[Example, str]]:
    """One example of each attribute combination of the training split, with its split group."""
    splits = load_splits(corpus, domain)
    examples = [e for part in splits.values() for e in part]
    groups = dict(zip((e.id for e in examples), group_ids(examples, domain), strict=True))
    unique = {domain.combination(e.attributes): e for e in reversed(splits["train"])}
    return [(e, groups[e.id]) for e in sorted(unique.values(), key=lambda e: e.id)]


def _own_corpus(asked: str | None, world: Domain) -> Path:
    """The corpus of the domain that was asked for, else of the model's own. That may be a path, or changed since."""
    shipped = world.name in shipped_domains() and load_domain(world.name).content_hash == world.content_hash
    if asked is None and not shipped:
        raise UserError(f"domain {world.name!r}, the model's own, brings no corpus of its own; give --corpus")
    return default_corpus(asked or world.name)


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


def _already_whole(output: Path, plan: str) -> bool:
    """Whether `output` holds this plan's candidates. The plan's hash lies beside it, so two models never mix in one file."""
    stamp = output.with_name(output.name + ".plan")
    begun = output.is_file() or output.with_name(output.name + ".part").is_file()
    if begun and (not stamp.is_file() or stamp.read_text(encoding="utf-8").strip() != plan):
        raise UserError(
            f"{output}: begun with another model, domain, corpus, sampling or batch size; remove it and {output.name}.part, or choose another --output"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(plan + "\n", encoding="utf-8")
    return output.is_file()


def _resume(part: Path, samples: int) -> int:
    """Prompts done in whole chunks; rows of a chunk that an interruption cut short are dropped, so seeds stay in step."""
    if not part.is_file():
        return 0
    lines = part.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    done = len(whole) // (samples * _CHUNK) * _CHUNK
    part.write_text("".join(whole[: done * samples]), encoding="utf-8")
    return done


def _sample(
    loaded: LoadedModel, chunk: Sequence[tuple[Example, str]], sampling: Sampling, batch_size: int, start: int
) -> Iterator[dict[str, Any]]:
    from npc_align.modeling.generation import Decoding, generate_lines
    from npc_align.prompt import render

    prompts = [render(example.attributes, loaded.domain, loaded.renderer, loaded.tokenizer) for example, _ in chunk]
    decoding = Decoding("sampling", sampling.max_new_tokens, sampling.knobs)
    seed = sampling.seed * 1_000_003 + start
    lines = generate_lines(
        loaded.model,
        loaded.codec,
        [p for p in prompts for _ in range(sampling.samples)],
        decoding,
        batch_size=batch_size,
        seed=seed,
    )
    for index, line in enumerate(lines):
        (example, group), k = chunk[index // sampling.samples], index % sampling.samples
        origin = {
            "kind": "sampled",
            "checkpoint": loaded.name,
            "decoding": {**sampling.knobs, "max_new_tokens": sampling.max_new_tokens},
            "seed": seed,
        }
        yield {
            "id": f"{example.id}#{k}",
            "attributes": example.attributes,
            "prompt": prompts[index // sampling.samples],
            "line": line.text,
            "finished": line.finished,
            "group": group,
            "domain": {"name": loaded.domain.name, "hash": loaded.domain.content_hash},
            "origin": origin,
        }
