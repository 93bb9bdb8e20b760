"""A model that answers one prompt at a time, streaming while it speaks: what `npc-chat` talks to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import TextStreamer

from npc_align.modeling.device import Device
from npc_align.modeling.generation import Decoding, Line, default_generation_config
from npc_align.modeling.load import LoadedModel, load_for_generation
from npc_align.modeling.sampling import logits_processors


@dataclass(frozen=True)
class Speaker:
    """A loaded model under one decoding."""

    label: str
    loaded: LoadedModel
    decoding: Decoding

    @classmethod
    def load(cls, label: str, path: str, decoding: Decoding, device: Device, domain: str | None) -> Speaker:
        """Any run, checkpoint, adapter, merged model or `embedded`.

        Raises:
            UserError: nothing usable at `path`.
        """
        loaded = load_for_generation(path, device.dtype, device.name, domain=domain)
        # Replaced, not overridden: `generate` would inherit from what the model ships.
        loaded.model.generation_config = default_generation_config(loaded.codec)
        return cls(label, loaded, decoding)

    @torch.inference_mode()
    def say(self, prompt: str, *, stream: bool) -> Line:
        """The answer to a rendered prompt; with `stream`, words go to stdout as they come.

        transformers' own `generate`; the decoding's knobs are the logits processors that `generate_lines` uses.
        """
        model, codec = self.loaded.model, self.loaded.codec
        ids = torch.tensor([codec.prompt_ids(prompt)], device=model.device)
        streamer = TextStreamer(codec.tokenizer, skip_prompt=True, skip_special_tokens=True) if stream else None
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            logits_processor=logits_processors(self.decoding.knobs),
            max_new_tokens=self.decoding.max_new_tokens,
            streamer=streamer,
        )
        spoken = output[0, ids.shape[1] :].tolist()
        finished = bool(spoken) and spoken[-1] in codec.stop_ids
        return Line(codec.tokenizer.decode(spoken, skip_special_tokens=True).strip(), finished)
