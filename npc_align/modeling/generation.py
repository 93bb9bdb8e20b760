"""Lines from prompts. Default decoding means greedy with nothing but stop ids, pad and bos in the generation config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from npc_align.errors import UserError
from npc_align.modeling.tokens import PromptCodec

DECODING_KEYS = ("do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")


@dataclass(frozen=True)
class Decoding:
    """How to decode. `knobs` holds what a user set besides; empty is default decoding."""

    name: str = "default"
    max_new_tokens: int = 64
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.knobs) - set(DECODING_KEYS)
        if unknown:
            raise UserError(
                f"decoding {self.name}: unknown key {', '.join(sorted(unknown))}; there are: {', '.join(DECODING_KEYS)}"
            )


@dataclass(frozen=True)
class Line:
    """A generated line. `finished`: the model ended it itself, rather than running into max_new_tokens."""

    text: str
    finished: bool


def default_generation_config(codec: PromptCodec) -> Any:
    """The generation config of default decoding: stop ids, pad and bos, nothing else.

    It replaces the model's own. `generate(generation_config=GenerationConfig())` would still inherit what the model ships
    (`transformers.GenerationMixin._prepare_generation_config`).
    """
    from transformers import GenerationConfig

    return GenerationConfig(
        eos_token_id=codec.stop_ids, pad_token_id=codec.tokenizer.pad_token_id, bos_token_id=codec.tokenizer.bos_token_id
    )


@torch.inference_mode()
def generate_lines(
    model: Any,
    codec: PromptCodec,
    prompts: Sequence[str],
    decoding: Decoding | None = None,
    *,
    batch_size: int = 32,
    seed: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Line]:
    """One line per prompt, in order.

    Args:
        model: a causal LM; its generation config is replaced for the call and put back.
        codec: the tokenizer and its renderer.
        prompts: rendered prompts.
        decoding: default decoding where None.
        batch_size: prompts per batch; they are sorted by length first, so that little is padded.
        seed: makes sampled lines reproducible.
        progress: called with the number of prompts just done.
    """
    decoding = decoding or Decoding()
    encoded = [codec.prompt_ids(prompt, f"prompt {i + 1}") for i, prompt in enumerate(prompts)]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    lines: list[Line | None] = [None] * len(prompts)
    shipped, model.generation_config = model.generation_config, default_generation_config(codec)
    # The last position of every row, cut out of the prefill's states, isn't contiguous: PyTorch's CPU linear then copies the whole
    # head once per row (43 GB at 128 rows of a 262k vocabulary) or falls back to a product that takes minutes.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0].contiguous(), *states[1:]))
    try:
        if seed is not None:
            torch.manual_seed(seed)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            for index, line in zip(batch, _generate_batch(model, codec, [encoded[i] for i in batch], decoding), strict=True):
                lines[index] = line
            if progress:
                progress(len(batch))
    finally:
        hook.remove()
        model.generation_config = shipped
    return [line for line in lines if line is not None]


def _generate_batch(model: Any, codec: PromptCodec, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Line]:
    device = next(model.parameters()).device
    width, pad = max(map(len, prompts)), codec.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    knobs: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, **decoding.knobs}
    if knobs.get("do_sample"):
        from npc_align.modeling.sampling import SAMPLING_KEYS, sampling_processors

        processors = sampling_processors(knobs)
        knobs = {"logits_processor": processors, **{k: v for k, v in knobs.items() if k not in SAMPLING_KEYS}}
    output = model.generate(input_ids=ids, attention_mask=mask, **knobs)[:, width:]
    stops = set(model.generation_config.eos_token_id)
    return [_line(codec, row, stops) for row in output.tolist()]


def _line(codec: PromptCodec, ids: list[int], stops: set[int]) -> Line:
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    text = codec.tokenizer.decode(ids if end is None else ids[:end], skip_special_tokens=True)
    return Line(text.strip(), end is not None)
