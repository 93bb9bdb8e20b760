"""Models in this process. The only file of this room that loads one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from npc_align.training.launch import quiet_libraries
from preference_data.prompts import TrainingPrompt
from preference_data.store import Store

if TYPE_CHECKING:
    from npc_align.modeling.load import LoadedModel
    from preference_data.generate import Sampling
    from preference_data.server import Take


def loaded_model(path: str, store: Store) -> LoadedModel:
    """A run folder, adapter or model folder, for the store's domain.

    Raises:
        UserError: nothing usable there, or a model trained on another domain.
    """
    quiet_libraries()
    from npc_align.modeling.device import choose_device
    from npc_align.modeling.load import load_for_generation

    # Under accelerate launch each process has its own GPU, or its share of the cores.
    device = choose_device(processes=int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    place = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device.name == "cuda" else device.name
    click.echo(str(device), err=True)
    return load_for_generation(path, device.dtype, place, domain=store.meta("domain"))


@dataclass(frozen=True)
class LocalModel:
    """A loaded model and how it is sampled."""

    loaded: LoadedModel
    sampling: Sampling
    batch_size: int

    @classmethod
    def load(cls, path: str, store: Store, sampling: Sampling, batch_size: int) -> Self:
        """See `loaded_model`."""
        return cls(loaded_model(path, store), sampling, batch_size)

    @property
    def name(self) -> str:
        return self.loaded.name

    def identity(self) -> str:
        return weights_identity(self.loaded.name)

    def texts(self, prompts: Sequence[TrainingPrompt]) -> list[str]:
        from npc_align.prompt import render

        return [render(p.attributes, self.loaded.domain, self.loaded.renderer, self.loaded.tokenizer) for p in prompts]

    def sample(self, texts: Sequence[str], seed: int, take: Take) -> None:
        from npc_align.modeling.generation import Decoding, generate_lines

        count = self.sampling.samples
        decoding = Decoding("sampling", self.sampling.max_new_tokens, self.sampling.knobs)
        repeated = [text for text in texts for _ in range(count)]
        lines = generate_lines(self.loaded.model, self.loaded.codec, repeated, decoding, batch_size=self.batch_size, seed=seed)
        for place in range(len(texts)):
            take(place, [(line.text, line.finished) for line in lines[place * count : (place + 1) * count]])


def weights_identity(model: str) -> str:
    """What tells one state of a model from another: an adapter's bytes; of whole models, which are large, the files' stamps."""
    from npc_align.modeling.load import ADAPTER_CONFIG, model_folder

    if (Path(model) / ADAPTER_CONFIG).is_file():
        return hashlib.sha256((Path(model) / "adapter_model.safetensors").read_bytes()).hexdigest()
    files = [(file.name, file.stat()) for file in sorted(model_folder(model).glob("*.safetensors"))]
    return str([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])
