"""Lines from prompts. Default decoding means greedy with nothing but stop ids, pad and bos in the generation config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from npc_align.errors import UserError
from npc_align.modeling.tokens import PromptCodec

_CROWDED = 0.75  # a batch is thinned out when no more than this share of its rows is still speaking: thinning copies the cache
DECODING_KEYS = (
    "do_sample", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "repetition_window", "temperature_last",
)  # fmt: skip


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
    """One line per prompt, in order: what `model.generate` says with `default_generation_config`, without what it wastes.

    Lines of a batch end at different times, and `generate` goes on with every row until the last one has ended; here ended
    rows leave the batch. What the model ships as generation config plays no part.

    Args:
        model: a causal LM with a key-value cache.
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
    # The last position of every row, cut out of the prefill's states, isn't contiguous: PyTorch's CPU linear then copies the whole
    # head once per row (43 GB at 128 rows of a 262k vocabulary) or falls back to a product that takes minutes.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0].contiguous(), *states[1:]))
    try:
        if seed is not None:
            torch.manual_seed(seed)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            for index, ids in zip(batch, _decode(model, codec, [encoded[i] for i in batch], decoding), strict=True):
                lines[index] = _line(codec, ids)
            if progress:
                progress(len(batch))
    finally:
        hook.remove()
    return [line for line in lines if line is not None]


def _decode(model: Any, codec: PromptCodec, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[list[int]]:
    """New ids per prompt, the stop id included where the model came to one."""
    from transformers import DynamicCache

    from npc_align.modeling.sampling import logits_processors

    device = next(model.parameters()).device
    width, pad = max(map(len, prompts)), codec.tokenizer.pad_token_id
    history = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    stops = torch.tensor(codec.stop_ids, device=device)
    processors = logits_processors(decoding.knobs)
    cache = DynamicCache(config=model.config.get_text_config())
    spoken: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts), device=device)  # the prompt that each row of the batch belongs to
    running = torch.ones(len(prompts), dtype=torch.bool, device=device)
    fed = history
    for _ in range(decoding.max_new_tokens):
        output = model(
            input_ids=fed, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        tokens = processors(history, output.logits[:, -1].float()).argmax(-1)
        for row, token, still in zip(rows.tolist(), tokens.tolist(), running.tolist(), strict=True):
            if still:
                spoken[row].append(token)
        running &= ~torch.isin(tokens, stops)
        if not running.any():
            break
        history = torch.cat([history, tokens.unsqueeze(1)], dim=1)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
        if running.sum() <= _CROWDED * len(running):
            kept = running.nonzero().squeeze(1)
            cache.batch_select_indices(kept)
            rows, history, mask, positions, running = (x[kept] for x in (rows, history, mask, positions, running))
        fed = history[:, -1:]
    return spoken


def _line(codec: PromptCodec, ids: list[int]) -> Line:
    finished = bool(ids) and ids[-1] in codec.stop_ids
    text = codec.tokenizer.decode(ids[:-1] if finished else ids, skip_special_tokens=True)
    return Line(text.strip(), finished)
